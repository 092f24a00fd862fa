package eventstore_test

import (
	"errors"
	"reflect"
	"strings"
	"sync/atomic"
	"testing"

	"sallyport/domain"
	"sallyport/eventstore"
	"sallyport/eventstore/eventstoretest"
)

// trips counts how often a program asks its database to answer.
type trips struct{ n atomic.Int64 }

const syncMessage = 'S'

// counted opens a second store on a site's log whose trips are counted, and
// which is alone on it as far as it knows. Its statements are prepared.
func counted(t *testing.T, site *eventstoretest.Site) (*eventstore.Store, *trips) {
	t.Helper()
	count := &trips{}
	wire := eventstoretest.NewWire(t, site.AppURL, func(message []byte) ([]byte, bool) {
		if message[0] == syncMessage {
			count.n.Add(1)
		}
		return message, true
	}, func(message []byte) ([]byte, bool) { return message, true })
	pool, err := eventstore.Pool(t.Context(), wire.URL, 1)
	if err != nil {
		t.Fatal(err)
	}
	s := openOn(t, site, pool)
	for range 3 {
		_, a := submitted(`{}`)
		mustAppend(t, s, a)
	}
	return s, count
}

func (c *trips) of(t *testing.T, s *eventstore.Store, a eventstore.Append) int {
	t.Helper()
	before := c.n.Load()
	mustAppend(t, s, a)
	return int(c.n.Load() - before)
}

func TestAWriterThatIsAloneNeedsOneTrip(t *testing.T) {
	t.Parallel()
	site := eventstoretest.New(t, eventstoretest.Setup{})
	s, count := counted(t, site)
	next := func() eventstore.Append { _, a := submitted(`{}`); return a }
	foreign := func() eventstore.Append { mustAppend(t, site.Store, next()); return next() }
	var got []int
	for _, a := range []func() eventstore.Append{
		next, next,
		foreign,    // one in vain, and two
		next,       // and again it asks first
		next, next, // nobody else was there meanwhile
		func() eventstore.Append { return write(eventstore.Any, "username-a", claim(1)) }, // of it nothing is foreseen
		func() eventstore.Append { return write(1, "username-a", claim(2), claim(3)) },
		func() eventstore.Append { return write(3, "username-a", claim(4)) },
	} {
		got = append(got, count.of(t, s, a()))
	}
	if want := []int{1, 1, 3, 2, 1, 1, 2, 1, 1}; !reflect.DeepEqual(got, want) {
		t.Errorf("trips %v, want %v", got, want)
	}
	all(t, s)
}

// What changes behind the back of a writer that believes to be alone is
// noticed all the same, and told as if it had asked.
func TestWhatWasNotForeseenIsFoundOut(t *testing.T) {
	t.Parallel()
	conflict := func(actual int64) func(error) bool {
		return func(err error) bool {
			var c *eventstore.ConflictError
			return errors.As(err, &c) && c.Actual == actual
		}
	}
	says := func(text string) func(error) bool {
		return func(err error) bool { return err != nil && strings.Contains(err.Error(), text) }
	}
	readOnly := func(err error) bool { var r *eventstore.ReadOnlyError; return errors.As(err, &r) }
	_, fresh := submitted(`{}`)
	tests := map[string]struct {
		meanwhile func(t *testing.T, site *eventstoretest.Site)
		append    eventstore.Append
		want      func(error) bool
	}{
		"a stream that exists":         {nil, write(eventstore.NoStream, "username-old", claim(2)), conflict(1)},
		"a stream that does not exist": {nil, write(7, "username-new", claim(2)), conflict(0)},
		"a stream that is further": {func(t *testing.T, site *eventstoretest.Site) {
			mustAppend(t, site.Store, write(1, "username-old", claim(2)))
		}, write(1, "username-old", claim(3)), conflict(2)},
		"another's stream": {func(t *testing.T, site *eventstoretest.Site) {
			if err := site.Store.Mirror(t.Context(), foreign(t, 1, 1)); err != nil {
				t.Fatal(err)
			}
		}, write(eventstore.NoStream, "username-hq1", claim(1)), says("another site")},
		"a log that became read-only": {func(t *testing.T, site *eventstoretest.Site) {
			if _, err := site.Store.MakeReadOnly(t.Context(), "it lost events"); err != nil {
				t.Fatal(err)
			}
		}, fresh, readOnly},
		"a log that wants newer programs": {func(t *testing.T, site *eventstoretest.Site) {
			exec(t, site, `UPDATE log_head SET min_writer = 2`)
		}, fresh, says("too old")},
		"a log that was founded anew": {func(t *testing.T, site *eventstoretest.Site) {
			exec(t, site, `UPDATE log_head SET epoch = repeat('0', 32)`)
		}, fresh, func(err error) bool { return errors.Is(err, eventstore.ErrRefounded) }},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			site := withKept(t)
			mustAppend(t, site.Store, write(eventstore.NoStream, "username-old", claim(1)))
			s, _ := counted(t, site)
			if tc.meanwhile != nil {
				tc.meanwhile(t, site)
			}
			before, err := s.Head(t.Context())
			if err != nil && !strings.Contains(err.Error(), "too old") {
				t.Fatal(err)
			}
			if _, err := s.Append(t.Context(), tc.append); !tc.want(err) {
				t.Errorf("got %v", err)
			}
			if after, err := s.Head(t.Context()); err == nil && after != before {
				t.Errorf("the log moved from %+v to %+v", before, after)
			}
		})
	}
}

func exec(t *testing.T, site *eventstoretest.Site, statement string) {
	t.Helper()
	if _, err := site.Owner.Exec(t.Context(), statement); err != nil {
		t.Fatal(err)
	}
}

// TestPlansHoldAsTheLogGrows makes plans on a log that is known to be small,
// where to read it all is cheapest, and sees that none of them does.
func TestPlansHoldAsTheLogGrows(t *testing.T) {
	t.Parallel()
	site := eventstoretest.New(t, eventstoretest.Setup{})
	if _, err := site.Owner.Exec(t.Context(), `ANALYZE events`); err != nil {
		t.Fatal(err)
	}
	scans := func() (whole, byIndex int64) {
		t.Helper()
		if err := site.Owner.QueryRow(t.Context(), `SELECT seq_scan, idx_scan FROM pg_stat_user_tables WHERE relname = 'events'`).Scan(&whole, &byIndex); err != nil {
			t.Fatal(err)
		}
		return whole, byIndex
	}
	wholeBefore, before := scans()
	pool, err := eventstore.Pool(t.Context(), site.Pool.Config().ConnString(), 2)
	if err != nil {
		t.Fatal(err)
	}
	s := openOn(t, site, pool)
	const appends = 20 // a plan is kept from the sixth on
	for range appends {
		_, a := submitted(`{}`)
		mustAppend(t, s, a)
		id, b := submitted(`{}`)
		b.Writes[0].Expected = eventstore.Any // asks for the versions first
		mustAppend(t, s, b)
		if _, err := s.Origins(t.Context(), []string{domain.RequestStream(id)}); err != nil {
			t.Fatal(err)
		}
	}
	pool.Close() // a connection tells what it did when it ends
	eventually(t, "the statistics to be told", func() bool { whole, byIndex := scans(); return whole+byIndex >= wholeBefore+before+3*appends })
	if whole, _ := scans(); whole != wholeBefore {
		t.Errorf("the log was read as a whole %d times", whole-wholeBefore)
	}
}
