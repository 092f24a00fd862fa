package eventstore_test

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"sallyport/domain"
	"sallyport/eventstore"
	"sallyport/eventstore/eventstoretest"
)

func TestAReadOnlyLogRefusesWhoeverAsks(t *testing.T) {
	t.Parallel()
	site := withKept(t)
	mustAppend(t, site.Store, write(eventstore.NoStream, "username-a", claim(1)))
	before, err := site.Store.Head(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range []bool{true, false} {
		if made, err := site.Store.MakeReadOnly(t.Context(), "it lost events"); made != want || err != nil {
			t.Errorf("call %d: %v, %v", i, made, err)
		}
	}
	appends := map[string]func() error{
		"Append": func() error {
			_, err := site.Store.Append(t.Context(), write(eventstore.Any, "username-b", claim(2)))
			return err
		},
		"AppendTx": func() error {
			return pgx.BeginFunc(t.Context(), site.Pool, func(tx pgx.Tx) error {
				_, err := site.Store.AppendTx(t.Context(), tx, write(eventstore.Any, "username-b", claim(2)))
				return err
			})
		},
		"Mirror": func() error { return site.Store.Mirror(t.Context(), foreign(t, 1, 2)) },
	}
	for name, try := range appends {
		var refused *eventstore.ReadOnlyError
		if err := try(); !errors.As(err, &refused) || refused.Reason != "it lost events" || !strings.Contains(err.Error(), "nothing was stored") {
			t.Errorf("%s: %v", name, err)
		}
	}
	after, err := site.Store.Head(t.Context())
	if before.ReadOnly = "it lost events"; err != nil || after != before {
		t.Errorf("the head went from %+v to %+v, %v", before, after, err)
	}
	if got := len(all(t, site.Store)); got != 2 {
		t.Errorf("%d events can be read, want 2", got)
	}
}

// A program that runs on while its database is exchanged for an older one must
// not write where events have been.
func TestALogThatGoesBackIsNotWrittenTo(t *testing.T) {
	t.Parallel()
	site := withKept(t)
	old, err := site.Store.Head(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	mustAppend(t, site.Store, write(eventstore.NoStream, "username-a", claim(1)))
	if _, err := site.Owner.Exec(t.Context(), `ALTER TABLE events DISABLE TRIGGER ALL; DELETE FROM events WHERE seq > 1`); err != nil {
		t.Fatal(err)
	}
	if _, err := site.Owner.Exec(t.Context(), `UPDATE log_head SET seq = $1, pos = $2, chain = $3`, old.Seq, old.Pos, old.Chain[:]); err != nil {
		t.Fatal(err)
	}
	var refused *eventstore.ReadOnlyError
	if _, err := site.Store.Append(t.Context(), write(eventstore.NoStream, "username-b", claim(1))); !errors.As(err, &refused) {
		t.Errorf("got %v", err)
	}
}

// A log that grows while it is looked at is no older one.
func TestAGrowingLogIsWritable(t *testing.T) {
	t.Parallel()
	site := eventstoretest.New(t, eventstoretest.Setup{})
	ctx, cancel := context.WithCancel(t.Context())
	var growing sync.WaitGroup
	for range 4 {
		growing.Go(func() {
			for ctx.Err() == nil {
				a := eventstore.Append{Actor: "user-1", Writes: []eventstore.Write{{Stream: "username-" + uuid.NewString(), Facts: []domain.Fact{claim(1)}}}}
				if _, err := site.Store.Append(ctx, a); err != nil && ctx.Err() == nil {
					t.Error(err)
				}
			}
		})
	}
	for range 300 {
		if err := site.Store.Writable(ctx); err != nil {
			t.Error(err)
			break
		}
	}
	cancel()
	growing.Wait()
}
