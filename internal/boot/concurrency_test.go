package boot

import (
	"maps"
	"strings"
	"testing"
)

func TestHowManyQuestionsAtOnce(t *testing.T) {
	t.Parallel()
	sources := map[string]Source{"flights": {URL: "x"}, "tape": {URL: "x"}}
	for name, c := range map[string]struct {
		given Responders
		want  map[string]int
	}{
		"nothing said":          {Responders{Sources: sources}, map[string]int{"sql/flights": 8, "sql/tape": 8}},
		"as many as workers":    {Responders{Sources: sources, Workers: 3}, map[string]int{"sql/flights": 3, "sql/tape": 3}},
		"a search":              {Responders{Searches: map[string]Search{"books": {}}, Concurrency: map[string]int{"elasticsearch/books": 2}}, map[string]int{"elasticsearch/books": 2}},
		"by kind and by source": {Responders{Sources: sources, Concurrency: map[string]int{"sql": 4, "sql/tape": 1}}, map[string]int{"sql/flights": 4, "sql/tape": 1}},
	} {
		if got := c.given.atOnce(); !maps.Equal(got, c.want) {
			t.Errorf("%s: %v, want %v", name, got, c.want)
		}
	}
	for key, n := range map[string]int{"sql": 0, "sql/flights": 257, "sql/gone": 1, "telepathy": 1, "sql/": 1, "": 1} {
		err := Responders{Sources: sources, Concurrency: map[string]int{key: n}}.checkConcurrency()
		if err == nil || !strings.Contains(err.Error(), "responders.concurrency") {
			t.Errorf("%q: %d: %v", key, n, err)
		}
	}
	if err := (Responders{Sources: sources, Concurrency: map[string]int{"sql": 256, "sql/tape": 1}}).checkConcurrency(); err != nil {
		t.Error(err)
	}
}
