package session_test

import (
	"errors"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"sallyport/api/session"
	"sallyport/domain"
	"sallyport/eventstore"
	"sallyport/eventstore/eventstoretest"
)

// sessions is a site's database whose sessions end with their events.
func sessions(t *testing.T) (*eventstoretest.Site, session.Caller) {
	t.Helper()
	return eventstoretest.New(t, eventstoretest.Setup{Inline: []eventstore.Projection{&session.Ends{}}}),
		session.Caller{IP: "192.0.2.1", Agent: "curl", Corr: "call-1"}
}

// history is what a session's stream says.
func history(t *testing.T, db *eventstoretest.Site, id string) []domain.Fact {
	t.Helper()
	records, err := db.Store.ReadStream(t.Context(), domain.SessionStream(id))
	if err != nil {
		t.Fatal(err)
	}
	var facts []domain.Fact
	for _, r := range records {
		if facts = append(facts, r.Fact); r.Actor != "user-user-1" || r.Corr != "call-1" {
			t.Errorf("%+v", r.Event)
		}
	}
	return facts
}

func wantHistory(t *testing.T, db *eventstoretest.Site, id string, want ...domain.Fact) {
	t.Helper()
	opened := domain.SessionOpened{User: "user-1", IP: "192.0.2.1", UserAgent: "curl", Method: domain.ByPassword}
	if got := history(t, db, id); !slices.Equal(got, append([]domain.Fact{opened}, want...)) {
		t.Errorf("the session's stream says %+v", got)
	}
}

// Of many calls with one token at the same moment each gets a successor of
// its own, and all of them are of one session.
func TestOneTokenAtOnce(t *testing.T) {
	t.Parallel()
	db, by := sessions(t)
	s := session.New(db.Store, db.Pool, nil)
	opened, err := s.Open(t.Context(), "user-1", by)
	if err != nil {
		t.Fatal(err)
	}
	var mu sync.Mutex
	seen := map[string]bool{opened.Token: true}
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			next, err := s.Refresh(t.Context(), opened.Token, by)
			mu.Lock()
			defer mu.Unlock()
			if err != nil || next.ID != opened.ID || next.User != "user-1" || seen[next.Token] {
				t.Errorf("%+v, %v", next, err)
			}
			seen[next.Token] = true
		})
	}
	wg.Wait()
	if closed, err := s.Close(t.Context(), opened.Token, by); err != nil || closed.ID != opened.ID {
		t.Errorf("close: %+v, %v", closed, err)
	}
	for token := range seen {
		if _, err := s.Refresh(t.Context(), token, by); !errors.Is(err, session.ErrInvalid) {
			t.Errorf("after closing: %v", err)
		}
		if _, err := s.Close(t.Context(), token, by); err != nil {
			t.Errorf("closed once more: %v", err)
		}
	}
	wantHistory(t, db, opened.ID, domain.SessionClosed{Reason: domain.ClosedByLogout})
}

func TestReuseClosesTheSession(t *testing.T) {
	t.Parallel()
	var ahead atomic.Int64
	db, by := sessions(t)
	s := session.New(db.Store, db.Pool, func() time.Time { return time.Now().Add(time.Duration(ahead.Load())) })
	opened, err := s.Open(t.Context(), "user-1", by)
	if err != nil {
		t.Fatal(err)
	}
	next, err := s.Refresh(t.Context(), opened.Token, by)
	if err != nil {
		t.Fatal(err)
	}
	ahead.Add(int64(session.Grace + time.Second))
	var reused *session.ReusedError
	if _, err := s.Refresh(t.Context(), opened.Token, by); !errors.As(err, &reused) || reused.Session != opened.ID {
		t.Errorf("a spent token: %v", err)
	}
	if _, err := s.Refresh(t.Context(), next.Token, by); !errors.Is(err, session.ErrInvalid) {
		t.Errorf("its successor: %v", err)
	}
	wantHistory(t, db, opened.ID, domain.SessionReuseDetected{IP: "192.0.2.1", UserAgent: "curl"}, domain.SessionClosed{Reason: domain.ClosedByReuse})
}

func TestExpiredSessionsGo(t *testing.T) {
	t.Parallel()
	var ahead atomic.Int64
	db, by := sessions(t)
	s := session.New(db.Store, db.Pool, func() time.Time { return time.Now().Add(time.Duration(ahead.Load())) })
	for range 3 {
		if _, err := s.Open(t.Context(), "user-1", by); err != nil {
			t.Fatal(err)
		}
	}
	ahead.Add(int64(session.Lifetime + time.Second))
	if _, err := s.Open(t.Context(), "user-1", by); err != nil {
		t.Fatal(err)
	}
	var sessions, tokens int
	if err := db.Pool.QueryRow(t.Context(), `SELECT (SELECT count(*) FROM sessions), (SELECT count(*) FROM refresh_tokens)`).
		Scan(&sessions, &tokens); err != nil || sessions != 1 || tokens != 1 {
		t.Errorf("%d sessions, %d tokens, %v; want 1 and 1", sessions, tokens, err)
	}
}

// A site whose log is read-only can be looked at: sessions open and close there,
// without events.
func TestSessionsOfAReadOnlySite(t *testing.T) {
	t.Parallel()
	db, by := sessions(t)
	s := session.New(db.Store, db.Pool, nil)
	if _, err := db.Store.MakeReadOnly(t.Context(), "it was restored from an old backup"); err != nil {
		t.Fatal(err)
	}
	opened, err := s.Open(t.Context(), "user-1", by)
	if err != nil {
		t.Fatal(err)
	}
	if opened, err = s.Refresh(t.Context(), opened.Token, by); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Close(t.Context(), opened.Token, by); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Refresh(t.Context(), opened.Token, by); !errors.Is(err, session.ErrInvalid) {
		t.Errorf("after closing: %v", err)
	}
	if got := history(t, db, opened.ID); len(got) != 0 {
		t.Errorf("recorded %+v", got)
	}
}
