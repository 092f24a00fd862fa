package bench

import (
	"context"
	"fmt"
	"slices"
)

// Figure is one measured ratio.
type Figure struct {
	Name string `json:"name"`
	// Value is the subject's median, in Unit.
	Value float64 `json:"value"`
	Unit  string  `json:"unit"`
	// Limit is the limit's median, in Unit, and LimitName says what it was.
	Limit     float64 `json:"limit"`
	LimitName string  `json:"limit_name"`
	// Ratio is the median of the pairs' ratios, subject to limit. It is not
	// Value/Limit: a pair saw the same moment.
	Ratio  float64 `json:"ratio"`
	Target float64 `json:"target"`
	// AtMost tells which way is good: Ratio should be at most Target, as for
	// sizes and times; otherwise no less, as for speeds.
	AtMost bool `json:"at_most,omitempty"`
	// Pairs is how many were measured; 0: the machine lacks what the limit
	// needs, LimitName says what, and nothing was measured.
	Pairs int `json:"pairs"`
}

// Met reports whether the figure was measured and reached its target.
func (f Figure) Met() bool {
	if f.AtMost {
		return f.Pairs > 0 && f.Ratio <= f.Target
	}
	return f.Pairs > 0 && f.Ratio >= f.Target
}

// Entry describes a figure that can be measured.
type Entry struct {
	Name   string  `json:"name"`
	What   string  `json:"what"`
	Unit   string  `json:"unit"`
	Target float64 `json:"target"`
	AtMost bool    `json:"at_most,omitempty"` // the ratio should be at most the target, not at least
}

// measure runs a load for a while and returns what it reached, in the
// figure's unit.
type measure func(ctx context.Context) (float64, error)

// contest is a subject and its limit, ready to be measured as often as asked.
type contest struct {
	subject, limit measure // limit nil: not to be had on this machine
	limitName      string
	// once is for what is the same each time, or too large to be repeated: one
	// pair counts and none goes before it.
	once bool
	// looked is for what was looked at while it was made ready, because a pair
	// takes long: every pair counts.
	looked bool
}

type figure struct {
	Entry
	prepare func(ctx context.Context, r *rig) (contest, error)
}

// The units of values and limits.
const (
	perSecond = "1/s"
	megabytes = "MB/s" // 10⁶ bytes of plain lines a second
	bytesLong = "B"
	mebibytes = "MiB"
	millis    = "ms"
)

// The values of AtMost, by name.
const (
	atLeast = false
	atMost  = true
)

// figures is everything that can be measured, in the order in which it is.
func figures() []figure {
	return []figure{
		{Entry{"post_c64", "POST /requests, whole stack, 64 clients, against a bare HTTP server with one INSERT", perSecond, 1.0, atLeast}, postAgainstBare},
		{Entry{"post_pgbench", "the same against pgbench, one-row INSERT, 64 clients", perSecond, 0.5, atLeast}, postAgainstPgbench},
		{Entry{"post_vs_row_lock", "the same against one transaction and one head lock a request", perSecond, 8, atLeast}, postAgainstRowLock},
		{Entry{"append_callers_64", "append with chain and read models, 64 callers in process, against pgbench", perSecond, 0.8, atLeast}, appendBy(64)},
		{Entry{"append_callers_256", "the same with 256 callers", perSecond, 1.2, atLeast}, appendBy(256)},
		{Entry{"append_fairness", "99th percentile of an append with 256 callers, against the median of the same appends", millis, 5, atMost}, fairnessOfAppend},
		{Entry{"post_p99_17", "99th percentile of POST /requests, 17 a second, against a bare HTTP server with one INSERT", millis, 1.5, atMost}, latency(17)},
		{Entry{"post_p99_200", "the same, 200 a second", millis, 1.5, atMost}, latency(200)},
		{Entry{"post_p99_login_flood", "the same while logins use up all that may be hashed at a time, against the same without", millis, 2, atMost}, latencyInAFlood},
		{Entry{"reactor_lag_p99", "99th percentile of how far a reactor is behind, 1,000 events a second, from when each was due, against 1 s", millis, 1, atMost}, lagOfReactor},
		{Entry{"growth_append", "time of an append with a long log, 64 callers, against a short one", millis, 1.3, atMost}, growthOfAppend},
		{Entry{"growth_get", "time of GET /requests/{id} with a long log, 64 clients, against a short one", millis, 1.3, atMost}, growthOfGet},
		{Entry{"growth_list", "time of GET /requests of a user with as many requests, against a short log", millis, 1.3, atMost}, growthOfList},
		{Entry{"get_response_hit_c64", "GET /requests/{id}/response from the cache, 64 clients, against redis-benchmark GET", perSecond, 0.14, atLeast}, getAgainstRedis},
		{Entry{"export", "log to bundle file, planned, synced and read back, against one zstd encoder and SHA-256 of the same lines in memory", megabytes, 0.7, atLeast}, exportAgainstMemory},
		{Entry{"verify", "every check of a bundle file, against decoding, SHA-256, a JSON scan and the schemas of the same lines in memory", megabytes, 0.6, atLeast}, verifyAgainstMemory},
		{Entry{"read_log", "lines of the log in order, 5,000 a page, against psql COPY of the same columns", perSecond, 1.4, atLeast}, readAgainstCopy},
		{Entry{"import_bulk", "decoded lines to log, chain, read models and cursor, 1,000 a transaction, against COPY of the same rows, 500 a transaction", perSecond, 0.6, atLeast}, importAgainstCopy},
		{Entry{"rebuild", "requests made anew from a long log while it serves, indexes and swap included, against COPY of the final rows", perSecond, 0.5, atLeast}, rebuildAgainstCopy},
		{Entry{"queue_drain", "requests answered a second by the sql responder, 8 workers, against the same statements and one INSERT each on 8 connections", perSecond, 0.2, atLeast}, drainAgainstDirect},
		{Entry{"enqueue_cost", "appends of 256 callers that each make a job in their transaction, against the same without", perSecond, 0.8, atLeast}, costOfEnqueueing},
		{Entry{"bundle_size", "a bundle file, against zstd -3 of the same lines", bytesLong, 1.03, atMost}, sizeAgainstZstd},
		{Entry{"small_bundle", "a bundle of 10 events, the slower of export and import, against 100 ms: a small crossing costs next to nothing on either side", millis, 1, atMost}, smallBundle},
		{Entry{"memory_export", "peak memory of `sallyport bundle export` of a large range", mebibytes, 1, atMost}, memoryOfExport},
		{Entry{"memory_verify", "peak memory of `sallyport bundle verify` of the same", mebibytes, 1, atMost}, memoryOfVerify},
		{Entry{"memory_import", "peak memory of `sallyport bundle import` of the same", mebibytes, 1, atMost}, memoryOfImport},
		{Entry{"memory_audit_verify", "peak memory of `sallyport audit verify` of a long log", mebibytes, 1, atMost}, memoryOfAudit},
		{Entry{"memory_rebuild", "peak memory of `sallyport projections rebuild` of all read models of the same", mebibytes, 1, atMost}, memoryOfRebuild},
	}
}

// List describes every figure, in the order in which Run measures them.
func List() []Entry {
	var list []Entry
	for _, f := range figures() {
		list = append(list, f.Entry)
	}
	return list
}

// UnknownFigureError says that there is no figure of a name.
type UnknownFigureError struct {
	Name string
}

func (e *UnknownFigureError) Error() string {
	return fmt.Sprintf("there is no figure %q: `sallyport bench list` names them; nothing was measured", e.Name)
}

// named returns the figures of the names, or all if there are none.
func named(names []string) ([]figure, error) {
	all := figures()
	if len(names) == 0 {
		return all, nil
	}
	for _, n := range names {
		if !slices.ContainsFunc(all, func(f figure) bool { return f.Name == n }) {
			return nil, &UnknownFigureError{n}
		}
	}
	return slices.DeleteFunc(all, func(f figure) bool { return !slices.Contains(names, f.Name) }), nil
}

// compare measures pairs, the limit first in every second one, after a look
// at both that does not count.
func (c contest) compare(ctx context.Context, e Entry, pairs int) (Figure, error) {
	f := Figure{Name: e.Name, Unit: e.Unit, Target: e.Target, AtMost: e.AtMost, LimitName: c.limitName}
	if c.limit == nil {
		return f, nil
	}
	looks := 1
	if c.once {
		pairs = 1
	}
	if c.once || c.looked {
		looks = 0
	}
	var values, limits, ratios []float64
	for i := range looks + pairs {
		value, limit, err := c.pair(ctx, i%2 == 1)
		if err != nil {
			return f, fmt.Errorf("measure %s: %w", e.Name, err)
		}
		if i >= looks {
			values, limits, ratios = append(values, value), append(limits, limit), append(ratios, value/limit)
		}
	}
	f.Value, f.Limit, f.Ratio, f.Pairs = median(values), median(limits), median(ratios), pairs
	return f, nil
}

func (c contest) pair(ctx context.Context, limitFirst bool) (value, limit float64, err error) {
	if limitFirst {
		if limit, err = c.limit(ctx); err != nil {
			return 0, 0, fmt.Errorf("the limit: %w", err)
		}
	}
	if value, err = c.subject(ctx); err != nil {
		return 0, 0, err
	}
	if !limitFirst {
		if limit, err = c.limit(ctx); err != nil {
			return 0, 0, fmt.Errorf("the limit: %w", err)
		}
	}
	return value, limit, nil
}

func median(values []float64) float64 {
	s := slices.Sorted(slices.Values(values))
	n := len(s)
	if n == 0 {
		return 0
	}
	return (s[(n-1)/2] + s[n/2]) / 2
}
