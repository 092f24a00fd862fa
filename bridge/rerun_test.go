package bridge_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"golang.org/x/sync/errgroup"

	"sallyport/bridge"
	"sallyport/bridge/bundle"
	"sallyport/domain"
	"sallyport/eventstore"
)

// obstacle is a folder in the way of a file: what would write there fails, as on
// a full disk, also for root.
func obstacle(t *testing.T, e *end, name string) (remove func()) {
	t.Helper()
	path := filepath.Join(e.dir, name)
	if err := os.MkdirAll(filepath.Join(path, "in the way"), 0o700); err != nil {
		t.Fatal(err)
	}
	return func() {
		if err := os.RemoveAll(path); err != nil {
			t.Fatal(err)
		}
	}
}

func TestAnExportThatEndedAfterItsPlanMakesExactlyThatPlan(t *testing.T) {
	t.Parallel()
	field, core := pair(t)
	field.submit(t)
	through := field.head(t).Pos
	clear := obstacle(t, field, "outbox/.tmp/core-1.payload")
	if out, err := field.Export(t.Context(), "core", "cli:ann"); err == nil || len(out) != 0 {
		t.Fatalf("exported %+v, %v", out, err)
	}
	if got := len(field.names(t, "outbox")); got != 1 {
		t.Errorf("%q in the outbox after a failure", field.names(t, "outbox"))
	}
	field.submit(t)
	clear()
	out := field.export(t, "core")
	if len(out) != 2 || out[0].Seq != 1 || out[0].Through != through || out[1].After != through {
		t.Fatalf("planned one bundle through %d and made %+v", through, out)
	}
	carry(t, field, core, out[1].File)
	carry(t, field, core, out[0].File)
	core.expect(t, bridge.Applied, bridge.Applied)
}

func TestAnExportThatEndedBeforeItWasRecordedMakesTheSameID(t *testing.T) {
	t.Parallel()
	field, core := pair(t)
	field.submit(t)
	name := nameOf("field", 1)
	clear := obstacle(t, field, "outbox/"+name+".label.txt")
	if out, err := field.Export(t.Context(), "core", "cli:ann"); err == nil {
		t.Fatalf("exported %+v", out)
	}
	published := read(t, field, "outbox/"+name)
	carry(t, field, core, name) // a courier was quicker
	core.expect(t, bridge.Applied)
	field.submit(t)
	clear()
	out := field.export(t, "core")
	if id := manifestOf(t, published).Core.ID(); len(out) != 2 || out[0].ID != id || out[0].File != name {
		t.Fatalf("published %s and then %+v", id, out)
	}
	carry(t, field, core, out[0].File)
	carry(t, field, core, out[1].File)
	core.expect(t, bridge.Duplicate, bridge.Applied)
	if got := field.names(t, "outbox/.tmp"); len(got) != 0 {
		t.Errorf("left behind: %q", got)
	}
}

// 2,500 events take three transactions. The second is refused or its caller is
// gone: the first stays, the second leaves nothing, and the next run goes on.
func TestAnImportThatEndsInTheMiddleGoesOnFromItsCursor(t *testing.T) {
	t.Parallel()
	errFull := errors.New("the queue is full")
	for name, end := range map[string]func(cancel func()) error{
		"the work cannot be stored": func(func()) error { return errFull },
		"the program ends":          func(cancel func()) error { cancel(); return nil },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			field, core := pair(t)
			field.submitMany(t, 2500, true)
			out := field.exportOne(t, "core")
			carry(t, field, core, out.File)
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			calls, stored := 0, 0
			core.Enqueue = func(_ context.Context, _ pgx.Tx, events []domain.Event, facts []domain.Fact) error {
				if calls++; calls == 2 {
					return end(cancel)
				}
				if len(events) != len(facts) || len(events) > 1000 {
					t.Errorf("%d events, %d facts in one transaction", len(events), len(facts))
				}
				stored += len(events)
				return nil
			}
			if got, err := core.Import(ctx); err == nil {
				t.Fatalf("imported %+v", got)
			}
			if l := core.link(t, "field"); len(core.mirrored(t, "field")) != 1000 || l.In.Seq != 0 || l.In.Through == 0 {
				t.Fatalf("after the first transaction: %d events, %+v", len(core.mirrored(t, "field")), l.In)
			}
			core.expect(t, bridge.Applied)
			if int64(stored) != out.Events {
				t.Errorf("work was stored for %d of %d events", stored, out.Events)
			}
			sameChain(t, field, core)
		})
	}
}

// sameChain computes the chain of the mirror from what was stored and compares
// it with the sender's own log, at the end of every withheld run too. Both
// packages' hashes are used: they must be the same function.
func sameChain(t *testing.T, from, at *end) {
	t.Helper()
	l, name := at.link(t, from.Card().Name), from.Card().Name
	runs, err := at.site.Store.ReadWithheld(t.Context(), name, 0, 100_000)
	if err != nil {
		t.Fatal(err)
	}
	theirs := map[int64]eventstore.Hash{}
	chain := eventstore.Genesis(from.Card().Epoch, name)
	for _, line := range from.mirrored(t, name) {
		chain = chain.Next(line.Bytes)
		theirs[line.Pos] = chain
	}
	pos, ours := int64(0), bundle.Start(from.Card().Epoch, name)
	for _, line := range append(at.mirrored(t, name), eventstore.Line{Pos: 1 << 40}) {
		for len(runs) > 0 && runs[0].After == pos && runs[0].Through < line.Pos {
			pos, ours = runs[0].Through, bundle.Hash(runs[0].Chain)
			if eventstore.Hash(ours) != theirs[pos] {
				t.Fatalf("the withheld run through %d ends with another chain than the sender's", pos)
			}
			runs = runs[1:]
		}
		if line.Pos != 1<<40 {
			if line.Pos != pos+1 {
				t.Fatalf("position %d follows %d", line.Pos, pos)
			}
			pos, ours = line.Pos, ours.Next(line.Bytes)
		}
	}
	if len(runs) > 0 || pos != l.In.Through || ours != l.In.Chain || eventstore.Hash(ours) != theirs[pos] {
		t.Fatalf("the mirror ends at %d with %s; the cursor is at %d with %s; the sender's chain there is %s; %d runs are left",
			pos, ours, l.In.Through, l.In.Chain, theirs[l.In.Through], len(runs))
	}
}

func (e *end) head(t *testing.T) eventstore.Head {
	t.Helper()
	h, err := e.site.Store.Head(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return h
}

// second gives another program on the same database and folders.
func (e *end) second(t *testing.T) *bridge.Bridge {
	t.Helper()
	site := *e.site
	pool, err := eventstore.Pool(t.Context(), site.AppURL, 8)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(pool.Close)
	log, err := eventstore.Open(t.Context(), pool, site.Config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(log.Close)
	site.Pool = pool
	return newBridge(t, &site, log, e.dir)
}

func TestTwoProgramsAtOnceDoNothingTwice(t *testing.T) {
	t.Parallel()
	field, core := pair(t)
	field.submitMany(t, 1200, false)
	var made [2][]bridge.Exported
	var g errgroup.Group
	for i, b := range []*bridge.Bridge{field.Bridge, field.second(t)} {
		g.Go(func() (err error) {
			made[i], err = b.Export(t.Context(), "core", "cli:test")
			return err
		})
	}
	if err := g.Wait(); err != nil {
		t.Fatal(err)
	}
	// The later of the two finds nothing to do but to remind the peer.
	all := slices.DeleteFunc(append(made[0], made[1]...), func(x bridge.Exported) bool { return x.Kind == bundle.Beacon })
	if len(all) != 1 {
		t.Fatalf("two exporters made %+v", all)
	}
	carry(t, field, core, all[0].File)
	var got [2][]bridge.Outcome
	for i, b := range []*bridge.Bridge{core.Bridge, core.second(t)} {
		g.Go(func() (err error) {
			got[i], err = b.Import(t.Context())
			return err
		})
	}
	if err := g.Wait(); err != nil {
		t.Fatal(err)
	}
	if both := append(got[0], got[1]...); len(both) != 1 || both[0].State != bridge.Applied {
		t.Fatalf("two importers made %+v", both)
	}
	if n := int64(len(core.mirrored(t, "field"))); n != all[0].Events {
		t.Errorf("%d events are mirrored, %d were sent", n, all[0].Events)
	}
	sameChain(t, field, core)
}

// A bundle's last transaction may hold no event, only a withheld run; and one
// too large to be kept in memory is read twice.
func TestTheEdgesOfTransactions(t *testing.T) {
	t.Parallel()
	for name, prepare := range map[string]func(*testing.T, *end){
		"a run after the thousandth event": func(t *testing.T, field *end) {
			field.submitMany(t, 998, false) // after the two about the site
			field.append(t, domain.RequestNameStream("ann", "x"), domain.RequestNameClaimed{Request: "x"})
		},
		"more than is kept in memory": func(t *testing.T, field *end) {
			large := requested()
			large.Params = []byte(`{"x":"` + strings.Repeat("a", 900_000) + `"}`)
			for range 20 {
				field.append(t, domain.RequestStream(large.User), large)
			}
			field.submitMany(t, 1500, true)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			field, core := pair(t)
			prepare(t, field)
			out := field.exportOne(t, "core")
			carry(t, field, core, out.File)
			core.expect(t, bridge.Applied)
			if l := core.link(t, "field"); l.In.Through != out.Through || l.In.Seq != 1 {
				t.Errorf("applied %+v, sent %+v", l.In, out)
			}
			sameChain(t, field, core)
		})
	}
}
