package queue_test

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"sallyport/domain"
	"sallyport/eventstore"
	"sallyport/responders/manual"
	"sallyport/responders/queue"
)

var (
	anna = manual.Analyst{Actor: "user-anna", Corr: "call-1"}
	bert = manual.Analyst{Actor: "user-bert"}
)

// desk is one whose clock runs ahead by what later says.
type desk struct {
	*manual.Desk
	later time.Duration
}

// people makes the type one that people answer.
func (s *site) people(task domain.ManualTask) *desk {
	s.t.Helper()
	task.ClaimMinutes = 30
	s.append(domain.ResponderConfigStream("item"), domain.ResponderConfigured{Kind: domain.ResponderManual, Task: &task})
	d := &desk{}
	d.Desk = manual.New(manual.Config{Log: s.Store, Cases: s.config.Cases, Now: func() time.Time { return time.Now().Add(d.later) }})
	return d
}

// work returns the stream of the work on a request, once no job is left.
func (s *site) work(id string) []eventstore.Record {
	s.t.Helper()
	s.drained()
	records, err := s.Store.ReadStream(s.t.Context(), domain.WorkStream(id))
	if err != nil {
		s.t.Fatal(err)
	}
	return records
}

func (d *desk) claim(t *testing.T, by manual.Analyst, id string) {
	t.Helper()
	if seq, err := d.Claim(t.Context(), by, id); err != nil || seq == 0 {
		t.Fatal(seq, err)
	}
}

func (d *desk) answer(ctx context.Context, by manual.Analyst, id, result string) error {
	_, err := d.Answer(ctx, by, id, manual.Answer{Result: json.RawMessage(result)})
	return err
}

func TestPeopleAnswer(t *testing.T) {
	t.Parallel()
	s := setup(t)
	d := s.people(domain.ManualTask{ResultSchema: json.RawMessage(`{"type":"object","required":["verdict"],"properties":{"verdict":{"enum":["yes","no"]}}}`)})
	q := s.start(never(t))
	ids := s.imports(q, request(1), request(2), request(3))

	is(t, s.answer(ids[0]), "response.started")
	is(t, s.work(ids[0]), "work.opened")
	opened := s.work(ids[0])[0]
	question, err := domain.Question("item", json.RawMessage(`{"id":1}`))
	if o := opened.Fact.(domain.WorkOpened); err != nil || o.Question != question || o.RequestType != "item" || o.Priority != 5 || opened.Actor != "site:core" || opened.Corr != ids[0] {
		t.Errorf("opened %+v (%v)", opened, err)
	}
	refused(t, d.answer(t.Context(), anna, ids[0], `{"verdict":"yes"}`), "work-not-claimed")
	d.claim(t, anna, ids[0])
	var e *domain.Error
	if err := d.answer(t.Context(), anna, ids[0], `{"verdict":"perhaps"}`); !errors.As(err, &e) || e.Code != "invalid-answer" || e.Fields[0].Pointer != "/result/verdict" {
		t.Errorf("a wrong answer: %v", err)
	}
	refused(t, d.answer(t.Context(), bert, ids[0], `{}`), "work-claimed") // whose work it is comes first
	if err := d.answer(t.Context(), anna, ids[0], `{"verdict":"yes"}`); err != nil {
		t.Fatal(err)
	}
	is(t, s.answer(ids[0]), "response.started", "response.recorded")
	is(t, s.work(ids[0]), "work.opened", "work.claimed", "work.closed")
	got := s.answer(ids[0])[1]
	if r := got.Fact.(domain.ResponseRecorded); got.Actor != anna.Actor || got.Corr != anna.Corr || string(r.Result) != `{"verdict":"yes"}` ||
		r.Responder != domain.ResponderManual || r.ResultCount != 1 || r.ContentType != "application/json" {
		t.Errorf("recorded %+v", got)
	}
	refused(t, d.answer(t.Context(), anna, ids[0], `{"verdict":"no"}`), "work-closed")

	d.claim(t, anna, ids[1])
	file := domain.AnswerFile{Name: "plan.pdf", ContentType: "application/pdf", Base64: base64.StdEncoding.EncodeToString([]byte("%PDF"))}
	if _, err := d.Answer(t.Context(), anna, ids[1], manual.Answer{File: &file}); err != nil {
		t.Fatal(err)
	}
	if r := s.answer(ids[1])[1].Fact.(domain.ResponseRecorded); r.ContentType != "application/pdf" || !strings.HasPrefix(string(r.Result), `{"file":{"name":"plan.pdf"`) {
		t.Errorf("recorded %s, %.60s", r.ContentType, r.Result)
	}

	d.claim(t, anna, ids[2])
	if _, err := d.Fail(t.Context(), anna, ids[2], "nobody knows"); err != nil {
		t.Fatal(err)
	}
	failed := s.answer(ids[2])
	is(t, failed, "response.started", "response.failed")
	if f := failed[1].Fact.(domain.ResponseFailed); f != (domain.ResponseFailed{Code: domain.CodeFailedByAnalyst, Error: "nobody knows", Attempts: 1}) {
		t.Errorf("failed by %+v", f)
	}
	refused(t, d.answer(t.Context(), anna, ids[2], `{"verdict":"no"}`), "work-closed")

	// Asked again it lies with them again, and nobody's claim has lasted.
	s.arrive(q, arrival{ids[2], 2, domain.RequestRetried{Reason: "look again", Failure: failed[1].Pos}})
	is(t, s.answer(ids[2]), "response.started", "response.failed", "response.retried", "response.started")
	is(t, s.work(ids[2]), "work.opened", "work.claimed", "work.closed", "work.opened")
	d.claim(t, bert, ids[2])
	if _, err := d.Claim(t.Context(), bert, "0190f5a0-0000-7000-8000-0000000000ff"); err == nil {
		t.Error("work that there is not was claimed")
	}
}

// However many try at the same moment, one claims and one outcome is recorded.
func TestPeopleAtTheSameMoment(t *testing.T) {
	t.Parallel()
	s := setup(t)
	d := s.people(domain.ManualTask{})
	q := s.start(nil)
	var requests []domain.RequestSubmitted
	for n := range 10 {
		requests = append(requests, request(n))
	}
	ids := s.imports(q, requests...)
	s.drained()
	for _, id := range ids {
		holder := atOnce(t, 4, func(i int) error {
			_, err := d.Claim(t.Context(), manual.Analyst{Actor: fmt.Sprint("user-", i)}, id)
			return err
		})
		by := manual.Analyst{Actor: fmt.Sprint("user-", holder)}
		atOnce(t, 6, func(i int) error {
			switch i % 3 {
			case 0:
				return d.answer(t.Context(), by, id, `"yes"`)
			case 1:
				return q.CancelAnswer(t.Context(), id, byAnn)
			default:
				_, err := d.Fail(t.Context(), by, id, "no")
				return err
			}
		})
		work, answers := s.work(id), s.answer(id)
		is(t, work, "work.opened", "work.claimed", "work.closed")
		if len(answers) != 2 || domain.AnswerStatus(answers[1].Fact) != work[2].Fact.(domain.WorkClosed).Outcome {
			t.Errorf("%s has %d events, and the work is closed by %+v", id, len(answers), work[2].Fact)
		}
	}
}

// atOnce does something so many times at once, which one of them must succeed
// in while the others are refused, and returns which.
func atOnce(t *testing.T, n int, do func(i int) error) (one int) {
	t.Helper()
	errs := make([]error, n)
	var all sync.WaitGroup
	for i := range n {
		all.Go(func() { errs[i] = do(i) })
	}
	all.Wait()
	succeeded := 0
	for i, err := range errs {
		var e *domain.Error
		if err == nil {
			succeeded, one = succeeded+1, i
		} else if !errors.As(err, &e) || e.Kind != domain.Conflict {
			t.Error(err)
		}
	}
	if succeeded != 1 {
		t.Errorf("%d of %d succeeded", succeeded, n)
	}
	return one
}

func TestAClaimTimesOut(t *testing.T) {
	t.Parallel()
	s := setup(t)
	d := s.people(domain.ManualTask{})
	q := s.start(nil)
	id := s.imports(q, request(1))[0]
	s.drained()
	d.claim(t, anna, id)
	d.later = 20 * time.Minute
	d.claim(t, anna, id) // prolonged
	d.later = 40 * time.Minute
	_, err := d.Claim(t.Context(), bert, id)
	refused(t, err, "work-claimed")
	_, err = d.Release(t.Context(), bert, id, "", false)
	refused(t, err, "work-claimed")
	d.later = 51 * time.Minute
	refused(t, d.answer(t.Context(), anna, id, `1`), "work-not-claimed")
	d.claim(t, bert, id)
	refused(t, d.answer(t.Context(), anna, id, `1`), "work-claimed")
	if _, err := d.Release(t.Context(), anna, id, "bert is ill", true); err != nil {
		t.Fatal(err)
	}
	d.claim(t, anna, id)
	if err := d.answer(t.Context(), anna, id, `[1,2,3]`); err != nil {
		t.Fatal(err)
	}
	if r := s.answer(id)[1].Fact.(domain.ResponseRecorded); r.ResultCount != 3 || r.TookMS < (51*time.Minute).Milliseconds() {
		t.Errorf("recorded %+v", r)
	}
}

func TestWhatEndsWorkFromOutside(t *testing.T) {
	t.Parallel()
	s := setup(t)
	d := s.people(domain.ManualTask{})
	q := s.start(nil)
	ids := s.imports(q, request(1), request(2), request(3), request(4))
	s.drained()
	for _, id := range ids {
		d.claim(t, anna, id)
	}
	cancelled, ended, changed, left := ids[0], ids[1], ids[2], ids[3]
	s.arrive(q, arrival{cancelled, 2, domain.RequestCancelled{Reason: "too late"}})
	is(t, s.answer(cancelled), "response.started", "response.withdrawn")
	is(t, s.work(cancelled), "work.opened", "work.claimed", "work.closed")
	refused(t, d.answer(t.Context(), anna, cancelled, `1`), "work-closed")
	s.arrive(q, arrival{cancelled, 3, domain.RequestCancelled{}}) // of what is over nothing follows
	is(t, s.answer(cancelled), "response.started", "response.withdrawn")

	if err := q.CancelAnswer(t.Context(), ended, byAnn); err != nil {
		t.Fatal(err)
	}
	closed := s.work(ended)
	is(t, closed, "work.opened", "work.claimed", "work.closed")
	if closed[2].Fact != (domain.WorkClosed{Outcome: domain.StatusFailed}) || closed[2].Actor != byAnn.Actor {
		t.Errorf("closed by %+v", closed[2])
	}
	refused(t, d.answer(t.Context(), anna, ended, `1`), "work-closed")

	// Looked at again while people still answer the type, it stays where it is.
	if err := q.RetryAnswer(t.Context(), changed, byAnn); err != nil {
		t.Fatal(err)
	}
	is(t, s.answer(changed), "response.started")
	is(t, s.work(changed), "work.opened", "work.claimed")
	s.configure("item", itemStatement)
	if err := q.RetryAnswer(t.Context(), changed, byAnn); err != nil {
		t.Fatal(err)
	}
	is(t, s.answer(changed), "response.started", "response.started", "response.recorded")
	is(t, s.work(changed), "work.opened", "work.claimed", "work.closed")

	// Who may not ask any more gets no answer.
	s.append(domain.UserStream(alice), domain.UserDeactivated{Reason: "left"})
	refused(t, d.answer(t.Context(), anna, left, `1`), "work-closed")
	last := s.answer(left)
	is(t, last, "response.started", "response.failed")
	if f := last[1].Fact.(domain.ResponseFailed); f.Code != queue.CodeUserInactive || last[1].Actor != "site:core" {
		t.Errorf("ended by %+v", last[1])
	}
	is(t, s.work(left), "work.opened", "work.claimed", "work.closed")
}

// A request that is cancelled while its worker is about to put it before people
// does not stay with them: another job comes after that one.
func TestACancelMeetsTheHandingOver(t *testing.T) {
	t.Parallel()
	s := setup(t)
	s.people(domain.ManualTask{})
	q := s.open(nil)
	id := s.imports(q, request(1))[0]
	if _, err := s.Owner.Exec(t.Context(), `UPDATE river_job SET state = 'running', attempt = 1, attempted_at = now(), attempted_by = '{worker-other}'`); err != nil {
		t.Fatal(err)
	}
	s.arrive(q, arrival{id, 2, domain.RequestCancelled{}})
	// The worker has looked at the request before that, and goes on now.
	s.append(domain.ResponseStream(id), domain.ResponseStarted{Responder: domain.ResponderManual, Attempt: 1, Worker: "worker-other"})
	s.append(domain.WorkStream(id), domain.WorkOpened{RequestType: "item", TypeVersion: 1, Priority: 5, Task: domain.ManualTask{ClaimMinutes: 30}})
	if _, err := s.Owner.Exec(t.Context(), `UPDATE river_job SET state = 'completed', finalized_at = now() WHERE state = 'running'`); err != nil {
		t.Fatal(err)
	}
	s.start(nil)
	is(t, s.answer(id), "response.started", "response.withdrawn")
	is(t, s.work(id), "work.opened", "work.closed")
}

// Until a worker has seen to it, an analyst may be the first to find that a
// request was cancelled: what is recorded is the same.
func TestAnAnalystFindsThatARequestWasCancelled(t *testing.T) {
	t.Parallel()
	s := setup(t)
	d := s.people(domain.ManualTask{})
	q := s.open(nil)
	id := s.imports(q, request(1))[0]
	s.append(domain.ResponseStream(id), domain.ResponseStarted{Responder: domain.ResponderManual, Attempt: 1, Worker: "worker-other"})
	s.append(domain.WorkStream(id), domain.WorkOpened{RequestType: "item", TypeVersion: 1, Priority: 5, Task: domain.ManualTask{ClaimMinutes: 30}})
	s.arrive(q, arrival{id, 2, domain.RequestCancelled{Reason: "too late"}})
	_, err := d.Claim(t.Context(), anna, id)
	refused(t, err, "work-closed")
	s.start(nil) // what its worker finds then changes nothing
	last := s.answer(id)
	is(t, last, "response.started", "response.withdrawn")
	if last[1].Fact != (domain.ResponseWithdrawn{Reason: "too late"}) || last[1].Cause == "" || last[1].Actor != "site:core" {
		t.Errorf("recorded %+v", last[1])
	}
	is(t, s.work(id), "work.opened", "work.closed")
}
