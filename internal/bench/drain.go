package bench

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5"
	"golang.org/x/sync/errgroup"

	"sallyport/domain"
	"sallyport/eventstore"
	"sallyport/internal/boot"
	"sallyport/internal/commands"
	"sallyport/internal/dataset"
	"sallyport/responders"
	"sallyport/responders/queue"
	"sallyport/responders/sqlresponder"
)

const (
	// workers is how many questions are asked at once.
	workers = 8
	// waiting is how many requests wait for each second of measuring: about as
	// many as two processors answer.
	waiting   = 2000
	lookPause = 5 * time.Millisecond
	// appenders is how many callers append at once where jobs are made.
	appenders = 256

	sourceDatabase = "airports"
	sourceName     = "airports"
)

// answering is a response site at which requests arrive, and a source that
// answers them.
type answering struct {
	*boot.Site
	source  *sqlresponder.Responder // the same source, to be asked directly
	user    string
	origins int // how many request sites have sent something
}

// makeAnswers makes the site; the rig closes it.
func (r *rig) makeAnswers(ctx context.Context) (err error) {
	if _, err := r.postgres.EnsureDatabase(ctx, sourceDatabase); err != nil {
		return err
	}
	if err := dataset.Load(ctx, r.postgres.DSN(sourceDatabase)); err != nil {
		return err
	}
	reader, err := url.Parse(r.postgres.DSN(sourceDatabase))
	if err != nil {
		return err
	}
	reader.User = url.User(dataset.Reader)
	a := &answering{}
	if a.source, err = sqlresponder.Open(ctx, sqlresponder.Config{URLs: map[string]string{sourceName: reader.String()}, MaxConns: workers, Logger: r.config.Logger}); err != nil {
		return err
	}
	r.answers = a // from here on it is stopped with the rig
	a.Site, err = openSite(ctx, r, "answering", domain.ResponseSite, func(c *boot.Config) {
		c.Responders = boot.Responders{Workers: workers, Sources: map[string]boot.Source{sourceName: {URL: reader.String()}}}
	})
	if err != nil {
		return err
	}
	if a.user, err = define(ctx, a.Site, "asker", "nobody logs in here"); err != nil {
		return err
	}
	for _, t := range dataset.RequestTypes() {
		if _, _, err := a.Commands.ConfigureResponder(ctx, commands.By{Actor: actor}, t.Name, responder(t), 0); err != nil {
			return err
		}
	}
	return r.settle(ctx, a.Config.Site, sourceDatabase)
}

func responder(t dataset.RequestType) domain.ResponderConfigured {
	return domain.ResponderConfigured{Kind: domain.ResponderSQL, Source: sourceName, Statement: t.Statement, TimeoutMS: domain.DefaultTimeoutMS}
}

func (a *answering) stop() error {
	a.source.Close()
	if a.Site == nil {
		return nil
	}
	return a.Close()
}

// question returns the i-th request, for one airport of the world, and its type.
func (a *answering) question(i int) (domain.RequestSubmitted, error) {
	all, err := airports()
	if err != nil {
		return domain.RequestSubmitted{}, err
	}
	return domain.RequestSubmitted{Type: "airport", TypeVersion: 1, User: a.user, Priority: 1 + i%10,
		Params: fmt.Appendf(nil, `{"iata":%q}`, all[i%len(all)].IATA)}, nil
}

func drainAgainstDirect(ctx context.Context, r *rig) (contest, error) {
	if err := r.makeAnswers(ctx); err != nil {
		return contest{}, err
	}
	n := max(200, int(waiting*r.config.Measure.Seconds()))
	return contest{
		limitName: "the same statements and one INSERT each by 8 callers, 8 connections",
		subject: func(ctx context.Context) (float64, error) {
			if err := r.answers.arrive(ctx, n); err != nil {
				return 0, err
			}
			return r.answers.drain(ctx, n)
		},
		limit: func(ctx context.Context) (float64, error) { return r.direct(ctx, n) },
	}, nil
}

// arrive takes n requests in, with their jobs, as an import does.
func (a *answering) arrive(ctx context.Context, n int) error {
	a.origins++
	parts, err := arriving("field"+strconv.Itoa(a.origins), n, a.question)
	if err != nil {
		return err
	}
	for _, m := range parts {
		m.With = func(ctx context.Context, tx pgx.Tx) error { return a.Queue.Enqueue(ctx, tx, m.Events, m.Facts) }
		if err := a.Log.Mirror(ctx, m); err != nil {
			return err
		}
	}
	return nil
}

const countAnswers = `SELECT count(*) FROM events WHERE type = 'response.recorded'`

// drain lets the site's workers answer n requests that wait, and returns how
// many they answered a second, from their first answers on.
func (a *answering) drain(ctx context.Context, n int) (rate float64, err error) {
	before, err := a.Log.Head(ctx)
	if err != nil {
		return 0, err
	}
	working, end := context.WithCancel(ctx)
	ended := make(chan error, 1)
	go func() { ended <- a.Serve(working, nil, boot.Parts{Workers: true}) }()
	defer func() { end(); err = errors.Join(err, <-ended) }()
	// Each answer is two events, and the site writes no others.
	begun, began, err := a.written(ctx, before.Pos, 1)
	if err != nil {
		return 0, err
	}
	done, at, err := a.written(ctx, before.Pos, int64(2*n))
	if err != nil {
		return 0, err
	}
	var answered int
	if err := a.Pool.QueryRow(ctx, countAnswers).Scan(&answered); err != nil || answered != a.origins*n {
		return 0, errors.Join(err, fmt.Errorf("%d of %d requests were answered", answered, a.origins*n))
	}
	return float64(done-begun) / 2 / at.Sub(began).Seconds(), nil
}

// written waits until the log has so many events more than before, and returns
// how many more it has, and when that was.
func (a *answering) written(ctx context.Context, before, more int64) (int64, time.Time, error) {
	tick := time.NewTicker(lookPause)
	defer tick.Stop()
	for {
		head, err := a.Log.Head(ctx)
		if at := time.Now(); err != nil || head.Pos >= before+more {
			return head.Pos - before, at, err
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return 0, time.Time{}, context.Cause(ctx)
		}
	}
}

// direct asks the source the same n questions and stores a row for each.
func (r *rig) direct(ctx context.Context, n int) (float64, error) {
	config, insert := responder(dataset.RequestTypes()[0]), r.insertOne()
	var group errgroup.Group
	group.SetLimit(workers)
	began := time.Now()
	for i := range n {
		group.Go(func() error {
			q, err := r.answers.question(i)
			if err != nil {
				return err
			}
			if _, err := r.answers.source.Respond(ctx, responders.Question{Params: q.Params, Config: config, MaxResults: 1, MaxBytes: 1 << 20}); err != nil {
				return err
			}
			return insert(ctx)
		})
	}
	err := group.Wait()
	return float64(n) / time.Since(began).Seconds(), err
}

// costOfEnqueueing measures appends that each make a job in their transaction,
// against the same without.
func costOfEnqueueing(ctx context.Context, r *rig) (contest, error) {
	appending := func(prepare func(*eventstore.Append)) measure {
		return func(ctx context.Context) (float64, error) {
			return r.crowd(appenders).rate(ctx, func(context.Context) (member, error) {
				return member{ask: func() error {
					a := r.site.request()
					prepare(&a)
					_, err := r.site.Log.Append(ctx, a)
					return err
				}}, nil
			})
		}
	}
	return contest{
		limitName: "the same appends without a job",
		subject: appending(func(a *eventstore.Append) {
			request, _ := domain.RequestOf(a.Writes[0].Stream)
			a.Also = queue.Job(request, domain.DefaultPriority, false)
		}),
		limit: appending(func(*eventstore.Append) {}),
	}, r.settle(ctx, siteDatabase)
}
