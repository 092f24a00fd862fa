package console_test

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"testing"
	"time"

	"sallyport/api/console"
	"sallyport/api/live"
	"sallyport/domain"
)

// One who may see only their own hears of their own requests and not of others';
// whoever listens is counted until they leave.
func TestListeners(t *testing.T) {
	t.Parallel()
	w := open(t)
	field := w.stack.Field
	feed := live.New(field.Log, field.Pool)
	join := func(user string, ownOnly bool) *live.Listener {
		l, ok := feed.Join(t.Context(), user, ownOnly, 0)
		if !ok {
			t.Fatal("there is no room")
		}
		t.Cleanup(l.Leave)
		return l
	}
	owner, err := field.Reader.UserByName(t.Context(), w.account(domain.RoleUser).Username)
	if err != nil {
		t.Fatal(err)
	}
	own, other, all := join(owner.ID, true), join("somebody else", true), join("an operator", false)
	token, err := w.token(t.Context(), domain.RequestSite, domain.RoleUser)
	if err != nil {
		t.Fatal(err)
	}
	if err := w.api(t.Context(), domain.RequestSite, http.MethodPost, "/requests", token, `{"type":"airport","params":{"iata":"LHR"}}`, nil); err != nil {
		t.Fatal(err)
	}
	for name, l := range map[string]*live.Listener{"the owner": own, "an operator": all} {
		if !hears(l, "request") {
			t.Errorf("%s did not hear of the request", name)
		}
	}
	if kinds := other.Take(); slices.Contains(kinds, "request") || slices.Contains(kinds, "response") {
		t.Errorf("somebody else heard of %v", kinds)
	}
	for range live.MaxOfUser - 1 {
		join("somebody else", true)
	}
	if _, ok := feed.Join(t.Context(), "somebody else", true, 0); ok {
		t.Error("one user listens more often than may be")
	}
	other.Leave()
	other.Leave()
	join("somebody else", true)
}

// Who joins hears what was stored since what they have seen, as far as it concerns
// them; all of it stands for what is too long ago.
func TestJoinersHearWhatTheyMissed(t *testing.T) {
	t.Parallel()
	w := open(t)
	field := w.stack.Field
	feed := live.New(field.Log, field.Pool)
	seen := feed.Seen(t.Context())
	w.ask(t, `{"type":"airport","params":{"iata":"LHR"}}`)
	owner, err := field.Reader.UserByName(t.Context(), w.account(domain.RoleUser).Username)
	if err != nil {
		t.Fatal(err)
	}
	join := func(user string, ownOnly bool, since int64) []string {
		l, ok := feed.Join(t.Context(), user, ownOnly, since)
		if !ok {
			t.Fatal("there is no room")
		}
		defer l.Leave()
		return l.Take()
	}
	for name, kinds := range map[string][]string{"the owner": join(owner.ID, true, seen), "an operator": join("an operator", false, seen)} {
		if !slices.Contains(kinds, "request") {
			t.Errorf("%s hears of %v", name, kinds)
		}
	}
	if kinds := join("somebody else", true, seen); slices.Contains(kinds, "request") {
		t.Errorf("somebody else hears of %v", kinds)
	}
	if kinds := join("somebody else", true, -1_000_000); !slices.Contains(kinds, live.Everything) {
		t.Errorf("of very much that was missed: %v", kinds)
	}
}

// hears waits until a listener is told a kind.
func hears(l *live.Listener, kind string) bool {
	over := time.After(20 * time.Second)
	for {
		select {
		case <-l.C:
			if slices.Contains(l.Take(), kind) {
				return true
			}
		case <-over:
			return false
		}
	}
}

// Streams end when the process is to end, and there are only so many of a user.
func TestStreamsEndWithTheProcess(t *testing.T) {
	t.Parallel()
	w := open(t)
	s, k := w.later(t, 0, func(c *console.Config) { c.Changes = live.New(w.stack.Field.Log, w.stack.Field.Pool) })
	v := w.at(t, s, domain.RoleAuditor)
	streams := make([]<-chan string, live.MaxOfUser)
	for i := range streams {
		streams[i] = v.listen()
	}
	if status, _, _ := v.get("live"); status != http.StatusServiceUnavailable {
		t.Errorf("one stream too many: %d", status)
	}
	k.Drain()
	for _, ended := range streams {
		select {
		case <-ended:
		case <-time.After(20 * time.Second):
			t.Fatal("a stream goes on")
		}
	}
}

// at signs somebody in at a console of a test.
func (w *world) at(t *testing.T, s *httptest.Server, role domain.UserRole) *visitor {
	t.Helper()
	v := w.visitor(t, domain.RequestSite, "")
	v.base = s.URL
	a := w.account(role)
	if status, _, _ := v.post("sign-in", url.Values{"username": {a.Username}, "password": {a.Password}}); status != http.StatusSeeOther {
		t.Fatal(status)
	}
	return v
}
