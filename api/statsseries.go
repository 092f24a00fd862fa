package api

import (
	"cmp"
	"context"
	"strconv"
	"time"

	"sallyport/domain"
	"sallyport/projections/tally"
)

// seriesShape is what became of requests, by when they were submitted.
type seriesShape struct {
	From  domain.Timestamp `json:"from"`
	To    domain.Timestamp `json:"to"`
	Step  tally.Step       `json:"step"`
	Items []spanShape      `json:"items"`
	// Uncounted is how many positions of the log are not in the counts yet.
	Uncounted int64 `json:"uncounted"`
}

type spanShape struct {
	From       domain.Timestamp        `json:"from"`
	To         domain.Timestamp        `json:"to"`
	Total      int64                   `json:"total"`
	ByStatus   map[domain.Status]int64 `json:"by_status"`   // every status, 0 or not
	AnsweredIn *tookShape              `json:"answered_in"` // from the submission until the answer
	CrossedIn  *tookShape              `json:"crossed_in"`  // what came from the other site
}

// tookShape is how long something took.
type tookShape struct {
	HalfMS       int64 `json:"half_ms"`
	NineTenthsMS int64 `json:"nine_tenths_ms"`
	Of           int64 `json:"of"`
}

func shapeOfTook(t tally.Took) *tookShape {
	if t.Of == 0 {
		return nil
	}
	// The two sites' clocks may say that it came before it left.
	return &tookShape{HalfMS: max(t.Half.Milliseconds(), 0), NineTenthsMS: max(t.Most.Milliseconds(), 0), Of: t.Of}
}

const (
	usualSpans = 24
	maxSpans   = 400
)

// siteSeries counts and measures a site's requests over time.
func (s *server) siteSeries(ctx context.Context, c *call) (answer, error) {
	out, n, err := s.seriesAskedFor(c)
	if err != nil {
		return answer{}, err
	}
	link, err := s.Crossing(ctx)
	if err != nil {
		return answer{}, err
	}
	spans, uncounted, err := s.tally.Series(ctx, time.Time(out.From), out.Step, n, link.counted())
	if err != nil {
		return answer{}, err
	}
	out.Uncounted = uncounted
	for _, span := range spans {
		shown := spanShape{From: domain.Timestamp(span.From), To: domain.Timestamp(span.To), ByStatus: map[domain.Status]int64{},
			AnsweredIn: shapeOfTook(span.Answer), CrossedIn: shapeOfTook(span.Crossing)}
		for _, status := range statuses {
			shown.ByStatus[status] = span.Counts[status]
			shown.Total += span.Counts[status]
		}
		out.Items = append(out.Items, shown)
	}
	return answer{value: out}, nil
}

// seriesAskedFor reads the query: whole steps, and how many they are.
func (s *server) seriesAskedFor(c *call) (out seriesShape, n int, _ error) {
	values, err := onlyQuery(c, "from", "to", "step")
	if err != nil {
		return out, 0, err
	}
	out.Step = cmp.Or(tally.Step(values.Get("step")), tally.Hour)
	step := out.Step.Length()
	if step == 0 {
		return out, 0, badQuery("step", domain.FieldNotOneOf, "must be minute, hour or day")
	}
	from, err := timeOf(values, "from")
	if err != nil {
		return out, 0, err
	}
	to, err := timeOf(values, "to")
	if err != nil {
		return out, 0, err
	}
	if to.IsZero() {
		to = s.Now()
	}
	if end := to.UTC().Truncate(step); end.Before(to) {
		to = end.Add(step)
	} else {
		to = end
	}
	if from.IsZero() {
		from = to.Add(-usualSpans * step)
	}
	from = from.UTC().Truncate(step)
	switch n = int(to.Sub(from) / step); {
	case n < 1:
		return out, 0, badQuery("from", domain.FieldRange, "must be before to")
	case n > maxSpans || from.Year() < 1970:
		return out, 0, badQuery("from", domain.FieldRange, "must be at most "+strconv.Itoa(maxSpans)+" steps before to: take a longer step")
	}
	out.From, out.To, out.Items = domain.Timestamp(from), domain.Timestamp(to), make([]spanShape, 0, n)
	return out, n, nil
}
