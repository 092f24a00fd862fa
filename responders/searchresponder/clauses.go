package searchresponder

import (
	"slices"
	"strconv"

	"github.com/go-json-experiment/json/jsontext"
)

// Options that several clauses have. They are the template's own.
var (
	boost     = literal(number)
	fuzziness = literal(amount)
	count     = literal(whole(0, maxWindow))
	share     = literal(amount) // of clauses that must match: 2, or "75%"
	operator  = word("and", "or", "AND", "OR")
	zeroTerms = word("none", "all")
)

// clauses are what a query may consist of.
func clauses() members {
	return members{
		"match":       field(either(object(matching, []string{"query"}), value(plain)), nil),
		"multi_match": object(multiMatching, []string{"query"}),
		"term":        field(either(object(members{"value": value(plain), "boost": boost, "case_insensitive": literal(truth)}, []string{"value"}), value(plain)), nil),
		// A look-up in another index would be an object here.
		"terms":     field(values, members{"boost": boost}),
		"range":     field(object(ranging, nil, "gte", "gt", "lte", "lt"), nil),
		"bool":      boolean,
		"wildcard":  field(either(object(members{"value": value(words), "boost": boost, "case_insensitive": literal(truth)}, []string{"value"}), value(words)), nil),
		"fuzzy":     field(either(object(fuzzing, []string{"value"}), value(plain)), nil),
		"match_all": object(members{"boost": boost}, nil),
		"exists":    object(members{"field": literal(words), "boost": boost}, []string{"field"}),
		"ids":       object(members{"values": values, "boost": boost}, []string{"values"}),
	}
}

func clause(c *checker, n *node) { one(clauses)(c, n) }

var matching = members{"query": value(plain), "operator": operator, "fuzziness": fuzziness, "prefix_length": count, "max_expansions": count,
	"fuzzy_transpositions": literal(truth), "minimum_should_match": share, "analyzer": literal(words), "lenient": literal(truth), "zero_terms_query": zeroTerms, "boost": boost}

var multiMatching = members{"query": value(plain), "fields": list(literal(words)),
	"type":     word("best_fields", "most_fields", "cross_fields", "phrase", "phrase_prefix", "bool_prefix"),
	"operator": operator, "fuzziness": fuzziness, "prefix_length": count, "max_expansions": count, "fuzzy_transpositions": literal(truth), "tie_breaker": literal(number),
	"minimum_should_match": share, "analyzer": literal(words), "lenient": literal(truth), "zero_terms_query": zeroTerms, "boost": boost}

var ranging = members{"gte": value(amount), "gt": value(amount), "lte": value(amount), "lt": value(amount),
	"format": literal(words), "time_zone": literal(words), "relation": word("INTERSECTS", "CONTAINS", "WITHIN"), "boost": boost}

var fuzzing = members{"value": value(plain), "fuzziness": fuzziness, "max_expansions": count, "prefix_length": count,
	"transpositions": literal(truth), "boost": boost}

var occurs = []string{"must", "should", "filter", "must_not"}

const atLeast = "minimum_should_match"

// boolean takes a bool. It is gone with its last clause, and asks for no more
// matches than it has clauses left.
func boolean(c *checker, n *node) {
	of := members{atLeast: literal(whole(0, maxList)), "boost": boost}
	for _, o := range occurs {
		of[o] = oneOrMore(clause)
	}
	object(of, nil)(c, n)
	n.settle = func(out *node) bool {
		should, least := out.get("should"), out.get(atLeast)
		switch {
		case should == nil:
			out.drop(atLeast)
		case least != nil:
			wanted, _ := wholeNumber(least.literal)
			least = &node{kind: '0', literal: jsontext.Value(strconv.FormatInt(min(wanted, int64(should.count())), 10))}
			out.drop(atLeast)
			out.members = append(out.members, member{atLeast, least})
		}
		return len(n.members) == 0 || slices.ContainsFunc(occurs, func(o string) bool { return out.get(o) != nil })
	}
}

// count is how many there are of what may be one or a list.
func (n *node) count() int {
	if n.kind == '[' {
		return len(n.elements)
	}
	return 1
}
