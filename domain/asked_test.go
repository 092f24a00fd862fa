package domain_test

import (
	"errors"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"sallyport/domain"
)

// placed is a fact at its position of one of the two logs.
type placed struct {
	fact domain.Fact
	pos  int64
}

func asked(facts ...placed) domain.Asked {
	var a domain.Asked
	for _, f := range facts {
		a = a.Apply(f.fact, f.pos)
	}
	return a
}

// The facts of one request, as the tables below spell them.
var (
	begun     = func(pos int64) placed { return placed{domain.ResponseStarted{}, pos} }
	answered  = func(pos int64) placed { return placed{domain.ResponseRecorded{}, pos} }
	failure   = func(pos int64) placed { return placed{domain.ResponseFailed{}, pos} }
	reopened  = func(pos int64) placed { return placed{domain.ResponseRetried{}, pos} }
	withdrawn = func(pos int64) placed { return placed{domain.ResponseWithdrawn{}, pos} }
	cancelled = placed{domain.RequestCancelled{}, 3}
	retried   = func(failure int64) placed { return placed{domain.RequestRetried{Failure: failure}, 4} }
)

func TestTheStatusOfARequest(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name  string
		facts []placed
		want  domain.Status
	}{
		{"nothing but submitted", nil, domain.StatusPending},
		{"begun", []placed{begun(5)}, domain.StatusProcessing},
		{"answered", []placed{begun(5), answered(6)}, domain.StatusAnswered},
		{"failed", []placed{begun(5), failure(6)}, domain.StatusFailed},
		{"failed and asked again", []placed{failure(6), retried(6)}, domain.StatusPending},
		{"asked again, as the other site knows too", []placed{failure(6), retried(6), reopened(7)}, domain.StatusPending},
		{"begun again", []placed{failure(6), retried(6), reopened(7), begun(8)}, domain.StatusProcessing},
		{"failed again", []placed{failure(6), retried(6), reopened(7), failure(8)}, domain.StatusFailed},
		{"answered after a failure", []placed{failure(6), retried(6), reopened(7), answered(8)}, domain.StatusAnswered},
		{"asked again twice", []placed{failure(6), retried(6), reopened(7), failure(8), retried(8)}, domain.StatusPending},
		{"taken back by an administrator, who was faster", []placed{failure(6), reopened(7), failure(8), retried(6)}, domain.StatusFailed},
		{"cancelled", []placed{cancelled}, domain.StatusCancelled},
		{"cancelled and withdrawn", []placed{cancelled, withdrawn(5)}, domain.StatusCancelled},
		{"cancelled, answered too late", []placed{cancelled, answered(5)}, domain.StatusCancelled},
		{"cancelled after a failure", []placed{failure(5), cancelled}, domain.StatusCancelled},
		{"withdrawn, from a site that tells no reason", []placed{withdrawn(5)}, domain.StatusCancelled},
		{"a faulty peer goes on after its answer", []placed{answered(5), begun(6), failure(7), withdrawn(8)}, domain.StatusAnswered},
	} {
		if got := asked(c.facts...).Status(); got != c.want {
			t.Errorf("%s: %s, want %s", c.name, got, c.want)
		}
	}
}

// TestTheStatusIsAFunctionOfTheSet: whatever facts there are, of whichever of
// the two sites, no order in which they meet changes the state.
func TestTheStatusIsAFunctionOfTheSet(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		var facts []placed
		for pos := range rapid.Int64Range(0, 8).Draw(t, "answer's facts") {
			facts = append(facts, rapid.SampledFrom([]func(int64) placed{begun, answered, failure, reopened, withdrawn}).Draw(t, "answer")(pos+1))
		}
		for range rapid.IntRange(0, 3).Draw(t, "request's facts") {
			facts = append(facts, rapid.SampledFrom([]placed{cancelled, retried(1), retried(3), retried(6)}).Draw(t, "request"))
		}
		first, second := asked(facts...), asked(rapid.Permutation(facts).Draw(t, "another order")...)
		if first != second {
			t.Fatalf("%+v is %+v in one order and %+v in another", facts, first, second)
		}
		if twice := asked(append(facts, facts...)...); twice != first {
			t.Fatalf("%+v is %+v, and %+v when all is told twice", facts, first, twice)
		}
	})
}

// TestAnOutcomeStandsUntilItIsTakenBack: whatever workers try, the stream of
// an answer has one outcome at a time, and the asker's view agrees with it.
func TestAnOutcomeStandsUntilItIsTakenBack(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		var r domain.Response
		var a domain.Asked
		var last domain.Fact = domain.ResponseRetried{}
		tries := rapid.SliceOfN(rapid.SampledFrom([]placed{begun(0), answered(0), failure(0), reopened(0), withdrawn(0)}), 1, 20).Draw(t, "tries")
		for i, try := range tries {
			facts, err := r.Decide(try.fact)
			_, retry := try.fact.(domain.ResponseRetried)
			_, failed := last.(domain.ResponseFailed)
			_, open := last.(domain.ResponseRetried)
			if want := retry && failed || !retry && open; want != (err == nil) {
				t.Fatalf("%T after the outcome %T: %v", try.fact, last, err)
			}
			for _, f := range facts {
				r, a = r.Apply(f), a.Apply(f, int64(i+1))
				if _, begun := f.(domain.ResponseStarted); !begun {
					last = f
				}
			}
		}
		want := map[string]domain.Status{"response.recorded": domain.StatusAnswered, "response.failed": domain.StatusFailed,
			"response.withdrawn": domain.StatusCancelled}[last.EventType()]
		if got := a.Status(); want != "" && got != want || want == "" && got != domain.StatusPending && got != domain.StatusProcessing {
			t.Fatalf("the last outcome is %T, but the status %s", last, got)
		}
	})
}

func TestCancelAndRetry(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name           string
		state          domain.Asked
		cancel, again  string // the refusals; empty: allowed
		namesThatFault int64
	}{
		{"pending", asked(), "", "not-failed", 0},
		{"processing", asked(begun(5)), "", "not-failed", 0},
		{"failed", asked(begun(5), failure(6)), "", "", 6},
		{"asked again", asked(failure(6), retried(6)), "", "not-failed", 0},
		{"failed again", asked(failure(6), retried(6), reopened(7), failure(9)), "", "", 9},
		{"answered", asked(answered(5)), "already-answered", "already-answered", 0},
		{"cancelled", asked(cancelled), "already-cancelled", "already-cancelled", 0},
		{"cancelled after a failure", asked(failure(5), cancelled), "already-cancelled", "already-cancelled", 0},
	} {
		facts, err := c.state.Decide(domain.RequestCancelled{Reason: "no"})
		if c.cancel != "" {
			refusal(t, err, domain.Conflict, c.cancel)
		} else if err != nil || len(facts) != 1 || c.state.Apply(facts[0], 9).Status() != domain.StatusCancelled {
			t.Errorf("cancelling what is %s: %v, %v", c.name, facts, err)
		}
		facts, err = c.state.Decide(domain.RequestRetried{Reason: "please"})
		if c.again != "" {
			refusal(t, err, domain.Conflict, c.again)
		} else if err != nil || facts[0] != (domain.RequestRetried{Reason: "please", Failure: c.namesThatFault}) ||
			c.state.Apply(facts[0], 9).Status() != domain.StatusPending {
			t.Errorf("asking again for what is %s: %v, %v", c.name, facts, err)
		}
	}
	for _, command := range []domain.Fact{domain.RequestCancelled{Reason: strings.Repeat("x", 501)}, domain.RequestRetried{Reason: "a\nb"}} {
		_, err := asked(failure(5)).Decide(command)
		if wrong := refusal(t, err, domain.Invalid, "invalid-reason").Fields; len(wrong) != 1 || wrong[0].Pointer != "/reason" {
			t.Errorf("%T: %v", command, wrong)
		}
	}
	var refused *domain.Error
	if _, err := asked().Decide(domain.ResponseFailed{}); !errors.As(err, &refused) {
		t.Errorf("a request was told of a failure: %v", err)
	}
}
