package session_test

import (
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"sallyport/api/session"
	"sallyport/eventstore/eventstoretest"
)

// Of many calls with one token at the same moment each gets a successor of
// its own, and all of them are of one session.
func TestOneTokenAtOnce(t *testing.T) {
	t.Parallel()
	s := session.New(eventstoretest.New(t, eventstoretest.Setup{}).Pool, nil)
	opened, err := s.Open(t.Context(), "user-1")
	if err != nil {
		t.Fatal(err)
	}
	var mu sync.Mutex
	seen := map[string]bool{opened.Token: true}
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			next, err := s.Refresh(t.Context(), opened.Token)
			mu.Lock()
			defer mu.Unlock()
			if err != nil || next.ID != opened.ID || next.User != "user-1" || seen[next.Token] {
				t.Errorf("%+v, %v", next, err)
			}
			seen[next.Token] = true
		})
	}
	wg.Wait()
	if closed, err := s.Close(t.Context(), opened.Token); err != nil || closed.ID != opened.ID {
		t.Errorf("close: %+v, %v", closed, err)
	}
	for token := range seen {
		if _, err := s.Refresh(t.Context(), token); !errors.Is(err, session.ErrInvalid) {
			t.Errorf("after closing: %v", err)
		}
	}
}

func TestReuseClosesTheSession(t *testing.T) {
	t.Parallel()
	var ahead atomic.Int64
	db := eventstoretest.New(t, eventstoretest.Setup{})
	s := session.New(db.Pool, func() time.Time { return time.Now().Add(time.Duration(ahead.Load())) })
	opened, err := s.Open(t.Context(), "user-1")
	if err != nil {
		t.Fatal(err)
	}
	next, err := s.Refresh(t.Context(), opened.Token)
	if err != nil {
		t.Fatal(err)
	}
	ahead.Add(int64(session.Grace + time.Second))
	var reused *session.ReusedError
	if _, err := s.Refresh(t.Context(), opened.Token); !errors.As(err, &reused) || reused.Session != opened.ID {
		t.Errorf("a spent token: %v", err)
	}
	if _, err := s.Refresh(t.Context(), next.Token); !errors.Is(err, session.ErrInvalid) {
		t.Errorf("its successor: %v", err)
	}
}

func TestExpiredSessionsGo(t *testing.T) {
	t.Parallel()
	var ahead atomic.Int64
	db := eventstoretest.New(t, eventstoretest.Setup{})
	s := session.New(db.Pool, func() time.Time { return time.Now().Add(time.Duration(ahead.Load())) })
	for range 3 {
		if _, err := s.Open(t.Context(), "user-1"); err != nil {
			t.Fatal(err)
		}
	}
	ahead.Add(int64(session.Lifetime + time.Second))
	if _, err := s.Open(t.Context(), "user-1"); err != nil {
		t.Fatal(err)
	}
	var sessions, tokens int
	if err := db.Pool.QueryRow(t.Context(), `SELECT (SELECT count(*) FROM sessions), (SELECT count(*) FROM refresh_tokens)`).
		Scan(&sessions, &tokens); err != nil || sessions != 1 || tokens != 1 {
		t.Errorf("%d sessions, %d tokens, %v; want 1 and 1", sessions, tokens, err)
	}
}
