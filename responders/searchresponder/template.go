package searchresponder

import (
	"bytes"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"sallyport/domain"
)

// template is a search whose parameters have no values yet.
type template struct{ root *node }

// compile reads a template. The error is a [*domain.Error] with a JSON Pointer
// to each fault, below /search/body. With names, no other parameter may stand
// in it.
func compile(text []byte, names []string) (template, error) {
	root, err := parse(text)
	if err != nil {
		return template{}, refused([]domain.FieldError{{Code: domain.FieldJSON, Detail: "must be one JSON value, with no name twice in an object, at most " + strconv.Itoa(maxDepth) + " deep"}})
	}
	c := &checker{names: names}
	body(c, root)
	from, size := root.get("from"), root.get("size")
	if len(c.wrong) == 0 && from.amount(0)+size.amount(0) > maxWindow {
		c.refuse(root.get("size"), "must not reach beyond the first %d hits together with from", maxWindow)
	}
	if len(c.wrong) > 0 {
		return template{}, refused(c.wrong)
	}
	return template{root}, nil
}

func refused(wrong []domain.FieldError) error {
	for i := range wrong {
		wrong[i].Pointer = "/search/body" + wrong[i].Pointer
	}
	return &domain.Error{Kind: domain.Invalid, Code: "invalid-responder", Fields: wrong,
		Detail: fmt.Sprintf("the query's template is not valid: %s %s; nothing was stored", wrong[0].Pointer, wrong[0].Detail)}
}

// amount is a whole number that stands in the template; without it: otherwise.
func (n *node) amount(otherwise int) int {
	if n == nil || n.param != nil {
		return otherwise
	}
	v, _ := wholeNumber(n.literal)
	return int(v)
}

// search is what is asked of the engine.
type search struct {
	body       []byte
	from, size int
	aggregates bool
}

// errNoObject is parameters that are no JSON object.
var errNoObject = errors.New("the parameters are no JSON object")

// fill puts a request's parameters into the template: for at most so many rows,
// in at most such a time. The error is a [*BindError] or errNoObject.
func (t template) fill(params []byte, rows int, limit time.Duration) (search, error) {
	values := map[string]jsontext.Value{}
	if json.Unmarshal(params, &values) != nil || values == nil {
		return search{}, errNoObject
	}
	root, err := t.root.resolve(values)
	if err != nil {
		return search{}, err
	}
	s := search{from: root.get("from").amount(0), aggregates: root.get("aggs") != nil || root.get("aggregations") != nil}
	rows = min(rows, maxRows, maxWindow-s.from)
	s.size = min(root.get("size").amount(rows), rows)
	root.drop("from")
	root.drop("size")
	root.members = append(root.members, ours("from", strconv.Itoa(s.from)), ours("size", strconv.Itoa(s.size)),
		ours("track_total_hits", "true"), ours("timeout", strconv.Quote(strconv.FormatInt(limit.Milliseconds(), 10)+"ms")))
	var b bytes.Buffer
	if err := root.write(jsontext.NewEncoder(&b)); err != nil {
		return search{}, fmt.Errorf("encode the search: %w", err)
	}
	s.body = b.Bytes()
	return s, nil
}

// ours is a member that no template has.
func ours(name, v string) member {
	return member{name, &node{kind: jsontext.Value(v).Kind(), literal: jsontext.Value(v)}}
}
