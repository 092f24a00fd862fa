package queue_test

import (
	"context"
	"sync/atomic"
	"testing"
	"time"

	"sallyport/domain"
	"sallyport/responders"
	"sallyport/responders/queue"
)

// A source that does not answer keeps neither the others waiting nor, by its
// limit, more than its share of the workers busy.
func TestASlowSourceStarvesNoOther(t *testing.T) {
	t.Parallel()
	s := setup(t)
	s.append(domain.ProfileStream("basic"), domain.ProfileDefined{Name: "basic", Priority: 10, Allowed: []string{"item", "slow"}, MaxResults: 100})
	s.append(domain.RequestTypeStream("slow"), domain.RequestTypeDefined{Name: "slow", Version: 1, Parameters: []byte(parameters), MaxResults: 10})
	s.append(domain.ResponderConfigStream("slow"), domain.ResponderConfigured{Kind: domain.ResponderSQL, Source: "tape", Statement: "x", TimeoutMS: 20_000})
	wake := make(chan struct{})
	var atOnce, most, quick atomic.Int32
	change := func(c *queue.Config) {
		c.Workers = 2
		c.Concurrency = map[string]int{queue.SourceKey(domain.ResponderSQL, "tape"): 3, queue.SourceKey(domain.ResponderSQL, "items"): 2}
		with(func(ctx context.Context, q responders.Question) (responders.Answer, error) {
			if q.Config.Source != "tape" {
				quick.Add(1)
				return answered, nil
			}
			n := atOnce.Add(1)
			defer atOnce.Add(-1)
			for was := most.Load(); n > was && !most.CompareAndSwap(was, n); was = most.Load() {
			}
			select {
			case <-wake:
				return answered, nil
			case <-ctx.Done():
				return responders.Answer{}, ctx.Err()
			}
		})(c)
	}
	var requests []domain.RequestSubmitted
	for i := range 120 {
		r := request(i)
		if r.Type = "slow"; i >= 100 {
			r.Type = "item"
		}
		requests = append(requests, r)
	}
	q := s.open(change)
	s.imports(q, requests...)
	if err := q.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	s.until(`SELECT count(*) = 20 FROM readmodel.responses WHERE status = 'answered'`)
	if quick.Load() != 20 || most.Load() != 3 {
		t.Errorf("%d quick questions were asked, %d slow ones at once; want 20 and 3", quick.Load(), most.Load())
	}
	s.until(`SELECT count(*) > 50 FROM river_job WHERE queue = 'answers-sql-tape'`)
	close(wake)
	s.outcomes(120)
	if most.Load() != 3 {
		t.Errorf("%d slow questions at once, want 3", most.Load())
	}
	s.until(`SELECT coalesce(max(attempt), 0) = 1 FROM river_job`) // being moved is no attempt
}

// What is kept is answered while its source has no turn for anybody.
func TestWhatIsKeptWaitsForNoTurn(t *testing.T) {
	t.Parallel()
	s := setup(t)
	wake, asked := make(chan struct{}), make(chan struct{})
	const kept = `{"id":7}`
	q := s.start(func(c *queue.Config) {
		c.Workers, c.Concurrency = 1, map[string]int{queue.SourceKey(domain.ResponderSQL, "items"): 1}
		c.Known = func(_ context.Context, q responders.Question) (responders.Answer, bool) {
			a := answered
			a.Cached = true
			return a, string(q.Params) == kept
		}
		with(func(_ context.Context, q responders.Question) (responders.Answer, error) {
			if string(q.Params) == kept {
				t.Error("the source was asked for what is kept")
			}
			close(asked)
			<-wake
			return answered, nil
		})(c)
	})
	s.imports(q, request(1))
	<-asked
	ids := s.imports(q, request(7))
	s.until(`SELECT count(*) = 1 FROM readmodel.responses WHERE status = 'answered'`)
	close(wake)
	if got, ok := s.outcomes(2)[ids[0]].(domain.ResponseRecorded); !ok || !got.Cached {
		t.Errorf("what is kept: %+v", got)
	}
}

// What waits in the queue of a source comes back when nobody works on it.
func TestNoJobIsStranded(t *testing.T) {
	t.Parallel()
	s := setup(t)
	s.imports(s.open(nil), request(1))
	if _, err := s.Owner.Exec(t.Context(), `UPDATE river_job SET queue = 'answers-sql-gone'`); err != nil {
		t.Fatal(err)
	}
	s.start(nil)
	s.outcomes(1)
}

func TestAResponderThatDoesNotEndIsOverdue(t *testing.T) {
	t.Parallel()
	s := setup(t)
	s.append(domain.ResponderConfigStream("item"), domain.ResponderConfigured{Kind: domain.ResponderSQL, Source: "items", Statement: "x", TimeoutMS: 1})
	var asked atomic.Int32
	ids := s.imports(s.start(with(func(ctx context.Context, _ responders.Question) (responders.Answer, error) {
		if asked.Add(1) > 1 {
			return answered, nil
		}
		if at, limited := ctx.Deadline(); !limited || time.Until(at) > 6*time.Second {
			t.Error("the responder is not told its limit")
		}
		return responders.Answer{}, context.DeadlineExceeded
	})), request(1))
	if _, ok := s.outcomes(1)[ids[0]].(domain.ResponseRecorded); !ok || asked.Load() != 2 {
		t.Errorf("asked %d times", asked.Load())
	}
}
