package domain

import (
	"bytes"
	"encoding/json"
	"regexp"
	"slices"
	"strings"
)

// ResponderElasticsearch answers by one query on an Elasticsearch or
// OpenSearch source.
const ResponderElasticsearch ResponderKind = "elasticsearch"

// SearchQuery says what a request of a type searches for, and where.
type SearchQuery struct {
	// Indices are all that the type may read, each a name or the beginning of
	// names followed by *. A grant may narrow them for a user.
	Indices []string `json:"indices"`
	// Body is the query's template, a JSON object; the responder says what may
	// stand in it.
	Body json.RawMessage `json:"body"`
}

const (
	maxIndices    = 32
	maxSearchBody = 32 << 10
)

func (q *SearchQuery) check(f *fieldErrors) {
	if q == nil {
		f.require(false, "/search", FieldRequired, "is required: give the indices that may be read and the query's body")
		return
	}
	checkIndices(f, "/search/indices", q.Indices)
	body := bytes.TrimSpace(q.Body)
	f.require(len(body) > 0 && body[0] == '{' && json.Valid(body) && len(body) <= maxSearchBody, "/search/body", FieldForm, "must be a JSON object of at most %d KiB", maxSearchBody>>10)
}

// index admits no more than one wildcard, at the end, and no name of the
// engine's own (.security, _all), of another cluster (a:b) or of a date (<…>).
var index = regexp.MustCompile(`^[a-z0-9][a-z0-9._-]{0,98}(\*|[a-z0-9._-])?$`)

// ValidIndex reports whether a search may name an index, or the beginning of
// several, so.
func ValidIndex(name string) bool { return index.MatchString(name) }

func checkIndices(f *fieldErrors, pointer string, indices []string) {
	f.bounded(len(indices) > 0, pointer, FieldTooFew, 1, maxIndices, "must name %d to %d indices")
	f.bounded(len(indices) <= maxIndices, pointer, FieldTooMany, 1, maxIndices, "must name %d to %d indices")
	seen := map[string]bool{}
	for _, i := range indices {
		f.require(ValidIndex(i), pointer, FieldForm, "%q must be an index's name of a-z 0-9 . _ - that begins with a letter or digit, or the beginning of names followed by *, of at most 100 characters", i)
		f.require(!seen[i], pointer, FieldTwice, "names %q twice", i)
		seen[i] = true
	}
}

// NarrowIndices returns what is in both lists of indices: those of a type and
// those that a user's grant leaves of them; nil leaves all.
func NarrowIndices(indices, grant []string) []string {
	if grant == nil {
		return indices
	}
	var both []string
	for _, a := range indices {
		for _, b := range grant {
			if narrower, ok := overlap(a, b); ok && !slices.Contains(both, narrower) {
				both = append(both, narrower)
			}
		}
	}
	return both
}

// overlap returns what two names or beginnings of names have in common, which
// is always one of them.
func overlap(a, b string) (string, bool) {
	begin, open := strings.CutSuffix(a, "*")
	other, openToo := strings.CutSuffix(b, "*")
	switch {
	case openToo && strings.HasPrefix(begin, other):
		return a, true
	case open && strings.HasPrefix(other, begin):
		return b, true
	default:
		return a, a == b
	}
}
