package reactor_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"slices"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"sallyport/eventstore"
	"sallyport/eventstore/eventstoretest"
	"sallyport/projections"
	"sallyport/projections/reactor"
)

// noteDown writes each request's event into a table that would take it twice.
func noteDown(fail func(seq int64) error) reactor.Handler {
	return reactor.Handler{Name: "noting", Types: []string{"request.submitted"}, HandleTx: func(ctx context.Context, tx pgx.Tx, e reactor.Event) error {
		if _, err := tx.Exec(ctx, `INSERT INTO noted (seq) VALUES ($1)`, e.Seq); err != nil {
			return err
		}
		return fail(e.Seq)
	}}
}

func never(int64) error { return nil }

func noting(pool *pgxpool.Pool, log *eventstore.Store, fail func(int64) error) (*reactor.Reactor, error) {
	return reactor.New(reactor.Config{Pool: pool, Log: log, Logger: slog.New(slog.DiscardHandler), Handlers: []reactor.Handler{noteDown(fail)}})
}

func setupNoting(t *testing.T) *eventstoretest.Site {
	t.Helper()
	site := setup(t)
	if _, err := site.Owner.Exec(t.Context(), `CREATE TABLE noted (seq bigint); GRANT ALL ON noted TO sallyport_app`); err != nil {
		t.Fatal(err)
	}
	return site
}

func noted(t *testing.T, site *eventstoretest.Site) []int64 {
	t.Helper()
	rows, err := site.Owner.Query(t.Context(), `SELECT seq FROM noted ORDER BY seq`)
	if err != nil {
		t.Fatal(err)
	}
	all, err := pgx.CollectRows(rows, pgx.RowTo[int64])
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// noteUntilKilled is the first argument of a process that is to be killed; its
// database follows.
const noteUntilKilled = "note-until-killed"

// runUntilKilled runs a reactor if this process was started for that.
func runUntilKilled() {
	if len(os.Args) != 3 || os.Args[1] != noteUntilKilled {
		return
	}
	err := func(ctx context.Context) error {
		pool, err := eventstore.Pool(ctx, os.Args[2], 4)
		if err != nil {
			return err
		}
		log, err := eventstore.Open(ctx, pool, eventstore.Config{Inline: projections.Inline()})
		if err != nil {
			return err
		}
		r, err := noting(pool, log, never)
		if err != nil {
			return err
		}
		return r.Run(ctx)
	}(context.Background())
	fmt.Fprintln(os.Stderr, "it was not killed:", err)
	os.Exit(1)
}

// TestKilledBetweenWriteAndPlace: a process is killed at each step of a handler
// that writes to the database. However often, each event is noted once.
func TestKilledBetweenWriteAndPlace(t *testing.T) {
	t.Parallel()
	site := setupNoting(t)
	killer := eventstoretest.NewKiller(t, site.AppURL)
	var submitted []int64
	for _, at := range []eventstoretest.Point{eventstoretest.Before("UPDATE reactor_offsets"), eventstoretest.Before("INSERT INTO noted"),
		eventstoretest.Before("commit"), eventstoretest.Unanswered} {
		for range 3 {
			submit(t, site)
			submitted = append(submitted, head(t, site))
		}
		cmd := exec.CommandContext(t.Context(), os.Args[0], noteUntilKilled, killer.URL) //nolint:gosec // this program itself
		cmd.Stderr = t.Output()
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		killer.Arm(cmd, at, 2)
		var exit *exec.ExitError
		if err := cmd.Wait(); !errors.As(err, &exit) || exit.Exited() {
			t.Fatalf("the process was to be killed %s, and ended with %v", at, err)
		}
		if got := noted(t, site); len(got) == 0 || len(got) >= len(submitted) || !slices.Equal(got, submitted[:len(got)]) || place(t, site) < got[len(got)-1] {
			t.Errorf("killed %s: noted %v of %v, its place is %d", at, got, submitted, place(t, site))
		}
	}
	r, err := noting(site.Pool, site.Store, never)
	if err != nil {
		t.Fatal(err)
	}
	run(t, r)
	eventually(t, "its place is the log's end", func() bool { return place(t, site) == head(t, site) })
	if got := noted(t, site); !slices.Equal(got, submitted) {
		t.Errorf("noted %v, want %v", got, submitted)
	}
}

// TestWhatFailsWritesNothing: not when it is tried again, not when it is given
// up, and once when a person puts it back.
func TestWhatFailsWritesNothing(t *testing.T) {
	t.Parallel()
	site := setupNoting(t)
	submit(t, site)
	broken := head(t, site)
	submit(t, site)
	mend := make(chan struct{})
	r, err := noting(site.Pool, site.Store, func(seq int64) error {
		select {
		case <-mend:
		default:
			if seq == broken {
				return errors.New("it is broken")
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	places, err := reactor.Places(t.Context(), site.Pool)
	if err != nil || len(places) != 0 {
		t.Errorf("before it ran: %+v, %v", places, err)
	}
	run(t, r)
	eventually(t, "its place is the log's end", func() bool { return place(t, site) == head(t, site) })
	if got := noted(t, site); !slices.Equal(got, []int64{head(t, site)}) || r.Poisoned() != 1 {
		t.Errorf("noted %v, gave up %d", got, r.Poisoned())
	}
	q := reactor.NewPoison(site.Pool)
	all, err := q.List(t.Context(), 0, 10)
	if err != nil || len(all) != 1 || all[0].Seq != broken {
		t.Fatalf("the queue holds %+v, %v", all, err)
	}
	close(mend)
	if err := q.Requeue(t.Context(), all[0].ID); err != nil {
		t.Fatal(err)
	}
	eventually(t, "it is out of the queue", func() bool {
		_, err := q.Show(t.Context(), all[0].ID)
		return errors.Is(err, reactor.ErrNotPoisoned)
	})
	if got := noted(t, site); !slices.Equal(got, []int64{broken, head(t, site)}) {
		t.Errorf("noted %v", got)
	}
}

// TestHowFarReactorsAre tells of one that does not run how long it has been late.
func TestHowFarReactorsAre(t *testing.T) {
	t.Parallel()
	site := setup(t)
	_, stop := start(t, site, newRecorder())
	eventually(t, "its place is the log's end", func() bool { return place(t, site) == head(t, site) })
	if all, err := reactor.Places(t.Context(), site.Pool); err != nil || len(all) != 1 || all[0] != (reactor.Place{Reactor: "response-cache", Position: head(t, site)}) {
		t.Errorf("at the end: %+v, %v", all, err)
	}
	stop()
	submit(t, site)
	submit(t, site)
	all, err := reactor.Places(t.Context(), site.Pool)
	if err != nil || len(all) != 1 || all[0].Behind != 2 || all[0].Position != head(t, site)-2 || all[0].BehindSeconds <= 0 || all[0].BehindSeconds > 60 {
		t.Errorf("two behind: %+v, %v", all, err)
	}
}

// TestStoppedBeforeItBegan leaves nothing running, as TestMain sees.
func TestStoppedBeforeItBegan(t *testing.T) {
	t.Parallel()
	site := setup(t)
	r, err := reactor.New(reactor.Config{Pool: site.Pool, Log: site.Store, Logger: slog.New(slog.DiscardHandler), Handlers: []reactor.Handler{
		reactor.Warm("field", projections.NewReader(site.Pool), newRecorder())}})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := r.Run(ctx); err != nil {
		t.Error(err)
	}
}
