package periodic

import (
	"context"
	"errors"
	"log/slog"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/riverqueue/river"
	"github.com/riverqueue/river/riverdriver/riverpgxv5"

	"sallyport/domain"
	"sallyport/eventstore/eventstoretest"
)

func TestWhenAJobIsDue(t *testing.T) {
	t.Parallel()
	j := Job{At: 3 * time.Hour}
	for now, want := range map[string][2]string{
		"2026-03-31T02:59:59Z":      {"2026-03-30T03:00:00Z", "2026-03-31T03:00:00Z"},
		"2026-03-31T03:00:00Z":      {"2026-03-31T03:00:00Z", "2026-04-01T03:00:00Z"},
		"2026-03-31T23:30:00-05:00": {"2026-04-01T03:00:00Z", "2026-04-02T03:00:00Z"},
	} {
		at, err := time.Parse(time.RFC3339, now)
		if err != nil {
			t.Fatal(err)
		}
		if last, next := j.last(at).Format(time.RFC3339), j.Next(at).Format(time.RFC3339); last != want[0] || next != want[1] {
			t.Errorf("at %s: was due %s, is due %s; want %v", now, last, next, want)
		}
	}
}

// process is one of a site's, with a client that may lead.
func process(t *testing.T, db *eventstoretest.Site, does map[string]Do) (stop func()) {
	t.Helper()
	c := &river.Config{Logger: slog.New(slog.DiscardHandler), FetchCooldown: 50 * time.Millisecond, FetchPollInterval: 50 * time.Millisecond, ReindexerIndexNames: []string{}}
	New(db.Pool, does, slog.New(slog.DiscardHandler)).Join(c)
	for name, q := range c.Queues {
		q.FetchPollInterval, q.FetchCooldown = 50*time.Millisecond, 50*time.Millisecond
		c.Queues[name] = q
	}
	client, err := river.NewClient(riverpgxv5.New(db.Pool), c)
	if err != nil {
		t.Fatal(err)
	}
	if err := client.Start(context.WithoutCancel(t.Context())); err != nil {
		t.Fatal(err)
	}
	return func() {
		if err := client.StopAndCancel(context.WithoutCancel(t.Context())); err != nil {
			t.Error(err)
		}
	}
}

func TestOfTwoProcessesOneDoesEachJobOnce(t *testing.T) {
	t.Parallel()
	db := eventstoretest.New(t, eventstoretest.Setup{})
	bundles, requests := make(chan string, 8), make(chan string, 8)
	do := func(done chan string, who string) Do {
		return func(context.Context) (Outcome, error) {
			done <- who
			return Outcome{Code: "it-did", Figures: map[string]int64{"times": 1}, Text: who + " did it"}, nil
		}
	}
	// One has the files, the other the workers; whoever leads makes both jobs.
	one := process(t, db, map[string]Do{CleanBundles: do(bundles, "one")})
	two := process(t, db, map[string]Do{CleanRequests: do(requests, "two")})
	if a, b := <-bundles, <-requests; a != "one" || b != "two" {
		t.Errorf("%s and %s did them", a, b)
	}
	settled := func() bool {
		all, leads, err := List(t.Context(), db.Pool)
		return err == nil && leads != nil && leads.ID != "" && all[0].Result == "one did it" && all[1].Result == "two did it" &&
			all[0].EndedAt != nil && all[0].LastDone != nil && !all[0].Failed && all[0].Worker != "" &&
			all[0].ResultCode == "it-did" && all[0].Figures["times"] == 1
	}
	wait(t, db, settled)
	one()
	// Another leader finds what is done already.
	three := process(t, db, map[string]Do{CleanBundles: do(bundles, "three")})
	if err := Ask(t.Context(), db.Pool, CleanBundles); err != nil { // but a person may ask for more
		t.Fatal(err)
	}
	if who := <-bundles; who != "three" {
		t.Errorf("%s did it", who)
	}
	two()
	three()
	if len(bundles)+len(requests) > 0 {
		t.Error("a job was done again though it was not due")
	}
	var e *domain.Error
	if err := Ask(t.Context(), db.Pool, "dance"); !errors.As(err, &e) || e.Kind != domain.NotFound {
		t.Errorf("an unknown job: %v", err)
	}
}

// wait waits until the queue is idle and something holds.
func wait(t *testing.T, db *eventstoretest.Site, holds func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		if holds() {
			return
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			rows, err := db.Owner.Query(t.Context(), `SELECT row_to_json(j)::text FROM river_job AS j`)
			jobs, _ := pgx.CollectRows(rows, pgx.RowTo[string])
			t.Fatal("it never held", err, jobs)
		}
	}
}

func TestAFailedJobIsTriedAgain(t *testing.T) {
	t.Parallel()
	db := eventstoretest.New(t, eventstoretest.Setup{})
	tried := make(chan struct{}, 8)
	broken := errors.New("the disk is full")
	stop := process(t, db, map[string]Do{CleanBundles: func(context.Context) (Outcome, error) { tried <- struct{}{}; return Outcome{}, broken }})
	<-tried
	wait(t, db, func() bool {
		var later bool
		err := db.Owner.QueryRow(t.Context(), `SELECT coalesce(bool_or(state = 'retryable' AND scheduled_at > now() + interval '30 seconds'), false)
			FROM river_job WHERE args->>'job' = $1`, CleanBundles).Scan(&later)
		return err == nil && later
	})
	all, _, err := List(t.Context(), db.Pool)
	if err != nil || !all[0].Failed || all[0].Result != broken.Error() || all[0].LastDone != nil {
		t.Errorf("%+v, %v", all[0], err)
	}
	stop()
}

// A process that only has the files works without leading.
func TestAProcessWithoutWorkersDoesItsPart(t *testing.T) {
	t.Parallel()
	db := eventstoretest.New(t, eventstoretest.Setup{})
	done := make(chan struct{}, 1)
	ctx, stop := context.WithCancel(t.Context())
	p := New(db.Pool, map[string]Do{CleanBundles: func(context.Context) (Outcome, error) { done <- struct{}{}; return Outcome{}, nil }}, slog.New(slog.DiscardHandler))
	if err := Ask(ctx, db.Pool, CleanBundles); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- p.Run(ctx) }()
	<-done
	stop()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}
