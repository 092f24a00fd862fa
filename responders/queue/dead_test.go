package queue_test

import (
	"context"
	"encoding/json"
	"sync/atomic"
	"testing"

	"sallyport/domain"
	"sallyport/responders"
	"sallyport/responders/queue"
)

// A worker that dies leaves a started answer and a job that runs for ever.
func TestADeadWorkersJobIsFreedAtOnce(t *testing.T) {
	t.Parallel()
	s := setup(t)
	ids := s.imports(s.open(nil), request(1), request(2))
	s.append(domain.ResponseStream(ids[0]), domain.ResponseStarted{Responder: domain.ResponderSQL, Attempt: 1, Worker: "worker-dead"})
	_, err := s.Owner.Exec(t.Context(), `UPDATE river_job SET state = 'running', attempt = 1, attempted_at = now(), attempted_by = '{worker-dead}'`)
	if err != nil {
		t.Fatal(err)
	}
	s.start(nil)
	s.outcomes(2)
	if n := s.started(ids[0]); n != 2 {
		t.Errorf("started %d times, want 2", n)
	}
}

// A request that costs a process its life each time is given up. One that only
// was at hand when processes died is not, nor one whose question was stopped in
// order.
func TestAQuestionThatKillsItsWorkerIsGivenUp(t *testing.T) {
	t.Parallel()
	s := setup(t)
	ids := s.imports(s.open(nil), request(1), request(2), request(3))
	deadly, atHand, stopped := ids[0], ids[1], ids[2]
	for _, id := range []string{deadly, stopped} {
		for attempt := range 5 {
			s.append(domain.ResponseStream(id), domain.ResponseStarted{Responder: domain.ResponderSQL, Attempt: attempt + 1, Worker: "worker-dead"})
		}
	}
	if _, err := s.Owner.Exec(t.Context(), `UPDATE river_job SET attempt = 5 WHERE args->>'request' <> $1`, stopped); err != nil {
		t.Fatal(err)
	}
	var asked atomic.Int32
	s.start(with(func(context.Context, responders.Question) (responders.Answer, error) {
		asked.Add(1)
		return answered, nil
	}))
	found := s.outcomes(3)
	if f, ok := found[deadly].(domain.ResponseFailed); !ok || f.Code != queue.CodeExhausted || f.Attempts != 5 {
		t.Errorf("the deadly one: %+v", found[deadly])
	}
	for _, id := range []string{atHand, stopped} {
		if _, ok := found[id].(domain.ResponseRecorded); !ok {
			t.Errorf("got %+v", found[id])
		}
	}
	if asked.Load() != 2 {
		t.Errorf("%d questions were asked, want 2", asked.Load())
	}
}

// What was tried before is known to have begun before it is asked again, so that
// a question that kills its worker at once is found out.
func TestASecondAttemptIsKnownBeforeItIsMade(t *testing.T) {
	t.Parallel()
	s := setup(t)
	ids := s.imports(s.open(nil), request(1))
	if _, err := s.Owner.Exec(t.Context(), `UPDATE river_job SET attempt = 1`); err != nil {
		t.Fatal(err)
	}
	known := make(chan int, 1)
	s.start(with(func(context.Context, responders.Question) (responders.Answer, error) {
		known <- s.started(ids[0])
		return answered, nil
	}))
	if n := <-known; n != 1 {
		t.Errorf("%d beginnings were known when it was asked, want 1", n)
	}
	s.outcomes(1)
}

// A worker that was only thought dead wakes up with an answer in its hands.
func TestARescuedJobsFirstWorkerCannotRecord(t *testing.T) {
	t.Parallel()
	s := setup(t)
	asked, wake := make(chan int32, 8), make(chan struct{})
	var n atomic.Int32
	ids := s.imports(s.start(with(func(context.Context, responders.Question) (responders.Answer, error) {
		k := n.Add(1)
		asked <- k
		if k == 1 {
			<-wake
		}
		return responders.Answer{Result: json.RawMessage(`[]`), Count: int(k), Cached: true, ContentType: "application/json"}, nil
	})), request(1))
	<-asked
	// What a rescue and another process do: the same job runs as attempt 2.
	if _, err := s.Owner.Exec(t.Context(), `UPDATE river_job SET attempt = 2`); err != nil {
		t.Fatal(err)
	}
	close(wake)
	r, ok := s.outcomes(1)[ids[0]].(domain.ResponseRecorded)
	if !ok || r.ResultCount == 1 || !r.Cached {
		t.Errorf("the superseded worker recorded %+v", r)
	}
}
