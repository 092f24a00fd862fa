package queue_test

import (
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"sallyport/domain"
	"sallyport/responders"
	"sallyport/responders/queue"
)

// BenchmarkDrain answers 2,000 requests by the sql responder with 8 workers.
func BenchmarkDrain(b *testing.B) {
	s := setup(b)
	n, took := 0, time.Duration(0)
	for b.Loop() {
		q := s.open(func(c *queue.Config) { c.Workers = 8 })
		for range 2 {
			var requests []domain.RequestSubmitted
			for i := range 1000 {
				requests = append(requests, request(i))
			}
			n += len(s.imports(q, requests...))
		}
		began := time.Now()
		if err := q.Start(b.Context()); err != nil {
			b.Fatal(err)
		}
		s.drained()
		took += time.Since(began)
		if err := q.Stop(b.Context()); err != nil {
			b.Fatal(err)
		}
	}
	if found := s.outcomes(n); len(found) != n {
		b.Fatalf("%d outcomes of %d", len(found), n)
	}
	b.ReportMetric(float64(n)/took.Seconds(), "answers/s")
}

// BenchmarkDirect is what a drain is measured against: the same statements by
// 8 callers, and one row inserted and committed for each.
func BenchmarkDirect(b *testing.B) {
	s := setup(b)
	if _, err := s.Owner.Exec(b.Context(), `CREATE TABLE direct (n int, result json); GRANT INSERT ON direct TO sallyport_app`); err != nil {
		b.Fatal(err)
	}
	ask := s.config.Responders[domain.ResponderSQL]
	n, began := 0, time.Now()
	for b.Loop() {
		var wg errgroup.Group
		wg.SetLimit(8)
		for i := range 2000 {
			wg.Go(func() error {
				a, err := ask.Respond(b.Context(), responders.Question{Params: request(i).Params, MaxResults: 10, MaxBytes: 1 << 20,
					Config: domain.ResponderConfigured{Source: "items", Statement: itemStatement, TimeoutMS: 5000}})
				if err != nil {
					return err
				}
				_, err = s.Pool.Exec(b.Context(), `INSERT INTO direct VALUES ($1, $2)`, i, a.Result)
				return err
			})
		}
		if err := wg.Wait(); err != nil {
			b.Fatal(err)
		}
		n += 2000
	}
	b.ReportMetric(float64(n)/time.Since(began).Seconds(), "answers/s")
}
