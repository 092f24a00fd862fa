package queue_test

import (
	"context"
	"slices"
	"testing"

	"sallyport/domain"
	"sallyport/eventstore"
	"sallyport/responders"
	"sallyport/responders/queue"
)

// answer returns the stream of a request's answer, once no job is left.
func (s *site) answer(id string) []eventstore.Record {
	s.t.Helper()
	s.drained()
	records, err := s.Store.ReadStream(s.t.Context(), domain.ResponseStream(id))
	if err != nil {
		s.t.Fatal(err)
	}
	return records
}

// is checks the types of a stream's events.
func is(t *testing.T, got []eventstore.Record, want ...string) {
	t.Helper()
	var types []string
	for _, r := range got {
		types = append(types, r.Type)
	}
	if !slices.Equal(types, want) {
		t.Fatalf("the answer's stream holds %v, want %v", types, want)
	}
}

// never fails the test when it is asked.
func never(t *testing.T) func(*queue.Config) {
	return with(func(context.Context, responders.Question) (responders.Answer, error) {
		t.Error("a responder was asked for what is cancelled")
		return answered, nil
	})
}

func TestACancelledRequestIsWithdrawn(t *testing.T) {
	t.Parallel()
	s := setup(t)
	q := s.open(nil)
	ids := s.imports(q, request(1), request(2))
	// One that waits for another attempt does not wait any longer.
	if _, err := s.Owner.Exec(t.Context(), `UPDATE river_job SET state = 'retryable', attempt = 1, scheduled_at = now() + interval '1 hour'`); err != nil {
		t.Fatal(err)
	}
	s.arrive(q, arrival{ids[0], 2, domain.RequestCancelled{Reason: "too late"}})
	both := "0190f5a0-0000-7000-8000-00000000b07b" // submitted and cancelled in one bundle
	s.arrive(q, arrival{both, 1, request(3)}, arrival{both, 2, domain.RequestCancelled{}})
	s.arrive(q, arrival{ids[1], 2, domain.RequestCancelled{}})
	s.start(never(t))
	for _, id := range []string{ids[0], ids[1], both} {
		is(t, s.answer(id), "response.withdrawn")
	}
	got := s.answer(ids[0])[0]
	asked, err := s.Store.ReadStream(t.Context(), domain.RequestStream(ids[0]))
	if err != nil || got.Fact != (domain.ResponseWithdrawn{Reason: "too late"}) || got.Cause != asked[1].ID || got.Corr != ids[0] {
		t.Errorf("withdrawn by %+v (%v)", got, err)
	}
}

// A question under way is stopped, whatever its responder makes of that.
func TestARunningQuestionIsStopped(t *testing.T) {
	t.Parallel()
	s := setup(t)
	asking := make(chan struct{})
	q := s.start(with(func(ctx context.Context, _ responders.Question) (responders.Answer, error) {
		close(asking)
		<-ctx.Done()
		return responders.Answer{}, &responders.Failure{Code: "timeout", Text: "it was interrupted", Retryable: true, Cause: ctx.Err()}
	}))
	id := s.imports(q, request(1))[0]
	<-asking
	s.arrive(q, arrival{id, 2, domain.RequestCancelled{}})
	is(t, s.answer(id), "response.started", "response.withdrawn")
}

// An answer that is there when its request is cancelled stays.
func TestAnAnswerIsNotWithdrawn(t *testing.T) {
	t.Parallel()
	s := setup(t)
	asking := make(chan struct{})
	q := s.start(with(func(ctx context.Context, _ responders.Question) (responders.Answer, error) {
		close(asking)
		<-ctx.Done()
		return answered, nil
	}))
	id := s.imports(q, request(1))[0]
	<-asking
	s.arrive(q, arrival{id, 2, domain.RequestCancelled{}})
	is(t, s.answer(id), "response.started", "response.recorded")
}

// A process that dies between the cancel and its outcome leaves its job, and
// that job leads to exactly one outcome.
func TestACancelOutlivesItsWorker(t *testing.T) {
	t.Parallel()
	s := setup(t)
	q := s.open(nil)
	id := s.imports(q, request(1))[0]
	s.append(domain.ResponseStream(id), domain.ResponseStarted{Responder: domain.ResponderSQL, Attempt: 1, Worker: "worker-dead"})
	if _, err := s.Owner.Exec(t.Context(), `UPDATE river_job SET state = 'running', attempt = 1, attempted_at = now(), attempted_by = '{worker-dead}'`); err != nil {
		t.Fatal(err)
	}
	s.arrive(q, arrival{id, 2, domain.RequestCancelled{}})
	s.start(never(t))
	is(t, s.answer(id), "response.started", "response.withdrawn")
}

func TestAFailedRequestIsAskedAgain(t *testing.T) {
	t.Parallel()
	s := setup(t)
	s.configure("item", `SELECT 1 / (@id::int - @id::int)`)
	q := s.start(nil)
	id := s.imports(q, request(1))[0]
	failed := s.answer(id)
	is(t, failed, "response.started", "response.failed")
	again := domain.RequestRetried{Reason: "the statement was mended", Failure: failed[1].Pos}
	s.arrive(q, arrival{id, 2, again})
	twice := s.answer(id)
	is(t, twice, "response.started", "response.failed", "response.retried", "response.started", "response.failed")
	if f := twice[4].Fact.(domain.ResponseFailed); f.Attempts != 2 {
		t.Errorf("attempts go on counting: %+v", f)
	}
	s.configure("item", itemStatement)
	s.arrive(q, arrival{id, 3, domain.RequestRetried{Failure: twice[4].Pos}})
	all := s.answer(id)
	is(t, all, "response.started", "response.failed", "response.retried", "response.started", "response.failed",
		"response.retried", "response.started", "response.recorded")
	asked, err := s.Store.ReadStream(t.Context(), domain.RequestStream(id))
	if err != nil || all[2].Fact != (domain.ResponseRetried{Reason: again.Reason}) || all[2].Cause != asked[1].ID || all[7].Cause != asked[2].ID {
		t.Errorf("asked again by %+v and %+v (%v)", all[2], all[7], err)
	}
}

// A retry acts on the failure that it names and on no other outcome.
func TestARetryOfAnotherFailureDoesNothing(t *testing.T) {
	t.Parallel()
	s := setup(t)
	q := s.open(nil)
	ids := s.imports(q, request(1), request(2), request(3))
	if _, err := s.Owner.Exec(t.Context(), `DELETE FROM river_job`); err != nil {
		t.Fatal(err)
	}
	s.append(domain.ResponseStream(ids[0]), domain.ResponseFailed{Code: "x"})
	named := s.all()[len(s.all())-1].Pos
	s.append(domain.ResponseStream(ids[0]), domain.ResponseRetried{Reason: "an administrator was faster"})
	s.append(domain.ResponseStream(ids[0]), domain.ResponseFailed{Code: "x"})
	s.append(domain.ResponseStream(ids[1]), domain.ResponseRecorded{Status: domain.StatusAnswered, Responder: domain.ResponderSQL})
	s.append(domain.ResponseStream(ids[2]), domain.ResponseFailed{Code: "x"})
	last := s.all()[len(s.all())-1].Pos
	s.arrive(q, arrival{ids[0], 2, domain.RequestRetried{Failure: named}}, arrival{ids[1], 2, domain.RequestRetried{Failure: named}},
		arrival{ids[2], 2, domain.RequestRetried{Failure: last}}, arrival{ids[2], 3, domain.RequestCancelled{}})
	s.start(never(t))
	is(t, s.answer(ids[0]), "response.failed", "response.retried", "response.failed")
	is(t, s.answer(ids[1]), "response.recorded")
	is(t, s.answer(ids[2]), "response.failed") // asked again, then cancelled: the failure was the outcome
}
