package eventstore_test

import (
	"bytes"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"sallyport/domain"
	"sallyport/eventstore"
	"sallyport/eventstore/eventstoretest"
)

func TestALogIsFoundedOnce(t *testing.T) {
	t.Parallel()
	site := eventstoretest.New(t, eventstoretest.Setup{})
	again, err := eventstore.Found(t.Context(), site.Pool, site.Config,
		domain.SiteFounded{Site: "other", Role: domain.ResponseSite, Epoch: strings.Repeat("f", 32)}, "cli:test")
	if err != nil || again {
		t.Errorf("founded again: %v, %v", again, err)
	}
	if s := site.Store; s.Site() != "field" || s.Role() != domain.RequestSite || s.Epoch() != eventstoretest.Epoch {
		t.Errorf("the log is of %s, %s, %s", s.Site(), s.Role(), s.Epoch())
	}
	records := all(t, site.Store)
	want := domain.SiteFounded{Site: "field", Role: domain.RequestSite, Epoch: eventstoretest.Epoch}
	if len(records) != 1 || records[0].Fact != want || records[0].Stream != "site-field" || records[0].Actor != "cli:test" {
		t.Errorf("the log begins with %+v", records)
	}
}

func TestOpenNeedsALog(t *testing.T) {
	t.Parallel()
	site := eventstoretest.New(t, eventstoretest.Setup{})
	if _, err := site.Owner.Exec(t.Context(), `DELETE FROM log_head`); err != nil {
		t.Fatal(err)
	}
	if _, err := eventstore.Open(t.Context(), site.Pool, site.Config); !errors.Is(err, eventstore.ErrNotFounded) {
		t.Errorf("got %v, want ErrNotFounded", err)
	}
}

func TestFoundingIsAllOrNothing(t *testing.T) {
	t.Parallel()
	site := eventstoretest.New(t, eventstoretest.Setup{})
	if _, err := site.Owner.Exec(t.Context(), `DELETE FROM log_head; ALTER TABLE events DISABLE TRIGGER ALL; DELETE FROM events; ALTER TABLE events ENABLE TRIGGER ALL`); err != nil {
		t.Fatal(err)
	}
	refusing := site.Config
	refusing.CheckLine = func([]byte) error { return errors.New("no line is good enough") }
	f := domain.SiteFounded{Site: "field", Role: domain.RequestSite, Epoch: eventstoretest.Epoch}
	if done, err := eventstore.Found(t.Context(), site.Pool, refusing, f, "cli:test"); err == nil || done {
		t.Fatalf("founded: %v, %v", done, err)
	}
	clock := site.Config
	clock.Now = func() time.Time { return time.Date(1999, 12, 31, 23, 59, 59, 123456789, time.FixedZone("", 3600)) }
	if done, err := eventstore.Found(t.Context(), site.Pool, clock, f, "cli:test"); err != nil || !done {
		t.Fatalf("not founded: %v, %v", done, err)
	}
	if at := all(t, site.Store)[0].At; !at.Equal(time.Date(1999, 12, 31, 22, 59, 59, 123456000, time.UTC)) {
		t.Errorf("founded at %s", at)
	}
}

func TestANewerLogRefusesThisProgram(t *testing.T) {
	t.Parallel()
	site := eventstoretest.New(t, eventstoretest.Setup{})
	if _, err := site.Owner.Exec(t.Context(), `UPDATE log_head SET min_writer = 2`); err != nil {
		t.Fatal(err)
	}
	_, a := submitted(`{}`)
	if _, err := site.Store.Append(t.Context(), a); err == nil || !strings.Contains(err.Error(), "too old") {
		t.Errorf("append: %v", err)
	}
	if _, err := eventstore.Open(t.Context(), site.Pool, site.Config); err == nil || !strings.Contains(err.Error(), "upgrade") {
		t.Errorf("open: %v", err)
	}
}

// TestTheLogIsOnlyAppendedTo: grants stop the program, the trigger the owner.
func TestTheLogIsOnlyAppendedTo(t *testing.T) {
	t.Parallel()
	site := eventstoretest.New(t, eventstoretest.Setup{})
	_, a := submitted(`{}`)
	mustAppend(t, site.Store, a)
	for _, statement := range []string{
		`UPDATE events SET line = line`, `UPDATE events SET actor = 'x' WHERE seq = 1`, `DELETE FROM events`, `DELETE FROM events WHERE false`, `TRUNCATE events`,
		`UPDATE withheld SET through = 9`, `DELETE FROM withheld`, `TRUNCATE withheld`,
		`INSERT INTO events SELECT * FROM events ON CONFLICT (seq) DO UPDATE SET line = 'x'`,
	} {
		if _, err := site.Pool.Exec(t.Context(), statement); err == nil || !strings.Contains(err.Error(), "42501") {
			t.Errorf("the program may run %s: %v", statement, err)
		}
		if _, err := site.Owner.Exec(t.Context(), statement); err == nil || !strings.Contains(err.Error(), "only ever appended to") {
			t.Errorf("the owner may run %s: %v", statement, err)
		}
	}
	for _, statement := range []string{
		`DELETE FROM log_head`, `DROP TABLE events`, `ALTER TABLE events DISABLE TRIGGER ALL`, `DROP TRIGGER events_append_only ON events`,
		`CREATE OR REPLACE FUNCTION log_is_append_only() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END'`, `SET session_replication_role = replica`,
	} {
		if _, err := site.Pool.Exec(t.Context(), statement); err == nil {
			t.Errorf("the program may run %s", statement)
		}
	}
	if got := len(all(t, site.Store)); got != 2 {
		t.Errorf("%d events are left, want 2", got)
	}
}

func TestWaitWakesWhenTheLogGrows(t *testing.T) {
	t.Parallel()
	site := eventstoretest.New(t, eventstoretest.Setup{})
	other, err := eventstore.Open(t.Context(), site.Pool, site.Config)
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	if seq, err := site.Store.Wait(t.Context(), 0); err != nil || seq != 1 {
		t.Errorf("got %d, %v, want 1 at once", seq, err)
	}
	type growth struct {
		seq int64
		err error
	}
	seen := make(chan growth, 2)
	for _, s := range []*eventstore.Store{site.Store, other} { // one in this process, one as in another
		go func() {
			seq, err := s.Wait(t.Context(), 1)
			seen <- growth{seq, err}
		}()
	}
	_, a := submitted(`{}`)
	mustAppend(t, site.Store, a)
	for range 2 {
		if g := <-seen; g.err != nil || g.seq != 2 {
			t.Errorf("woke with %+v, want 2", g)
		}
	}
}

// TestACommitNotifies: who waits in another process needs no poll.
func TestACommitNotifies(t *testing.T) {
	t.Parallel()
	site := eventstoretest.New(t, eventstoretest.Setup{})
	other := site.Another(t)
	other.SetPolling(time.Hour)
	woke := make(chan int64, 1)
	go func() {
		seq, err := other.Wait(t.Context(), 1)
		if err != nil {
			t.Error(err)
		}
		woke <- seq
	}()
	eventually(t, "it listens", func() bool {
		var listens bool
		err := site.Owner.QueryRow(t.Context(), `SELECT EXISTS (SELECT FROM pg_stat_activity
			WHERE datname = current_database() AND query LIKE 'LISTEN %' AND state = 'idle')`).Scan(&listens)
		return err == nil && listens
	})
	_, a := submitted(`{}`)
	mustAppend(t, site.Store, a)
	if seq := <-woke; seq != 2 {
		t.Errorf("woke with %d, want 2", seq)
	}
}

// TestACommitTellsOfTopics: whoever hears of a topic is called when a commit
// tells of it, not when it is rolled back or tells of another, and once when
// listening begins.
func TestACommitTellsOfTopics(t *testing.T) {
	t.Parallel()
	site := eventstoretest.New(t, eventstoretest.Setup{})
	other := site.Another(t)
	heard, last := make(chan struct{}, 10), make(chan struct{}, 10)
	other.Hear("rights", func() { heard <- struct{}{} })
	<-heard // word may have been lost until now
	tell := func(topic string, outcome error) {
		t.Helper()
		err := pgx.BeginFunc(t.Context(), site.Pool, func(tx pgx.Tx) error {
			b := &pgx.Batch{}
			eventstore.Tell(b, topic)
			return errors.Join(tx.SendBatch(t.Context(), b).Close(), outcome)
		})
		if !errors.Is(err, outcome) {
			t.Fatal(err)
		}
	}
	tell("rights", errors.ErrUnsupported)
	tell("else", nil)
	tell("rights", nil)
	<-heard
	other.Hear("last", func() { last <- struct{}{} })
	tell("last", nil)
	<-last
	if n := len(heard); n > 0 {
		t.Errorf("called %d times too often", n)
	}
}

// TestPollingBacksUp: who cannot listen wakes too.
func TestPollingBacksUp(t *testing.T) {
	t.Parallel()
	site := eventstoretest.New(t, eventstoretest.Setup{})
	w := newLosing(t, site)
	other := openThrough(t, site, w.URL)
	asked := make(chan struct{})
	w.arm(func(w *losing, toServer bool, message []byte) ([]byte, bool) {
		lost := toServer && bytes.Contains(message, []byte("LISTEN"))
		if lost {
			close(asked)
		}
		return nil, lost
	})
	woke := make(chan int64, 1)
	go func() {
		seq, err := other.Wait(t.Context(), 1)
		if err != nil {
			t.Error(err)
		}
		woke <- seq
	}()
	<-asked
	_, a := submitted(`{}`)
	mustAppend(t, site.Store, a)
	if seq := <-woke; seq != 2 {
		t.Errorf("woke with %d, want 2", seq)
	}
}

func TestChainGoldenValues(t *testing.T) {
	t.Parallel()
	h := eventstore.Genesis("0123456789abcdef0123456789abcdef", "field")
	if want := "5f9c2c10a84d81e283ddddbdea98bb9d427b852ec92869a7695e67324d033b29"; h.String() != want {
		t.Errorf("the chain begins with %s, want %s", h, want)
	}
	for i, want := range []string{"193d9aabf4cdb475bff6b1a0b3ddae367899dd6691e7c8f31c059783c83a4ece", "cb194b4edd7ba370bde248d7ecb33df4e423562b711921cc40003792a31ceb86"} {
		if h = h.Next([]byte([]string{`{"pos":1}`, `{"pos":2,"ü":null}`}[i])); h.String() != want {
			t.Errorf("after line %d: %s, want %s", i+1, h, want)
		}
	}
	if back, err := eventstore.ParseHash(h.String()); err != nil || back != h {
		t.Errorf("read back %s, %v", back, err)
	}
	for _, bad := range []string{"", "00", strings.Repeat("0", 63), strings.Repeat("0", 66), strings.Repeat("g", 64)} {
		if _, err := eventstore.ParseHash(bad); err == nil {
			t.Errorf("%q was read as a hash", bad)
		}
	}
}
