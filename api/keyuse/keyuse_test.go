package keyuse

import (
	"log/slog"
	"testing"
	"time"

	"sallyport/eventstore/eventstoretest"
)

func TestUsesAreWrittenOnceAMinute(t *testing.T) {
	t.Parallel()
	pool := eventstoretest.New(t, eventstoretest.Setup{}).Pool
	u := New(pool, slog.New(slog.DiscardHandler))
	began := time.Now().Truncate(time.Second)
	written := func() (at time.Time) {
		t.Helper()
		if err := pool.QueryRow(t.Context(), `SELECT coalesce(max(last_used_at), to_timestamp(0)) FROM api_key_uses`).Scan(&at); err != nil {
			t.Fatal(err)
		}
		return at
	}
	for _, c := range []struct {
		used, looked time.Duration
		want         time.Duration
	}{
		{0, 1 * time.Second, 0},
		{30 * time.Second, 31 * time.Second, 0}, // written half a minute ago
		{50 * time.Second, 62 * time.Second, 50 * time.Second},
		{40 * time.Second, 180 * time.Second, 50 * time.Second}, // earlier than what is known
		{200 * time.Second, 201 * time.Second, 200 * time.Second},
	} {
		u.Note("key", began.Add(c.used))
		if err := u.write(t.Context(), began.Add(c.looked), interval); err != nil {
			t.Fatal(err)
		}
		if got := written(); !got.Equal(began.Add(c.want)) {
			t.Errorf("used at %v: %v is written, want %v", c.used, got.Sub(began), c.want)
		}
	}
	u.Note("key", began.Add(202*time.Second))
	if err := u.write(t.Context(), began.Add(203*time.Second), 0); err != nil { // at the end
		t.Fatal(err)
	}
	if got := written(); !got.Equal(began.Add(202 * time.Second)) {
		t.Errorf("at the end %v is written", got.Sub(began))
	}
	if !u.Last("key").Equal(began.Add(202*time.Second)) || !u.Last("other").IsZero() {
		t.Error("what was noted is not known")
	}
}

// What cannot be written is kept.
func TestUsesOutliveADatabaseThatIsAway(t *testing.T) {
	t.Parallel()
	pool := eventstoretest.New(t, eventstoretest.Setup{}).Pool
	u := New(pool, slog.New(slog.DiscardHandler))
	now := time.Now().Truncate(time.Second)
	u.Note("key", now)
	pool.Close()
	if err := u.write(t.Context(), now, interval); err == nil {
		t.Fatal("written to a closed pool")
	}
	if ids, at := u.unwritten(now.Add(11*time.Second), interval); len(ids) != 1 || !at[0].Equal(now) {
		t.Errorf("%v %v is left to write", ids, at)
	}
}
