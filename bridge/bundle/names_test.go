package bundle_test

import (
	"fmt"
	"strings"
	"testing"

	"sallyport/bridge/bundle"
)

// However many names an object has, one that it has twice is found, spelled with
// escapes or without.
func TestANameTwiceAmongMany(t *testing.T) {
	t.Parallel()
	for _, n := range []int{1, 2, 11, 12, 13, 14, 47, 48, 49, 5000} {
		names := make([]string, n)
		for i := range names {
			names[i] = fmt.Sprintf(`%x`, i)
			if i%3 == 0 {
				names[i] = fmt.Sprintf(`\u0061é%x`, i)
			}
		}
		check := func(more ...string) error {
			object := `{"` + strings.Join(append(names, more...), `":0,"`) + `":0}`
			return bundle.CheckLine(eventAt(1, "request.submitted", object), bundle.Limits{})
		}
		if err := check(); err != nil {
			t.Errorf("%d names: %v", n, err)
		}
		for _, twice := range []string{names[0], `aé0`, `\u0061\u00e90`, names[n/2], names[n-1]} {
			if err := check(twice); err == nil || !strings.Contains(err.Error(), "two members of one name") {
				t.Errorf("%d names and %s again: %v", n, twice, err)
			}
		}
	}
}
