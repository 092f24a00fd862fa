package queue_test

import (
	"context"
	"errors"
	"sync"
	"testing"

	"sallyport/domain"
	"sallyport/responders"
	"sallyport/responders/queue"
)

var byAnn = queue.Decision{Actor: "user-ann", Reason: "mended"}

func refused(t *testing.T, err error, code string) {
	t.Helper()
	var e *domain.Error
	if !errors.As(err, &e) || e.Code != code {
		t.Errorf("got %v, want %s", err, code)
	}
}

func TestAFailureIsTakenBackByPeople(t *testing.T) {
	t.Parallel()
	s := setup(t)
	s.configure("item", `SELECT 1 / (@id::int - @id::int)`)
	q := s.start(nil)
	id := s.imports(q, request(1))[0]
	is(t, s.answer(id), "response.started", "response.failed")
	if err := q.RetryAnswer(t.Context(), id, byAnn); err != nil {
		t.Fatal(err)
	}
	twice := s.answer(id)
	is(t, twice, "response.started", "response.failed", "response.retried", "response.started", "response.failed")
	if f := twice[4].Fact.(domain.ResponseFailed); f.Attempts != 2 || twice[2].Actor != "user-ann" || twice[2].Fact != (domain.ResponseRetried{Reason: "mended"}) {
		t.Errorf("got %+v after %+v", f, twice[2])
	}
	s.configure("item", itemStatement)
	if err := q.RetryAnswer(t.Context(), id, byAnn); err != nil {
		t.Fatal(err)
	}
	if got := s.answer(id); got[len(got)-1].Type != "response.recorded" {
		t.Errorf("ends with %s", got[len(got)-1].Type)
	}
	refused(t, q.RetryAnswer(t.Context(), id, byAnn), "already-answered")
	refused(t, q.CancelAnswer(t.Context(), id, byAnn), "already-answered")
	refused(t, q.RetryAnswer(t.Context(), "0190f5a0-0000-7000-8000-0000000000ff", byAnn), "not-found")
}

func TestWhatWaitsIsDueNow(t *testing.T) {
	t.Parallel()
	s := setup(t)
	q := s.open(nil)
	id := s.imports(q, request(1))[0]
	refused(t, q.RetryAnswer(t.Context(), id, byAnn), "under-way") // it is due already
	if _, err := s.Owner.Exec(t.Context(), `UPDATE river_job SET state = 'retryable', attempt = 1, scheduled_at = now() + interval '1 hour'`); err != nil {
		t.Fatal(err)
	}
	if err := q.RetryAnswer(t.Context(), id, byAnn); err != nil {
		t.Fatal(err)
	}
	s.until(`SELECT state = 'available' AND attempt = 1 AND scheduled_at <= now() FROM river_job`)
	if _, err := s.Owner.Exec(t.Context(), `DELETE FROM river_job`); err != nil { // by somebody's hand
		t.Fatal(err)
	}
	if err := q.RetryAnswer(t.Context(), id, byAnn); err != nil {
		t.Fatal(err)
	}
	s.start(nil)
	is(t, s.answer(id), "response.started", "response.recorded")
}

func TestPeopleEndARequest(t *testing.T) {
	t.Parallel()
	s := setup(t)
	asking, stopped := make(chan struct{}), make(chan struct{})
	var once sync.Once
	q := s.start(with(func(ctx context.Context, _ responders.Question) (responders.Answer, error) {
		once.Do(func() { close(asking) })
		<-ctx.Done()
		close(stopped)
		return answered, nil
	}))
	id := s.imports(q, request(1))[0]
	<-asking
	if err := q.CancelAnswer(t.Context(), id, byAnn); err != nil {
		t.Fatal(err)
	}
	<-stopped // the question under way
	s.until(`SELECT count(*) = 1 FROM river_job WHERE state = 'cancelled'`)
	if _, err := s.Owner.Exec(t.Context(), `DELETE FROM river_job`); err != nil {
		t.Fatal(err)
	}
	got := s.answer(id)
	last := got[len(got)-1].Fact.(domain.ResponseFailed)
	if last.Code != domain.CodeCancelledByAdmin || got[len(got)-1].Actor != "user-ann" {
		t.Errorf("got %+v", last)
	}
	refused(t, q.CancelAnswer(t.Context(), id, byAnn), "already-failed")
}

// Workers and people decide at the same moment: one outcome stands.
func TestOneOutcomeWhoeverDecides(t *testing.T) {
	t.Parallel()
	s := setup(t)
	var requests []domain.RequestSubmitted
	for i := range 60 {
		requests = append(requests, request(i))
	}
	q := s.start(nil)
	ids := s.imports(q, requests...)
	s.until(`SELECT count(*) >= 10 FROM readmodel.responses`)
	var all sync.WaitGroup
	for _, id := range ids {
		all.Go(func() {
			var e *domain.Error
			if err := q.CancelAnswer(t.Context(), id, byAnn); err != nil && !errors.As(err, &e) {
				t.Error(err)
			}
		})
	}
	all.Wait()
	s.until(`SELECT NOT EXISTS (SELECT FROM river_job WHERE finalized_at IS NULL)`)
	if _, err := s.Owner.Exec(t.Context(), `DELETE FROM river_job`); err != nil {
		t.Fatal(err)
	}
	s.outcomes(60)
}

func TestJobsOfOtherKindsAreLeftToTheLibrary(t *testing.T) {
	t.Parallel()
	s := setup(t)
	q := s.open(nil)
	id := s.imports(q, request(1))[0]
	var answers, other int64
	if err := s.Owner.QueryRow(t.Context(), `SELECT id FROM river_job`).Scan(&answers); err != nil {
		t.Fatal(err)
	}
	if err := s.Owner.QueryRow(t.Context(), `INSERT INTO river_job (args, kind, max_attempts, queue, state, scheduled_at)
		VALUES ('{}', 'other', 5, 'other', 'retryable', now() + interval '1 hour') RETURNING id`).Scan(&other); err != nil {
		t.Fatal(err)
	}
	for job, want := range map[int64]string{answers: id, other: ""} {
		if got, err := q.RequestOf(t.Context(), job); err != nil || got != want {
			t.Errorf("job %d answers %q (%v), want %q", job, got, err, want)
		}
	}
	if err := q.RetryJob(t.Context(), other); err != nil {
		t.Fatal(err)
	}
	refused(t, q.RetryJob(t.Context(), other), "wrong-state")
	if err := q.CancelJob(t.Context(), other); err != nil {
		t.Fatal(err)
	}
	refused(t, q.CancelJob(t.Context(), other), "wrong-state")
	refused(t, q.CancelJob(t.Context(), 4711), "not-found")
}
