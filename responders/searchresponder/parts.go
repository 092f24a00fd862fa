package searchresponder

import "strings"

const (
	maxRows    = 1000   // of an answer
	maxWindow  = 10_000 // rows that can be reached at all
	maxBuckets = 1000   // that a terms aggregation may ask for
)

// body is all that a template may hold.
var body = object(members{"query": clause, "aggs": aggregations, "aggregations": aggregations, "sort": oneOrMore(sortBy), "_source": shownFields,
	"from": value(whole(0, maxWindow-1)), "size": value(whole(0, maxRows))}, nil)

// aggregations takes named aggregations, each of one kind and with others
// within.
func aggregations(c *checker, n *node) {
	named(func() shape { return aggregation })(c, n)
}

func aggregation(c *checker, n *node) {
	if !c.isObject(n) {
		return
	}
	of, kind := aggregationKinds(), ""
	for _, m := range n.members {
		switch {
		case m.name == "aggs" || m.name == "aggregations":
			aggregations(c, m.value)
		case kind != "":
			c.refuse(n, "must have exactly one kind beside aggs")
			return
		default:
			kind = m.name
			c.member(m, of)
		}
	}
	if kind == "" {
		c.refuse(n, "must have a kind, such as terms")
	}
	n.settle = func(out *node) bool { return out.get(kind) != nil }
}

func aggregationKinds() members {
	all := members{
		"terms": object(members{"field": literal(words), "size": value(whole(1, maxBuckets)), "min_doc_count": count, "missing": literal(plain), "order": oneOrMore(orderBy)}, []string{"field"}),
		"date_histogram": object(members{"field": literal(words), "calendar_interval": value(words), "fixed_interval": value(words), "format": literal(words),
			"time_zone": value(words), "offset": literal(words), "min_doc_count": count, "missing": literal(plain), "order": oneOrMore(orderBy), "keyed": literal(truth)},
			[]string{"field"}, "calendar_interval", "fixed_interval"),
		"histogram": object(members{"field": literal(words), "interval": value(number), "offset": literal(number), "min_doc_count": count,
			"missing": literal(number), "order": oneOrMore(orderBy), "keyed": literal(truth)}, []string{"field", "interval"}),
		"range":       object(members{"field": literal(words), "ranges": list(bucket), "keyed": literal(truth)}, []string{"field", "ranges"}),
		"date_range":  object(members{"field": literal(words), "ranges": list(bucket), "keyed": literal(truth), "format": literal(words), "time_zone": literal(words), "missing": literal(words)}, []string{"field", "ranges"}),
		"filter":      clause,
		"filters":     object(members{"filters": named(func() shape { return clause }), "other_bucket": literal(truth), "other_bucket_key": literal(words)}, []string{"filters"}),
		"cardinality": object(members{"field": literal(words), "missing": literal(plain), "precision_threshold": count}, []string{"field"}),
	}
	for _, metric := range []string{"min", "max", "avg", "sum", "value_count", "stats"} {
		all[metric] = object(members{"field": literal(words), "missing": literal(plain)}, []string{"field"})
	}
	return all
}

// bucket is one range of a range aggregation.
var bucket = object(members{"key": literal(words), "from": value(amount), "to": value(amount)}, nil, "from", "to")

var direction = word("asc", "desc")

// orderBy orders buckets by a key, a count or an aggregation within.
func orderBy(c *checker, n *node) { field(direction, nil)(c, n) }

// sortBy takes a field by its name or with options. Of the engine's own only
// what needs no computing: _script and _geo_distance begin with _ too.
func sortBy(c *checker, n *node) {
	if n.kind == '"' {
		c.sortable(n, n.text())
		return
	}
	field(either(object(sorting, nil), way), nil)(c, n)
	for _, m := range n.members {
		c.sortable(n, m.name)
	}
}

// way is a direction, which may be a parameter.
func way(c *checker, n *node) {
	if n.isParam() {
		c.param(n, words)
		return
	}
	direction(c, n)
}

var sorting = members{"order": way, "missing": literal(plain), "mode": word("min", "max", "sum", "avg", "median"),
	"unmapped_type": literal(words), "numeric_type": literal(words), "format": literal(words)}

func (c *checker) sortable(n *node, field string) {
	if strings.HasPrefix(field, "_") && field != "_score" && field != "_doc" {
		c.refuse(n, "must not sort by %q", field)
	}
}

// shownFields says which fields of a hit are shown.
func shownFields(c *checker, n *node) {
	fields := oneOrMore(literal(words))
	either(object(members{"includes": fields, "excludes": fields}, nil, "includes", "excludes"), func(c *checker, n *node) {
		if n.kind != 't' && n.kind != 'f' {
			fields(c, n)
		}
	})(c, n)
}
