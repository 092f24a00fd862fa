package demo

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"

	"golang.org/x/sync/errgroup"

	"sallyport/internal/dataset"
)

// clients is how many questions are under way at once.
const clients = 8

// question is one request and what became of it.
type question struct {
	typ    dataset.RequestType
	params json.RawMessage
	id     string
	rows   int
	failed bool
}

// questions makes requests of all types from the dataset itself: most must
// find something, some ask for what does not exist.
func (r *run) questions() []*question {
	var all []*question
	ask := func(typ string, params any) {
		raw, err := json.Marshal(params)
		if err != nil {
			panic(err) // maps of strings and numbers always encode
		}
		all = append(all, &question{typ: r.types[typ], params: raw})
	}
	for i := range 100 {
		ask("airport", map[string]any{"iata": r.airports[i*len(r.airports)/100].IATA})
	}
	for _, code := range r.unknownCodes(24) {
		ask("airport", map[string]any{"iata": code})
	}
	countries := r.countries()
	for i := range 40 {
		c := countries[i*len(countries)/40]
		ask("airports-in-country", map[string]any{"country": c, "min_elevation_ft": 100 * i})
		ask("highest-airports", map[string]any{"country": c, "n": 1 + i%10})
	}
	for i := range 20 {
		a := r.airports[(i*997)%len(r.airports)]
		ask("airports-in-box", map[string]any{"south": max(-90, a.Lat-2), "north": min(90, a.Lat+2),
			"west": max(-180, a.Lon-2), "east": min(180, a.Lon+2)})
	}
	return all
}

// unknownCodes returns codes of the right form that no airport has.
func (r *run) unknownCodes(n int) []string {
	var codes []string
	for c := 'Z'; c >= 'A' && len(codes) < n; c-- {
		for d := 'Z'; d >= 'A' && len(codes) < n; d-- {
			code := "Q" + string(c) + string(d)
			if !slices.ContainsFunc(r.airports, func(a dataset.Airport) bool { return a.IATA == code }) {
				codes = append(codes, code)
			}
		}
	}
	return codes
}

func (r *run) countries() []string {
	var all []string
	for _, a := range r.airports {
		all = append(all, a.Country)
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// compare holds an answer against the dataset read directly.
func (r *run) compare(q *question, result []map[string]any) error {
	want, err := q.typ.Answer(r.airports, q.params)
	if err != nil {
		return err
	}
	want = want[:min(len(want), q.typ.MaxResults)]
	if len(result) != len(want) {
		return fmt.Errorf("%s %s: %d rows, the dataset has %d", q.typ.Name, q.params, len(result), len(want))
	}
	for i, row := range want {
		for j, column := range q.typ.Columns {
			if got := result[i][column]; got != plain(row[j]) {
				return fmt.Errorf("%s %s: row %d has %s %v, the dataset says %v", q.typ.Name, q.params, i+1, column, got, row[j])
			}
		}
	}
	q.rows = len(result)
	return nil
}

// plain is a value as JSON gives it back.
func plain(v any) any {
	if n, ok := v.(int32); ok {
		return float64(n)
	}
	return v
}

// each does something with all questions, a few at a time.
func each(ctx context.Context, questions []*question, do func(context.Context, *question) error) error {
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(clients)
	for _, q := range questions {
		group.Go(func() error { return do(ctx, q) })
	}
	return group.Wait()
}
