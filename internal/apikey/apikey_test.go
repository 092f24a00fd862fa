package apikey_test

import (
	"fmt"
	"regexp"
	"strings"
	"testing"

	"sallyport/internal/apikey"
)

func TestKeysHaveTheirForm(t *testing.T) {
	t.Parallel()
	form := regexp.MustCompile(`^spk_[0-9A-Za-z]{36}$`)
	seen := map[string]bool{}
	for range 1000 {
		k := apikey.New()
		text := k.Reveal()
		again, ok := apikey.Parse(text)
		if !ok || !form.MatchString(text) || seen[text] || !again.Hash().Equal(k.Hash()) {
			t.Fatalf("%q", text)
		}
		seen[text] = true
		for _, printed := range []string{fmt.Sprint(k), fmt.Sprintf("%v %+v %#v %s", k, k, k, k), k.Shown()} {
			if strings.Contains(printed, text[12:]) {
				t.Fatalf("a key prints itself: %s", printed)
			}
		}
	}
}

// A known key, so that the form stays what it is.
func TestTheChecksumStays(t *testing.T) {
	t.Parallel()
	const known = "spk_0123456789ABCDEFGHIJKLMNOPQRST"
	if _, ok := apikey.Parse(known + "4PMbyp"); !ok { // CRC-32 as any other program computes it
		t.Errorf("the checksum of %s changed", known)
	}
}

// Whatever one character is changed to, it is refused before any look-up.
func TestSlipsAreRefused(t *testing.T) {
	t.Parallel()
	text := apikey.New().Reveal()
	for i := range text {
		for _, c := range "aZ5_ \x00" {
			if changed := text[:i] + string(c) + text[i+1:]; changed != text {
				if _, ok := apikey.Parse(changed); ok {
					t.Errorf("%q was taken for %q", changed, text)
				}
			}
		}
	}
	for _, other := range []string{"", "spk_", text + "x", text[1:], strings.ToUpper(text), strings.Repeat("spk_", 10), strings.Repeat("x", 1<<20)} {
		if _, ok := apikey.Parse(other); ok {
			t.Errorf("%.40q was taken for a key", other)
		}
	}
}
