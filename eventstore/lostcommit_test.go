package eventstore_test

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"sallyport/eventstore"
	"sallyport/eventstore/eventstoretest"
)

// losing is a wire that loses what it is told to.
type losing struct {
	*eventstoretest.Wire

	mu   sync.Mutex
	lose lose
}

// lose decides whether a message is lost, and its connection with it, and what
// the program gets in its place.
type lose func(w *losing, toServer bool, message []byte) (instead []byte, lost bool)

func newLosing(t *testing.T, site *eventstoretest.Site) *losing {
	w := &losing{}
	pass := func(toServer bool) eventstoretest.Pass {
		return func(message []byte) ([]byte, bool) {
			w.mu.Lock()
			defer w.mu.Unlock()
			if w.lose == nil {
				return message, true
			}
			instead, lost := w.lose(w, toServer, message)
			if !lost {
				return message, true
			}
			w.lose = nil
			return instead, false
		}
	}
	w.Wire = eventstoretest.NewWire(t, site.AppURL, pass(true), pass(false))
	return w
}

func (w *losing) arm(lose lose) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.lose = lose
}

func isCommitAnswer(toServer bool, message []byte) bool {
	return !toServer && bytes.Contains(message, []byte("COMMIT\x00"))
}

// fatal is what a server says that is being shut down.
func fatal() []byte {
	body := "SFATAL\x00VFATAL\x00C57P01\x00Mterminating connection due to administrator command\x00\x00"
	return append([]byte{'E', 0, 0, 0, byte(len(body) + 4)}, body...)
}

// TestLostCommitAnswer: whatever is lost around the commit, the caller hears
// what is true, and nothing is stored twice.
func TestLostCommitAnswer(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name   string
		lose   lose
		stored bool
		err    error // not nil: the caller cannot be told
	}{
		{"the answer", func(_ *losing, toServer bool, message []byte) ([]byte, bool) {
			return nil, isCommitAnswer(toServer, message)
		}, true, nil},
		{"the answer, for a shutdown", func(_ *losing, toServer bool, message []byte) ([]byte, bool) {
			return fatal(), isCommitAnswer(toServer, message)
		}, true, nil},
		{"the events", func(_ *losing, toServer bool, message []byte) ([]byte, bool) {
			return nil, toServer && bytes.Contains(message, []byte("request.submitted"))
		}, false, nil},
		{"the answer and the server", func(w *losing, toServer bool, message []byte) ([]byte, bool) {
			lost := isCommitAnswer(toServer, message)
			if lost {
				w.Refuse()
			}
			return nil, lost
		}, true, eventstore.ErrUnknown},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			site := eventstoretest.New(t, eventstoretest.Setup{})
			w := newLosing(t, site)
			s := openThrough(t, site, w.URL)
			s.SetPatience(time.Second)
			_, first := submitted(`{}`)
			mustAppend(t, s, first) // statements are prepared now
			w.arm(c.lose)
			_, a := submitted(`{"iata":"AMS"}`)
			a = identified(a)
			records, err := s.Append(t.Context(), a)
			switch {
			case c.err != nil:
				readBack(t, site, a, err)
			case c.err == nil && c.stored && (err != nil || len(records) != 1):
				t.Errorf("it is stored, and the caller was told %v", err)
			case c.err == nil && !c.stored && (err == nil || !strings.Contains(err.Error(), "nothing was stored")):
				t.Errorf("it is not stored, and the caller was told %v", err)
			}
			want := 2
			if c.stored {
				want = 3
			}
			if got := len(all(t, site.Store)); got != want {
				t.Errorf("%d events are stored, want %d", got, want)
			}
		})
	}
}

// readBack finds out what became of an append whose outcome is unknown, by its
// id and by making it again.
func readBack(t *testing.T, site *eventstoretest.Site, a eventstore.Append, err error) {
	t.Helper()
	var unknown *eventstore.UnknownError
	if !errors.Is(err, eventstore.ErrUnknown) || !errors.As(err, &unknown) || unknown.ID != a.ID {
		t.Fatalf("got %v, want that the outcome of %s is unknown", err, a.ID)
	}
	if yes, err := site.Store.Stored(t.Context(), unknown.ID); err != nil || !yes {
		t.Errorf("read back: %v, %v", yes, err)
	}
	if again := mustAppend(t, site.Store, a); again[0].ID != a.ID || again[0].Seq != 3 {
		t.Errorf("made again: %+v", again)
	}
}

// TestGroupAfterALostAnswer: the whole group of a commit without an answer is
// resolved, and the writer goes on.
func TestGroupAfterALostAnswer(t *testing.T) {
	t.Parallel()
	site := eventstoretest.New(t, eventstoretest.Setup{})
	w := newLosing(t, site)
	through := *site
	through.Store = openThrough(t, site, w.URL)
	_, first := submitted(`{}`)
	mustAppend(t, through.Store, first)
	appends := make([]eventstore.Append, 10)
	for i := range appends {
		_, appends[i] = submitted(`{}`)
	}
	commits := 0
	w.arm(func(_ *losing, toServer bool, message []byte) ([]byte, bool) {
		if isCommitAnswer(toServer, message) {
			commits++
		}
		return fatal(), commits == 2 // the first one is of the append that keeps the writer busy
	})
	for _, o := range together(t, &through, appends) {
		if o.err != nil {
			t.Error(o.err)
		}
	}
	_, last := submitted(`{}`)
	mustAppend(t, through.Store, last)
	if got := len(all(t, site.Store)); got != 14 {
		t.Errorf("%d events are stored, want 14", got)
	}
}

func openThrough(t *testing.T, site *eventstoretest.Site, url string) *eventstore.Store {
	t.Helper()
	pool, err := eventstore.Pool(t.Context(), url, 4)
	if err != nil {
		t.Fatal(err)
	}
	return openOn(t, site, pool)
}

// openOn opens another store on a site's log, as another process would.
func openOn(t *testing.T, site *eventstoretest.Site, pool *pgxpool.Pool) *eventstore.Store {
	t.Helper()
	t.Cleanup(pool.Close)
	s, err := eventstore.Open(t.Context(), pool, site.Config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s
}

// poolWithout opens a pool that leaves a setting to the database.
func poolWithout(t *testing.T, url, setting string) *pgxpool.Pool {
	t.Helper()
	made, err := eventstore.Pool(t.Context(), url, 4)
	if err != nil {
		t.Fatal(err)
	}
	c := made.Config()
	made.Close()
	delete(c.ConnConfig.RuntimeParams, setting)
	pool, err := pgxpool.NewWithConfig(context.WithoutCancel(t.Context()), c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(pool.Close)
	return pool
}
