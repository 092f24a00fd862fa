package projections

import (
	"log/slog"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"sallyport/domain"
	"sallyport/eventstore"
)

// TestALateLookUpIsNotKept plays what no test from outside can time: a
// look-up that read the tables before a change and comes to keep what it
// found when Run has already passed that change.
func TestALateLookUpIsNotKept(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		change   bool // between the look-up's beginning and its end
		followed int64
		want     bool
	}{
		"nothing changed":                {false, 0, true},
		"changed, perhaps uncommitted":   {true, 0, false},
		"changed, committed, and passed": {true, 9, false},
	} {
		d := NewDirectory(nil, slog.New(slog.DiscardHandler))
		d.current = time.Now()
		begun, kept := d.changes, false
		if c.change {
			if err := d.Apply(&pgx.Batch{}, []eventstore.Record{{Seq: 9, Event: domain.Event{Type: "user.registered", Stream: "user-1"}}}); err != nil {
				t.Fatal(err)
			}
		}
		d.followed = c.followed
		d.keep(begun, func() { kept = true })
		if kept != c.want {
			t.Errorf("%s: kept is %v", name, kept)
		}
	}
}
