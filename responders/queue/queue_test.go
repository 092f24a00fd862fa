package queue_test

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"sallyport/domain"
	"sallyport/eventstore"
	"sallyport/responders"
	"sallyport/responders/queue"
)

func TestEveryRequestIsAnsweredOnce(t *testing.T) {
	t.Parallel()
	s := setup(t)
	q := s.start(nil)
	var requests []domain.RequestSubmitted
	for i := range 200 {
		requests = append(requests, request(i)) // 0 finds nothing
	}
	ids := s.imports(q, requests...)
	found := s.outcomes(200)
	for i, id := range ids {
		r, ok := found[id].(domain.ResponseRecorded)
		if !ok {
			t.Fatalf("request %d: %+v", i, found[id])
		}
		var rows []struct {
			ID   int
			Name string
		}
		if err := json.Unmarshal(r.Result, &rows); err != nil {
			t.Fatal(err)
		}
		if i == 0 && len(rows) != 0 || i > 0 && (len(rows) != 1 || rows[0].ID != i) || r.ResultCount != len(rows) ||
			r.Status != domain.StatusAnswered || r.Responder != domain.ResponderSQL {
			t.Errorf("request %d got %+v", i, r)
		}
		stream, err := s.Store.ReadStream(t.Context(), domain.ResponseStream(id))
		if err != nil {
			t.Fatal(err)
		}
		started, ok := stream[0].Fact.(domain.ResponseStarted)
		if len(stream) != 2 || !ok || started.Attempt != 1 || !strings.HasPrefix(started.Worker, "worker-") || stream[0].Corr != id {
			t.Errorf("request %d has the stream %+v", i, stream)
		}
	}
}

func TestRefusalsAreDecidedAnew(t *testing.T) {
	t.Parallel()
	s := setup(t)
	def := func(name, schema string) {
		s.append(domain.RequestTypeStream(name), domain.RequestTypeDefined{Name: name, Version: 1, Parameters: json.RawMessage(schema)})
	}
	def("orphan", parameters)
	def("unstable", `{"type":"string"}`)
	def("closed", parameters)
	cases := map[string]struct {
		change func(*domain.RequestSubmitted)
		text   string
	}{
		queue.CodeUserInactive:  {func(r *domain.RequestSubmitted) { r.User = "0190f5a0-0000-7000-8000-0000000000b0" }, "not active"},
		queue.CodeNotAllowed:    {func(r *domain.RequestSubmitted) { r.Type = "closed" }, "does not list"},
		queue.CodeUnknownType:   {func(r *domain.RequestSubmitted) { r.Type = "nothing" }, "no such request type"},
		queue.CodeInvalidParams: {func(r *domain.RequestSubmitted) { r.Params = json.RawMessage(`{"id":"x"}`) }, "/params/id"},
		queue.CodeNoResponder:   {func(r *domain.RequestSubmitted) { r.Type = "orphan" }, "nothing is configured"},
	}
	var requests []domain.RequestSubmitted
	var codes []string
	for code, c := range cases {
		r := request(1)
		c.change(&r)
		requests, codes = append(requests, r), append(codes, code)
	}
	unusable := request(1)
	unusable.Type = "unstable"
	ids := s.imports(s.start(nil), append(requests, unusable)...)
	found := s.outcomes(len(ids))
	for i, code := range codes {
		f, ok := found[ids[i]].(domain.ResponseFailed)
		if !ok || f.Code != code || !strings.Contains(f.Error, cases[code].text) || f.Attempts != 0 {
			t.Errorf("got %+v, want %s: … %s …", found[ids[i]], code, cases[code].text)
		}
	}
	if f, ok := found[ids[len(ids)-1]].(domain.ResponseFailed); !ok || f.Code != queue.CodeUnknownType {
		t.Errorf("an unusable schema: %+v", found[ids[len(ids)-1]])
	}
}

func TestTheLeastLimitHolds(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ ofType, ofProfile, ofBoth, granted, want int }{
		"type":              {3, 5, 0, 0, 3},
		"profile":           {5, 2, 0, 0, 2},
		"profile, for type": {5, 5, 1, 0, 1},
		"the user's own":    {3, 5, 1, 8, 8},
		"none set":          {0, 0, 0, 0, 1000},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := setup(t)
			s.append(domain.RequestTypeStream("item"), domain.RequestTypeDefined{Name: "item", Version: 2,
				Parameters: json.RawMessage(parameters), MaxResults: c.ofType})
			s.append(domain.ProfileStream("basic"), domain.ProfileDefined{Name: "basic", Allowed: []string{"item"}, MaxResults: c.ofProfile,
				TypeLimits: map[string]domain.TypeLimit{"item": {MaxResults: c.ofBoth}}})
			s.append(domain.UserStream(alice), domain.AccessGranted{RequestType: "item", MaxResults: c.granted, Indices: []string{}})
			s.configure("item", `SELECT n FROM generate_series(1, 1001) n WHERE @id::int > 0`)
			ids := s.imports(s.start(nil), request(1))
			r, ok := s.outcomes(1)[ids[0]].(domain.ResponseRecorded)
			if !ok || r.ResultCount != c.want || !r.Truncated {
				t.Errorf("count %d, truncated %t, want %d", r.ResultCount, r.Truncated, c.want)
			}
		})
	}
}

func TestRetriesEndInAFailure(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		statement, code string
		attempts        int
	}{
		"worth another attempt": {`SELECT fail('40001') WHERE @id::int > 0`, "source_unavailable", 3},
		"final":                 {`SELECT 1 / (@id::int - @id::int)`, "bad_parameter", 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := setup(t)
			s.configure("item", c.statement)
			ids := s.imports(s.start(func(c *queue.Config) { c.MaxAttempts = 3 }), request(1))
			f, ok := s.outcomes(1)[ids[0]].(domain.ResponseFailed)
			if !ok || f.Code != c.code || f.Attempts != c.attempts {
				t.Errorf("got %+v", f)
			}
			if n := s.started(ids[0]); n != c.attempts {
				t.Errorf("started %d times, want %d", n, c.attempts)
			}
			told := 0
			for _, r := range s.answer(ids[0]) {
				if f, scheduled := r.Fact.(domain.ResponseRetryScheduled); scheduled {
					if told++; f.Attempt != told || !strings.HasPrefix(f.Error, c.code+": ") || time.Time(f.NextAt).Before(r.At) {
						t.Errorf("at %s it was told that %+v", r.At, f)
					}
				}
			}
			if told != c.attempts-1 {
				t.Errorf("%d more attempts were told of, want %d", told, c.attempts-1)
			}
		})
	}
}

func (s *site) started(id string) int {
	s.t.Helper()
	records, err := s.Store.ReadStream(s.t.Context(), domain.ResponseStream(id))
	if err != nil {
		s.t.Fatal(err)
	}
	n := 0
	for _, r := range records {
		if f, ok := r.Fact.(domain.ResponseStarted); ok {
			if n++; f.Attempt != n {
				s.t.Errorf("attempt %d is called %d", n, f.Attempt)
			}
		}
	}
	return n
}

func TestATroubledResponderIsAskedAgain(t *testing.T) {
	t.Parallel()
	for name, trouble := range map[string]respond{
		"panics": func(context.Context, responders.Question) (responders.Answer, error) { panic("hunter2") },
		"breaks": func(context.Context, responders.Question) (responders.Answer, error) {
			return responders.Answer{}, errors.New("hunter2")
		},
		"answers no JSON": func(context.Context, responders.Question) (responders.Answer, error) {
			return responders.Answer{Result: json.RawMessage(`hunter2`)}, nil
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := setup(t)
			var asked atomic.Int32
			ids := s.imports(s.start(with(func(ctx context.Context, q responders.Question) (responders.Answer, error) {
				if asked.Add(1) <= 2 {
					return trouble(ctx, q)
				}
				return answered, nil
			})), request(1))
			if _, ok := s.outcomes(1)[ids[0]].(domain.ResponseRecorded); !ok || asked.Load() != 3 {
				t.Errorf("asked %d times", asked.Load())
			}
		})
	}
}

func TestABrokenResponderFailsWithoutASecret(t *testing.T) {
	t.Parallel()
	s := setup(t)
	ids := s.imports(s.start(with(func(context.Context, responders.Question) (responders.Answer, error) { panic("hunter2") })), request(1))
	f, ok := s.outcomes(1)[ids[0]].(domain.ResponseFailed)
	if !ok || f.Code != queue.CodeInternal || f.Attempts != 5 || strings.Contains(f.Error, "hunter2") {
		t.Errorf("got %+v", f)
	}
	var kept bool
	if err := s.Owner.QueryRow(t.Context(), `SELECT EXISTS (SELECT FROM river_job WHERE errors::text LIKE '%hunter2%')`).Scan(&kept); err != nil || kept {
		t.Errorf("the queue keeps the secret: %t, %v", kept, err)
	}
}

// Two workers hold the same request in two jobs: the stream's version decides.
func TestTwoJobsOneOutcome(t *testing.T) {
	t.Parallel()
	s := setup(t)
	var n atomic.Int32
	both := make(chan struct{})
	q := s.open(with(func(ctx context.Context, _ responders.Question) (responders.Answer, error) {
		if n.Add(1) == 2 {
			close(both)
		}
		select {
		case <-both:
		case <-ctx.Done():
		}
		return answered, nil
	}))
	s.imports(q, request(1))
	_, err := s.Owner.Exec(t.Context(), `INSERT INTO river_job (args, kind, max_attempts, priority, queue, state)
		SELECT args, kind, max_attempts, priority, queue, state FROM river_job`)
	if err != nil {
		t.Fatal(err)
	}
	if err := q.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	s.outcomes(1)
	if n.Load() != 2 {
		t.Errorf("asked %d times, want 2: nothing was shown", n.Load())
	}
}

func TestStopGivesUnfinishedWorkBack(t *testing.T) {
	t.Parallel()
	s := setup(t)
	asked := make(chan struct{})
	q := s.start(with(func(ctx context.Context, _ responders.Question) (responders.Answer, error) {
		close(asked)
		<-ctx.Done()
		return responders.Answer{}, ctx.Err()
	}))
	s.imports(q, request(1))
	<-asked
	for range 2 {
		if err := q.Stop(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	s.until(`SELECT state = 'available' AND attempt = 0 FROM river_job`)
	if err := q.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	s.start(nil)
	s.outcomes(1)
}

func TestHigherPrioritiesGoFirst(t *testing.T) {
	t.Parallel()
	s := setup(t)
	var requests []domain.RequestSubmitted
	for p := 1; p <= 10; p++ {
		r := request(p)
		r.Priority = p
		requests = append(requests, r)
	}
	one := func(c *queue.Config) { c.Workers = 1 }
	ids := s.imports(s.open(one), requests...)
	s.start(one)
	s.outcomes(10)
	taken := map[int]time.Time{} // by priority
	for i, id := range ids {
		var at time.Time
		if err := s.Owner.QueryRow(t.Context(), `SELECT attempted_at FROM river_job WHERE args->>'request' = $1`, id).Scan(&at); err != nil {
			t.Fatal(err)
		}
		taken[i+1] = at
	}
	class := map[int]int{10: 1, 9: 1, 8: 2, 7: 2, 6: 2, 5: 3, 4: 3, 3: 3, 2: 4, 1: 4}
	for p := range class {
		for other := range class {
			if class[p] < class[other] && taken[p].After(taken[other]) {
				t.Errorf("priority %d was taken at %s, after %d at %s", p, taken[p], other, taken[other])
			}
		}
	}
}

func TestWithoutWorkersItOnlyEnqueues(t *testing.T) {
	t.Parallel()
	s := setup(t)
	q := s.start(func(c *queue.Config) { c.Workers = 0 })
	s.imports(q, request(1))
	s.until(`SELECT count(*) = 1 FROM river_job WHERE state = 'available'`)
	if err := q.Stop(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestARefusedImportLeavesNoJob(t *testing.T) {
	t.Parallel()
	s := setup(t)
	q := s.open(nil)
	s.imports(q, request(1))
	records, err := s.Store.Read(t.Context(), 0, 1000)
	if err != nil {
		t.Fatal(err)
	}
	again := records[len(records)-1]
	m := eventstore.Mirrored{Origin: "field", Events: []domain.Event{again.Event}, Facts: []domain.Fact{again.Fact}, Lines: [][]byte{again.Line}}
	m.With = enqueue(q, m)
	if err := s.Store.Mirror(t.Context(), m); err == nil {
		t.Fatal("the same event was stored twice")
	}
	s.until(`SELECT count(*) = 1 FROM river_job`)
}

// What a source says and no log can hold fails at once, and is not asked for
// again.
func TestAnAnswerThatNoLogHolds(t *testing.T) {
	t.Parallel()
	s := setup(t)
	var asked atomic.Int32
	id := s.imports(s.start(with(func(context.Context, responders.Question) (responders.Answer, error) {
		asked.Add(1)
		return responders.Answer{Result: json.RawMessage(`["hunter2 \u0000"]`), Count: 1, ContentType: "application/json"}, nil
	})), request(1))[0]
	f, ok := s.outcomes(1)[id].(domain.ResponseFailed)
	if !ok || f.Code != queue.CodeBadAnswer || f.Attempts != 1 || strings.Contains(f.Error, "hunter2") {
		t.Errorf("recorded %+v", f)
	}
	if asked.Load() != 1 {
		t.Errorf("the source was asked %d times", asked.Load())
	}
}
