// Package searchresponder answers a request by one search on an Elasticsearch
// or OpenSearch source.
//
//	template  {"query":{"match":{"title":{"$param":"title"}}}} ─┐
//	params    {"title":"war"} ───────────────────────────────────┼─▶ POST /books-2024/_search ─▶ rows
//	indices   the type's, narrowed by the user's grant ──────────┘   (on one node, else on the next)
//
// Only _search is ever called. What a template may hold is a short list, see
// below; anything else is refused when it is configured, by JSON Pointer, and
// again before each search.
//
// # The template
//
// A template is the body of a search with parameters in the place of values:
//
//	{"$param": NAME, "type": TYPE, "default": VALUE}
//
// TYPE is string, number, integer, boolean or array (of plain values); without
// it, whatever the place takes. A value is checked against both, and written as
// the JSON that it is: it can never become a clause, a field or an index, so
// that there is nothing to inject. No place takes an object.
//
// A parameter that the request leaves out, or gives as null, and that has no
// default takes with it what cannot be without it: a bound of a range, an option,
// an element of a list; a clause that lacks its value, an aggregation that lacks
// its field or its filter. A bool without clauses and a range without bounds go
// too. What is gone restricts nothing.
//
//	query  match multi_match term terms range bool wildcard fuzzy match_all exists ids
//	aggs   terms date_histogram histogram range date_range filter filters
//	       min max avg sum value_count cardinality stats
//	sort   _source   from   size
//
// Scripts, runtime fields, look-ups in other indices, suggesters and the like
// have no place in it.
//
// # The answer
//
//	{"total": 42, "hits": [{"_index","_id","_score","_source"}, …], "aggregations": {…}}
//
// A hit is a row. An answer is truncated if there are more hits behind its last,
// unless the template asks for none (size 0). At most 1,000 rows, from the first
// 10,000. An answer is whole or it is none: shards that failed and a search that
// the engine ended early are failures.
//
// # When something fails
//
// See the table in failure.go. A node that is away, too busy (429) or out of
// order (502, 503, 504) is followed by the next one, with growing pauses, as long
// as the time limit allows. What the engine said never reaches the one who asked;
// its status and the kind of its error go to this site's log.
package searchresponder
