package api_test

import (
	"strings"
	"testing"
	"time"

	"sallyport/domain"
	"sallyport/eventstore"
)

const better = "battery staple"

func (s *site) changePassword(token, old, wanted string) reply {
	s.t.Helper()
	return s.call("PUT", "/auth/password", token, `{"old":"`+old+`","new":"`+wanted+`"}`)
}

// A new password ends all other sessions, on both sites, and leaves the one
// that asked for it.
func TestChangingOnesPassword(t *testing.T) {
	t.Parallel()
	core := newCore(t)
	field := newField(t, core)
	head, err := core.store.Head(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	fieldAccess, fieldRefresh := field.login("alice")
	bob := field.token("bob")
	access, refresh := core.login("alice")
	otherAccess, otherRefresh := core.login("alice")
	replica := core.another()
	replica.call("GET", "/auth/me", otherAccess, "").want(t, 200, "")

	changed := core.changePassword(access, secret, better)
	changed.want(t, 204, "")
	if changed.Header.Get("X-Log-Position") == "" {
		t.Error("a write without its position")
	}
	core.call("GET", "/auth/me", otherAccess, "").want(t, 401, "invalid-token")
	core.call("POST", "/auth/refresh", "", `{"refresh_token":"`+otherRefresh+`"}`).want(t, 401, "invalid-refresh-token")
	replica.clock.Add(int64(time.Second))
	replica.call("GET", "/auth/me", otherAccess, "").want(t, 401, "invalid-token")
	core.call("GET", "/auth/me", access, "").want(t, 200, "")
	core.call("POST", "/auth/refresh", "", `{"refresh_token":"`+refresh+`"}`).want(t, 200, "")
	core.call("POST", "/auth/login", "", `{"username":"alice","password":"`+secret+`"}`).want(t, 401, "invalid-credentials")
	core.call("POST", "/auth/login", "", `{"username":"alice","password":"`+better+`"}`).want(t, 200, "")
	if closed, _ := recorded[domain.SessionClosed](core); len(closed) != 1 || closed[0].Reason != domain.ClosedByPasswordChange {
		t.Errorf("recorded %+v", closed)
	}

	field.changePassword(fieldAccess, secret, better).want(t, 405, "wrong-site")
	field.mirror(core, head.Seq)
	field.call("GET", "/auth/me", fieldAccess, "").want(t, 401, "invalid-token")
	field.call("POST", "/auth/refresh", "", `{"refresh_token":"`+fieldRefresh+`"}`).want(t, 401, "invalid-refresh-token")
	field.call("POST", "/auth/login", "", `{"username":"alice","password":"`+better+`"}`).want(t, 200, "")
	field.call("GET", "/auth/me", bob, "").want(t, 200, "")
}

func TestWhichPasswordsMayBe(t *testing.T) {
	t.Parallel()
	core := newCore(t)
	alice := core.token("alice")
	for wanted, detail := range map[string]string{"short": "8 to 128", strings.Repeat("x", 129): "8 to 128", secret: "old one", "": "8 to 128"} {
		got := core.changePassword(alice, secret, wanted)
		got.want(t, 422, "invalid-password")
		if p := got.pointers(); len(p) == 0 || p[0] != "/new" || !strings.Contains(got.text, detail) {
			t.Errorf("%q: %s", wanted, got.text)
		}
	}
	core.addUser("a-long-username", "wide", domain.RoleUser)
	core.changePassword(core.token("a-long-username"), secret, "A-Long-Username").want(t, 422, "invalid-password")
	core.changePassword(alice, "wrong", better).want(t, 403, "wrong-password")
	core.call("GET", "/auth/me", core.token("alice"), "").want(t, 200, "")
}

// Who has somebody's token cannot guess the password with it.
func TestGuessingTheOldPassword(t *testing.T) {
	t.Parallel()
	core := newCore(t)
	core.standStill()
	alice := core.token("alice")
	for range 10 {
		core.changePassword(alice, "wrong", better).want(t, 403, "wrong-password")
	}
	core.changePassword(alice, secret, better).want(t, 429, "too-many-failures")
	core.address = "198.51.100.7:1" // from anywhere
	core.changePassword(alice, secret, better).want(t, 429, "too-many-failures")
	core.token("alice") // and the owner can still log in
}

// Many who guess at one account from many addresses are slowed down together,
// and do not lock out its owner, who logged in from home before.
func TestManyGuessAtOneAccount(t *testing.T) {
	t.Parallel()
	core := newCore(t)
	core.standStill()
	core.token("alice")
	answers := map[int]int{}
	home := core.address
	for i := range 110 {
		core.address = strings.ReplaceAll("198.51.100.N:1", "N", string(rune('0'+i/100))+string(rune('0'+i/10%10))+string(rune('0'+i%10)))
		answers[core.call("POST", "/auth/login", "", `{"username":"alice","password":"wrong"}`).StatusCode]++
	}
	if answers[401] != 100 || answers[429] != 10 {
		t.Errorf("answers by status: %v", answers)
	}
	core.call("POST", "/auth/login", "", `{"username":"alice","password":"`+secret+`"}`).want(t, 429, "too-many-failures")
	core.address = home
	core.token("alice")
	core.token("bob")
}

func TestGuessingRefreshTokens(t *testing.T) {
	t.Parallel()
	core := newCore(t)
	core.standStill()
	_, refresh := core.login("alice")
	answers := map[int]int{}
	for range 110 {
		answers[core.call("POST", "/auth/refresh", "", `{"refresh_token":"`+strings.Repeat("A", 43)+`"}`).StatusCode]++
	}
	if answers[401] != 100 || answers[429] != 10 {
		t.Errorf("answers by status: %v", answers)
	}
	core.call("POST", "/auth/refresh", "", `{"refresh_token":"`+refresh+`"}`).want(t, 200, "")
}

// A user who is deactivated and comes back has to log in again.
func TestDeactivationEndsSessions(t *testing.T) {
	t.Parallel()
	core := newCore(t)
	access, refresh := core.login("alice")
	stream := domain.UserStream(core.idOf("alice"))
	core.append(eventstore.Write{Stream: stream, Expected: eventstore.Any, Facts: []domain.Fact{domain.UserDeactivated{Reason: "left"}}})
	core.call("GET", "/auth/me", access, "").want(t, 401, "invalid-token")
	core.append(eventstore.Write{Stream: stream, Expected: eventstore.Any, Facts: []domain.Fact{domain.UserReactivated{}}})
	core.call("GET", "/auth/me", access, "").want(t, 401, "invalid-token")
	core.call("POST", "/auth/refresh", "", `{"refresh_token":"`+refresh+`"}`).want(t, 401, "invalid-refresh-token")
	core.token("alice")
}
