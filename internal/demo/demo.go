package demo

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"time"

	"sallyport/internal/dataset"
	"sallyport/internal/dev"
	"sallyport/projections"
)

// Summary is what one run came to.
type Summary struct {
	Requests       int     `json:"requests"`
	Answered       int     `json:"answered"`
	Failed         int     `json:"failed"`
	Found          int     `json:"found"`   // answers with rows
	Empty          int     `json:"empty"`   // answers without rows, rightly
	Refused        int     `json:"refused"` // invalid requests: 422, nothing stored
	BundlesCarried int64   `json:"bundles_carried"`
	LogsVerified   bool    `json:"logs_verified"`
	DigestsEqual   bool    `json:"digests_equal"`
	DamageRefused  bool    `json:"damage_refused"`
	Seconds        float64 `json:"seconds"`
}

// run is one demo under way.
type run struct {
	stack    *dev.Stack
	say      func(format string, args ...any)
	http     *http.Client
	token    string
	airports []dataset.Airport
	types    map[string]dataset.RequestType
	summary  Summary
	begin    time.Time
}

// Run drives both sites, which must be serving with a courier at work, and
// tells the story to say. An error means that something is not well; the
// summary then says how far it got.
func Run(ctx context.Context, stack *dev.Stack, say func(format string, args ...any)) (Summary, error) {
	r := &run{stack: stack, say: say, begin: time.Now(),
		http: &http.Client{Timeout: 30 * time.Second, Transport: &http.Transport{MaxIdleConnsPerHost: clients}}}
	defer r.http.CloseIdleConnections()
	err := r.steps(ctx)
	r.summary.BundlesCarried = stack.Carried()
	r.summary.Seconds = float64(time.Since(r.begin).Milliseconds()) / 1000
	return r.summary, err
}

func (r *run) steps(ctx context.Context) error {
	var err error
	if r.airports, err = dataset.Airports(); err != nil {
		return err
	}
	r.types = map[string]dataset.RequestType{}
	for _, t := range dataset.RequestTypes() {
		r.types[t.Name] = t
	}
	for _, step := range []func(context.Context) error{r.logIn, r.askWrongly, r.askAndCompare, r.verifyLogs, r.compareDigests, r.damage} {
		if err := step(ctx); err != nil {
			return err
		}
	}
	return nil
}

// tell says one line of the story with the time since the beginning.
func (r *run) tell(format string, args ...any) {
	r.say("%6.2fs  %s", time.Since(r.begin).Seconds(), fmt.Sprintf(format, args...))
}

// askAndCompare submits all questions, lets them cross, and holds each answer
// against the dataset.
func (r *run) askAndCompare(ctx context.Context) error {
	questions := r.questions()
	if err := each(ctx, questions, r.submit); err != nil {
		return err
	}
	r.summary.Requests = len(questions)
	r.tell("submitted %d requests of %d types on field; each was acknowledged with 202 once it was durable", len(questions), len(r.types))
	if err := each(ctx, questions, r.fetch); err != nil {
		return err
	}
	for _, q := range questions {
		switch {
		case q.failed:
			r.summary.Failed++
		case q.rows == 0:
			r.summary.Empty++
			r.summary.Answered++
		default:
			r.summary.Found++
			r.summary.Answered++
		}
	}
	r.tell("%d bundle files were carried so far; every answer came back: %d found something, %d found nothing, %d failed",
		r.stack.Carried(), r.summary.Found, r.summary.Empty, r.summary.Failed)
	if r.summary.Failed > 0 {
		return fmt.Errorf("%d requests failed", r.summary.Failed)
	}
	r.tell("each answer equals what the %d airports of the dataset say, row by row", len(r.airports))
	return nil
}

// verifyLogs recomputes four hash chains: both logs and both mirrors.
func (r *run) verifyLogs(ctx context.Context) error {
	for _, e := range []*dev.End{r.stack.Field, r.stack.Core} {
		all, err := e.Bridge.VerifyLogs(ctx, nil)
		if err != nil {
			return err
		}
		for _, v := range all {
			if !v.OK {
				return fmt.Errorf("the log of %s on %s is wrong at position %d: %s", v.Origin, e.Name, v.BadPosition, v.Problem)
			}
			r.tell("on %s: the log of %s verifies through position %d (%d events, %d withheld)", e.Name, v.Origin, v.Through, v.Events, v.Withheld)
		}
	}
	r.summary.LogsVerified = true
	return nil
}

// settle is how long the sites may take to hold the same.
const settle = 20 * time.Second

// compareDigests compares the content of both sites' read models.
func (r *run) compareDigests(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, settle)
	defer cancel()
	scope := projections.Scope{RequestOrigin: r.stack.Field.Name}
	for {
		field, err := projections.Digest(ctx, r.stack.Field.Pool, scope)
		if err != nil {
			return fmt.Errorf("the sites do not come to hold the same: %w", err)
		}
		core, err := projections.Digest(ctx, r.stack.Core.Pool, scope)
		if err != nil {
			return fmt.Errorf("the sites do not come to hold the same: %w", err)
		}
		if maps.Equal(field, core) {
			r.summary.DigestsEqual = true
			r.tell("the read models of both sites are equal: %v", slices.Sorted(maps.Keys(field)))
			return nil
		}
		select {
		case <-ctx.Done():
			return errors.New("the read models of the two sites differ")
		case <-time.After(100 * time.Millisecond):
		}
	}
}
