package tally

import (
	"context"
	"math"
	"time"

	"github.com/jackc/pgx/v5"

	"sallyport/domain"
)

// Step is how long the spans of a series are.
type Step string

// The steps of a series.
const (
	Minute Step = "minute"
	Hour   Step = "hour"
	Day    Step = "day"
)

// Length is that of a step; 0: there is no such step.
func (s Step) Length() time.Duration {
	return map[Step]time.Duration{Minute: time.Minute, Hour: time.Hour, Day: 24 * time.Hour}[s]
}

// Span is a stretch of a series, with what became of the requests that were
// submitted in it.
type Span struct {
	From, To time.Time
	Counts   map[domain.Status]int64
	// Answer is how long it took from the submission until the answer, and
	// Crossing how long what came from the other site was under way, by the two
	// sites' clocks.
	Answer, Crossing Took
}

// Took is how long something took: half and nine of ten of a number of times.
type Took struct {
	Half, Most time.Duration
	Of         int64 // 0: it did not happen
}

var (
	selectSpans = `SELECT begins, ARRAY[` + each("{}") + `] FROM readmodel.request_counts
		WHERE user_id = '' AND step = $1 AND begins >= $2 AND begins < $3`
	selectTimes = `SELECT begins, what, bucket, requests FROM readmodel.request_times
		WHERE step = $1 AND begins >= $2 AND begins < $3 AND requests > 0 ORDER BY begins, what, bucket`
)

// Series counts and measures the requests that were submitted in n spans, from
// the beginning of a whole one on, and tells how much of the log is not counted.
func (t *Tally) Series(ctx context.Context, from time.Time, step Step, n int, link Link) (spans []Span, uncounted int64, err error) {
	if uncounted, err = t.catchUp(ctx, link); err != nil {
		return nil, 0, err
	}
	spans, length := make([]Span, n), step.Length()
	for i := range spans {
		spans[i] = Span{From: from.Add(time.Duration(i) * length), To: from.Add(time.Duration(i+1) * length), Counts: map[domain.Status]int64{}}
	}
	span := func(begins time.Time) *Span { return &spans[begins.Sub(from)/length] }
	_, err = rows(ctx, t, func(row pgx.CollectableRow) (struct{}, error) {
		var begins time.Time
		var counts []int64
		err := row.Scan(&begins, &counts)
		for i, count := range counts {
			span(begins).Counts[domain.Status(columns[i])] = count
		}
		return struct{}{}, err
	}, selectSpans, step, from, spans[n-1].To)
	if err != nil {
		return nil, 0, err
	}
	times := map[*Took]histogram{}
	_, err = rows(ctx, t, func(row pgx.CollectableRow) (struct{}, error) {
		var begins time.Time
		var what string
		var b bucket
		err := row.Scan(&begins, &what, &b.number, &b.requests)
		if err == nil {
			took := &span(begins).Answer
			if what == "crossing" {
				took = &span(begins).Crossing
			}
			times[took] = append(times[took], b)
		}
		return struct{}{}, err
	}, selectTimes, step, from, spans[n-1].To)
	for took, h := range times {
		*took = Took{Half: h.quantile(0.5), Most: h.quantile(0.9), Of: h.all()}
	}
	return spans, uncounted, err
}

// histogram is how many requests took how long, by ever longer times.
type histogram []bucket

type bucket struct {
	number   int
	requests int64
}

func (h histogram) all() (n int64) {
	for _, b := range h {
		n += b.requests
	}
	return n
}

// quantile is the time within which a part of all were done, as if those of a
// bucket were spread evenly in it.
func (h histogram) quantile(part float64) time.Duration {
	rest := part * float64(h.all())
	for _, b := range h {
		if n := float64(b.requests); rest <= n {
			least, past := least(b.number), least(b.number+1)
			return time.Duration((least + (past-least)*rest/n) * float64(time.Millisecond))
		}
		rest -= float64(b.requests)
	}
	return 0
}

// least is the shortest time of a bucket, in milliseconds: see bucketOf.
func least(number int) float64 {
	if number == 0 {
		return 0
	}
	return math.Pow(2, float64(number)/4)
}
