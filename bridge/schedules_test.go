package bridge_test

import (
	"context"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"sallyport/bridge"
	"sallyport/bridge/bundle"
	"sallyport/bridge/link"
	"sallyport/bridge/simulate"
	"sallyport/domain"
	"sallyport/eventstore"
)

var (
	firstSeed = flag.Uint64("seed", 1, "the first seed of the schedules on PostgreSQL")
	schedules = flag.Int("schedules", 500/underRace, "how many schedules on PostgreSQL")
)

// The simulator's schedules on the whole bridge: PostgreSQL, files, signatures,
// encryption. Each pair of sites lives through many of them, one after the other.
func TestSchedulesOnPostgreSQL(t *testing.T) {
	t.Parallel()
	const pairs = 4
	for i := range pairs {
		t.Run(fmt.Sprintf("pair %d", i+1), func(t *testing.T) {
			t.Parallel()
			w := newReal(t)
			p := simulate.Plan{Center: "core", Others: []string{"field"}, Actions: 12}
			for seed := *firstSeed + uint64(i); seed < *firstSeed+uint64(*schedules); seed += pairs {
				actions := p.Generate(seed)
				if err := simulate.Run(p, w, actions); err != nil {
					t.Fatalf("seed %d, after the schedules before it: %v\n%s", seed, err, simulate.Trace(actions))
				}
			}
		})
	}
}

// realWorld is a [simulate.World] of real sites.
type realWorld struct {
	t    *testing.T
	ends map[string]*end
	open map[string]*bridge.Bridge // whoever crashed is opened anew
}

func newReal(t *testing.T) *realWorld {
	field, core := pair(t)
	w := &realWorld{t: t, ends: map[string]*end{"field": field, "core": core}, open: map[string]*bridge.Bridge{}}
	for name, e := range w.ends {
		site := *e.site
		site.Pool = w.crashingPool(site.AppURL)
		e.site = &site
		w.start(name)
	}
	return w
}

// start opens a site's bridge without the memory of the one before.
func (w *realWorld) start(name string) {
	e := w.ends[name]
	w.open[name] = newBridge(w.t, e.site, e.site.Store, e.dir)
}

// Append writes events that cross, and events that stay at home.
func (w *realWorld) Append(name string, n int, toward uint) error {
	e := w.ends[name]
	for range n {
		crosses := toward&1 == 1
		toward >>= 2
		id := uuid.NewString()
		write := eventstore.Write{Stream: domain.RequestNameStream(name, id), Facts: []domain.Fact{domain.RequestNameClaimed{Request: id}}}
		switch {
		case crosses && name == "field":
			write = eventstore.Write{Stream: domain.RequestStream(id), Facts: []domain.Fact{requested()}}
		case crosses:
			write = eventstore.Write{Stream: domain.UsernameStream(id), Facts: []domain.Fact{domain.UsernameClaimed{User: id}}}
		}
		if _, err := e.site.Store.Append(w.t.Context(), eventstore.Append{Actor: "cli:test", Writes: []eventstore.Write{write}}); err != nil {
			return err
		}
	}
	return nil
}

func (w *realWorld) Export(name, peer string, p link.Pressure, crash int) error {
	return w.crashing(name, crash, func(ctx context.Context) error {
		_, err := w.open[name].ExportUnder(ctx, peer, p)
		return err
	})
}

func (w *realWorld) Import(name string, crash int) error {
	return w.crashing(name, crash, func(ctx context.Context) error {
		_, err := w.open[name].Import(ctx)
		return err
	})
}

type realFile struct {
	name string
	data []byte
}

func (f realFile) String() string { return f.name }

func (w *realWorld) Outbox(name, peer string) []simulate.File {
	var files []simulate.File
	for _, n := range w.ends[name].names(w.t, "outbox") {
		if _, err := bundle.ParseName(n); err == nil && strings.HasPrefix(n, "sp1_"+name+"-"+peer+"_") {
			files = append(files, simulate.File{From: name, To: peer, Content: realFile{n, read(w.t, w.ends[name], "outbox/"+n)}})
		}
	}
	return files
}

func (w *realWorld) Remove(f simulate.File) {
	path := filepath.Join(w.ends[f.From].dir, "outbox", f.Content.(realFile).name)
	if err := os.Remove(path); err != nil && !os.IsNotExist(err) {
		w.t.Fatal(err)
	}
}

func (w *realWorld) Drop(name string, f simulate.File) {
	x := f.Content.(realFile)
	drop(w.t, w.ends[name], x.name, x.data)
}

func (w *realWorld) Damaged(f simulate.File, at int) simulate.File {
	x := f.Content.(realFile)
	x.data = slices.Clone(x.data)
	x.data[(at*7919+11)%len(x.data)] ^= 1 << (at % 8)
	f.Content = x
	return f
}

func (w *realWorld) Backup(string)        {}
func (w *realWorld) Restore(string, bool) {}

func (w *realWorld) Lost(string, string) (bool, error) { return false, nil }

func (w *realWorld) Lagging(from, to string) error {
	l, there := w.ends[from].link(w.t, to), w.ends[to].link(w.t, from)
	if l.Stopped != "" {
		return fmt.Errorf("%s stopped its link with %s: %s", from, to, l.Stopped)
	}
	if there.In.Through != l.Out.Through || l.Unacknowledged() {
		return fmt.Errorf("%s sent through %d, %s applied through %d, of which %s knows %d", from, l.Out.Through, to, there.In.Through, from, l.Out.AckedThrough)
	}
	return w.same(from, to, there.In)
}

// same holds the mirror against the log: the same lines, and nothing withheld
// that crosses.
func (w *realWorld) same(from, to string, in link.Inbound) error {
	crosses := func(l eventstore.Line) bool {
		k, _ := domain.KindOf(l.Type)
		return l.Pos <= in.Through && k.MayLeave(w.ends[from].Card().Role)
	}
	ours := w.ends[from].mirrored(w.t, from)
	ours = slices.DeleteFunc(ours, func(l eventstore.Line) bool { return !crosses(l) })
	theirs := w.ends[to].mirrored(w.t, from)
	if !slices.EqualFunc(ours, theirs, func(a, b eventstore.Line) bool { return a.Pos == b.Pos && string(a.Bytes) == string(b.Bytes) }) {
		return fmt.Errorf("%s holds %d events of %s, which sent %d, and not all are equal", to, len(theirs), from, len(ours))
	}
	return nil
}

// crash ends a call at the n-th trip to the database, by its context.
type crash struct {
	left int
	end  context.CancelFunc
}

type crashKey struct{}

func (w *realWorld) crashing(name string, trips int, fn func(context.Context) error) error {
	if trips == 0 {
		return fn(w.t.Context())
	}
	ctx, cancel := context.WithCancel(w.t.Context())
	defer cancel()
	err := fn(context.WithValue(ctx, crashKey{}, &crash{left: trips * 2, end: cancel}))
	if ctx.Err() == nil {
		return err
	}
	w.start(name)
	return nil
}

// crashingPool counts the trips of calls that are to crash.
func (w *realWorld) crashingPool(url string) *pgxpool.Pool {
	c, err := pgxpool.ParseConfig(url)
	if err != nil {
		w.t.Fatal(err)
	}
	c.ConnConfig.Tracer = tripCounter{}
	pool, err := pgxpool.NewWithConfig(w.t.Context(), c)
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(pool.Close)
	return pool
}

type tripCounter struct{}

func (tripCounter) TraceQueryStart(ctx context.Context, _ *pgx.Conn, _ pgx.TraceQueryStartData) context.Context {
	if c, ok := ctx.Value(crashKey{}).(*crash); ok {
		if c.left--; c.left == 0 {
			c.end()
		}
	}
	return ctx
}

func (tripCounter) TraceQueryEnd(context.Context, *pgx.Conn, pgx.TraceQueryEndData) {}
