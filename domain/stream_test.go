package domain_test

import (
	"flag"
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"sallyport/domain"
)

// crossings renders who may send what, and where it may lie, as one table.
func crossings() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%-22s %-16s %-8s %-9s %-8s %s\n", "type", "stream", "leaves", "leaves", "arrives", "arrives")
	fmt.Fprintf(&b, "%-22s %-16s %-8s %-9s %-8s %s\n", "", "", "request", "response", "request", "response")
	for _, k := range domain.Catalogue() {
		stream := k.Stream + "-x"
		yes := map[bool]string{true: "yes", false: "-"}
		if k.Crossing == domain.ToRequestSitesIfPublic {
			yes[true] = "public"
		}
		fmt.Fprintf(&b, "%-22s %-16s %-8s %-9s %-8s %s\n", k.Type, k.Stream,
			yes[k.MayLeave(domain.RequestSite)], yes[k.MayLeave(domain.ResponseSite)],
			yes[k.MayArrive(stream, "x", domain.RequestSite)], yes[k.MayArrive(stream, "x", domain.ResponseSite)])
	}
	return b.String()
}

// TestCrossingTable holds the direction table in the open: a change of who may
// write what to whom is seen in a review.
func TestCrossingTable(t *testing.T) {
	t.Parallel()
	const name = "testdata/crossing.txt"
	got := crossings()
	if *update {
		if err := os.WriteFile(name, []byte(got), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("the direction table changed; is that meant? (-%s writes it anew)\n%s", flag.Lookup("update").Name, got)
	}
}

// TestNothingArrivesInAStrangeStream: for every kind and every other prefix.
func TestNothingArrivesInAStrangeStream(t *testing.T) {
	t.Parallel()
	for _, k := range domain.Catalogue() {
		for _, other := range domain.Catalogue() {
			for _, role := range []domain.Role{domain.RequestSite, domain.ResponseSite, "", "both"} {
				want := k.Stream == other.Stream && k.MayLeave(role)
				if got := k.MayArrive(other.Stream+"-x", "x", role); got != want {
					t.Errorf("%s in %s-x by a %q site: %v, want %v", k.Type, other.Stream, role, got, want)
				}
			}
		}
		for _, stream := range []string{"", k.Stream, "x" + k.Stream + "-x"} {
			if k.MayArrive(stream, "x", domain.RequestSite) || k.MayArrive(stream, "x", domain.ResponseSite) {
				t.Errorf("%s may arrive in %q", k.Type, stream)
			}
		}
	}
}

// TestASettingShowsItselfIfPublic: and all other facts leave that to their kind.
func TestASettingShowsItselfIfPublic(t *testing.T) {
	t.Parallel()
	for _, p := range goldenFacts() {
		k, _ := domain.KindOf(p.realistic.EventType())
		want := true
		if k.Crossing == domain.ToRequestSitesIfPublic {
			want = false // minimal facts of them are not public
		}
		if !k.Shows(p.realistic) || k.Shows(p.minimal) != want {
			t.Errorf("%s: realistic %v, minimal %v", k.Type, k.Shows(p.realistic), k.Shows(p.minimal))
		}
	}
	if k, _ := domain.KindOf("setting.changed"); k.Shows(domain.UserReactivated{}) {
		t.Error("a fact that says nothing of itself is shown")
	}
}

func TestASiteSpeaksOnlyAboutItself(t *testing.T) {
	t.Parallel()
	for _, eventType := range []string{"site.founded", "site.peer_added"} {
		k, ok := domain.KindOf(eventType)
		if !ok || k.MayArrive("site-hq", "field", domain.RequestSite) || !k.MayArrive("site-hq", "hq", domain.ResponseSite) {
			t.Errorf("%s: %v", eventType, k)
		}
	}
}

func TestCatalogueIsACopy(t *testing.T) {
	t.Parallel()
	domain.Catalogue()[0].Crossing = domain.ToEveryPeer
	if domain.Catalogue()[0].Crossing == domain.ToEveryPeer {
		t.Error("the table can be changed from outside")
	}
	if _, ok := domain.KindOf("user.promoted"); ok {
		t.Error("an unknown type is in the catalogue")
	}
}

func TestRoles(t *testing.T) {
	t.Parallel()
	for role, ok := range map[domain.Role]bool{domain.RequestSite: true, domain.ResponseSite: true, "": false, "Request": false} {
		if role.Valid() != ok {
			t.Errorf("role %q valid: %v", role, !ok)
		}
	}
}

func TestCrossingStatus(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		have                      domain.Status
		position, exported, acked int64
		want                      domain.Status
	}{
		{domain.StatusPending, 5, 0, 0, domain.StatusPending},
		{domain.StatusPending, 5, 4, 4, domain.StatusPending},
		{domain.StatusPending, 5, 5, 4, domain.StatusExported},
		{domain.StatusPending, 5, 5, 5, domain.StatusDelivered},
		{domain.StatusPending, 5, 0, 9, domain.StatusDelivered}, // a restored site hears of more than it knows
		{domain.StatusProcessing, 5, 5, 5, domain.StatusProcessing},
		{domain.StatusAnswered, 5, 0, 0, domain.StatusAnswered},
		{domain.StatusFailed, 5, 9, 9, domain.StatusFailed},
		{domain.StatusCancelled, 5, 9, 9, domain.StatusCancelled},
	} {
		if got := c.have.CrossingStatus(c.position, c.exported, c.acked); got != c.want {
			t.Errorf("%+v: got %s", c, got)
		}
	}
}

func TestStreamNames(t *testing.T) {
	t.Parallel()
	for got, want := range map[string]string{
		domain.UserStream(aliceID):               "user-" + aliceID,
		domain.UsernameStream("alice.b"):         "username-alice.b",
		domain.EmailStream("Alice@Example.org"):  "email-7a64adf28737ea90719cbdf0b1a87a5e",
		domain.ProfileStream("standard"):         "profile-standard",
		domain.RequestTypeStream("airport"):      "requesttype-airport",
		domain.ResponderConfigStream("airport"):  "responderconfig-airport",
		domain.SettingStream("limits.default_x"): "setting-limits.default_x",
		domain.RequestStream(requestID):          "request-" + requestID,
		domain.ResponseStream(requestID):         "response-" + requestID,
		domain.RequestNameStream(aliceID, "x y"): "requestname-cf0bf6436b8f52bbe14fe1516e1f26fd",
		domain.RequestKeyStream(aliceID, "x y"):  "requestkey-cf0bf6436b8f52bbe14fe1516e1f26fd",
		domain.SiteStream("field-1"):             "site-field-1",
		domain.BundleOutStream("hq", epoch, 7):   "bundle-out-hq-01234567-7",
		domain.BundleInStream("hq", epoch, 7):    "bundle-in-hq-01234567-7",
	} {
		if got != want || !domain.ValidStream(got) {
			t.Errorf("got %s, want %s; valid: %v", got, want, domain.ValidStream(got))
		}
	}
	if domain.EmailStream("A@B.C") != domain.EmailStream("a@b.c") {
		t.Error("one email address has two streams")
	}
	if domain.RequestNameStream("1", "2") == domain.RequestNameStream("12", "") {
		t.Error("two users share a request's name")
	}
}

func TestValidStream(t *testing.T) {
	t.Parallel()
	for s, ok := range map[string]bool{
		"user-1": true, "bundle-out-x": true, "a-" + strings.Repeat("x", 198): true,
		"": false, "user": false, "user-": false, "-x": false, "User-x": false, "user-ü": false, "user-a b": false, "user-x\n": false,
		"user-x/../y": false, "a-" + strings.Repeat("x", 199): false, "usér-x": false, "user_x-1": false,
	} {
		if domain.ValidStream(s) != ok {
			t.Errorf("ValidStream(%q) = %v", s, !ok)
		}
	}
}

func TestValidNames(t *testing.T) {
	t.Parallel()
	for s, ok := range map[string]bool{"a": true, "field-1": true, strings.Repeat("a", 32): true, "": false, "A": false, "a_b": false, "a\n": false, strings.Repeat("a", 33): false} {
		if domain.ValidSiteName(s) != ok {
			t.Errorf("ValidSiteName(%q) = %v", s, !ok)
		}
	}
	for s, ok := range map[string]bool{"aa": true, "a-1": true, strings.Repeat("a", 64): true, "a": false, "a-": false, "-a": false, "aa\n": false, strings.Repeat("a", 65): false} {
		if domain.ValidSlug(s) != ok {
			t.Errorf("ValidSlug(%q) = %v", s, !ok)
		}
	}
}

// FuzzNames holds what says a rule byte by byte to the pattern that is documented.
func FuzzNames(f *testing.F) {
	rules := map[string]struct {
		pattern *regexp.Regexp
		longest int
		valid   func(string) bool
	}{
		"stream": {regexp.MustCompile(`^[a-z]+(-[a-z]+)?-[A-Za-z0-9._-]+$`), domain.MaxStreamLength, domain.ValidStream},
		"slug":   {regexp.MustCompile(`^[a-z0-9][a-z0-9-]{0,62}[a-z0-9]$`), 64, domain.ValidSlug},
	}
	for _, s := range []string{"", "-", "a", "a-", "-a", "a-b", "a--", "a-b-", "a-b-c", "a1-b", "aB-c", "a-B_.-9", "9-9", "a-é", "a-b\n", "a\x00-b",
		strings.Repeat("a", 64), strings.Repeat("a", 65), "a-" + strings.Repeat("x", 198), "a-" + strings.Repeat("x", 199)} {
		f.Add(s)
	}
	for c := range 256 { // each byte at each place
		f.Add(string([]byte{byte(c), 'a', '-', 'b'}))
		f.Add(string([]byte{'a', byte(c), 'b'}))
		f.Add(string([]byte{'a', '-', 'b', byte(c)}))
	}
	f.Fuzz(func(t *testing.T, s string) {
		for name, rule := range rules {
			if want := len(s) <= rule.longest && rule.pattern.MatchString(s); rule.valid(s) != want {
				t.Errorf("%q as a %s: %v, and the pattern says %v", s, name, !want, want)
			}
		}
	})
}

func TestRequestOf(t *testing.T) {
	t.Parallel()
	for _, s := range []string{domain.RequestStream(requestID), domain.ResponseStream(requestID)} {
		if id, ok := domain.RequestOf(s); !ok || id != requestID {
			t.Errorf("RequestOf(%s) = %s, %v", s, id, ok)
		}
	}
	for _, s := range []string{"", "user-1", "requestname-x", "requesttype-x", "request"} {
		if id, ok := domain.RequestOf(s); ok {
			t.Errorf("RequestOf(%s) = %s", s, id)
		}
	}
}

// TestEveryStreamNameIsValid: whatever key the rules let through makes a name
// that the log and the peer accept.
func TestEveryStreamNameIsValid(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		name := rapid.StringMatching(`[a-z0-9][a-z0-9._-]{1,62}[a-z0-9]`).Draw(t, "name")
		slug := rapid.StringMatching(`[a-z0-9][a-z0-9-]{0,62}[a-z0-9]`).Draw(t, "slug")
		site := rapid.StringMatching(`[a-z0-9-]{1,32}`).Draw(t, "site")
		text := rapid.String().Draw(t, "text")
		seq := rapid.Int64Min(1).Draw(t, "seq")
		for _, s := range []string{domain.UsernameStream(name), domain.ProfileStream(slug), domain.SettingStream(name), domain.RequestTypeStream(slug), domain.ResponderConfigStream(slug),
			domain.SiteStream(site), domain.BundleInStream(site, epoch, seq), domain.BundleOutStream(site, epoch, seq),
			domain.EmailStream(text), domain.RequestNameStream(name, text)} {
			if !domain.ValidStream(s) {
				t.Fatalf("%q is no valid stream", s)
			}
		}
	})
}
