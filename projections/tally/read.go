package tally

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"
	"github.com/jackc/pgx/v5/pgxpool"

	"sallyport/domain"
	"sallyport/projections"
)

// Tally is what a site's requests are counted in. It is safe for concurrent
// use and owns nothing.
type Tally struct {
	pool   *pgxpool.Pool
	reader *projections.Reader
}

// New returns the tally in a migrated database.
func New(pool *pgxpool.Pool) *Tally { return &Tally{pool, projections.NewReader(pool)} }

// Filter says which requests are counted. Fields left zero do not narrow it.
type Filter struct {
	User     string    // the id of who asked
	From, To time.Time // submitted at or after, and before; of a user only
}

// Counts are what was asked for.
type Counts struct {
	Requests []projections.RequestCount // by type, then state; none of 0
	// Uncounted is how many positions of the log are not in them yet: more than
	// none only while there is more to count than who asks can wait for.
	Uncounted int64
}

// Requests counts the requests that a filter names, and those that were cleared
// away among them. Of an hour that a bound cuts, it counts only those that the
// read model keeps.
func (t *Tally) Requests(ctx context.Context, f Filter, link Link) (c Counts, err error) {
	if c.Uncounted, err = t.catchUp(ctx, link); err != nil {
		return c, err
	}
	if f.From.IsZero() && f.To.IsZero() {
		c.Requests, err = t.sums(ctx, f.User, "ever", stretch{})
		return c, err
	}
	whole, cut := f.hours()
	all, err := t.sums(ctx, f.User, string(Hour), whole)
	for _, part := range cut {
		if err != nil {
			return c, err
		}
		var found []projections.RequestCount
		found, err = t.within(ctx, f.User, part, link)
		all = append(all, found...)
	}
	c.Requests = together(all)
	return c, err
}

// patience is how long who asks waits for what is to be counted. A page is
// counted in any case.
const patience = 50 * time.Millisecond

// catchUp counts as far as there is time for, and returns what is left.
func (t *Tally) catchUp(ctx context.Context, link Link) (left int64, err error) {
	at, end, _, err := where(ctx, t.pool, selectPlace, link)
	if err != nil {
		return 0, fmt.Errorf("look how far requests are counted: %w", err)
	}
	left = at.left(end)
	for began := time.Now(); left > 0; {
		if left, err = Advance(ctx, t.pool, live, link, Page); err != nil || time.Since(began) > patience {
			return left, err
		}
	}
	return 0, nil
}

// Uncounted is how many positions of the log are not counted at this moment.
func (t *Tally) Uncounted(ctx context.Context) (n int64, err error) {
	if err = t.pool.QueryRow(ctx, `SELECT h.seq - c.seq FROM readmodel.requests_counted AS c, log_head AS h`).Scan(&n); err != nil {
		return 0, fmt.Errorf("look how far requests are counted: %w", err)
	}
	return n, nil
}

var selectSums = `
	SELECT c.type, s.status, sum(s.n)::bigint
	FROM readmodel.request_counts AS c CROSS JOIN LATERAL unnest($5::text[], ARRAY[` + each("c.{}") + `]) AS s(status, n)
	WHERE c.user_id = $1 AND c.step = $2 AND c.begins >= $3 AND c.begins < $4
	GROUP BY c.type, s.status HAVING sum(s.n) > 0 ORDER BY c.type, s.status`

func (t *Tally) sums(ctx context.Context, user, step string, s stretch) ([]projections.RequestCount, error) {
	return rows(ctx, t, pgx.RowToStructByPos[projections.RequestCount], selectSums, user, step, s.begins(), s.ends(), columns)
}

// within counts the requests of a user in a part of an hour. Where they stand in
// the log bounds what is looked at.
func (t *Tally) within(ctx context.Context, user string, s stretch, link Link) ([]projections.RequestCount, error) {
	f := projections.RequestFilter{User: user, From: s.From, To: s.To}
	err := t.pool.QueryRow(ctx, `SELECT coalesce(min(first_pos), 0), coalesce(max(last_pos), 0) FROM readmodel.request_counts
		WHERE user_id = $1 AND step = 'hour' AND begins = $2`, user, s.From.UTC().Truncate(time.Hour)).Scan(&f.FirstPos, &f.LastPos)
	if err != nil {
		return nil, fmt.Errorf("look where requests stand: %w", err)
	}
	if f.LastPos == 0 || !s.From.Before(s.To) {
		return nil, nil
	}
	return t.reader.CountRequests(ctx, f, link.ExportedThrough, link.AckedThrough)
}

// stretch is from a moment until before another; zero: without an end there.
type stretch struct{ From, To time.Time }

func (s stretch) begins() pgtype.Timestamptz {
	if s.From.IsZero() {
		return pgtype.Timestamptz{InfinityModifier: pgtype.NegativeInfinity, Valid: true}
	}
	return pgtype.Timestamptz{Time: s.From, Valid: true}
}

func (s stretch) ends() pgtype.Timestamptz {
	if s.To.IsZero() {
		return pgtype.Timestamptz{InfinityModifier: pgtype.Infinity, Valid: true}
	}
	return pgtype.Timestamptz{Time: s.To, Valid: true}
}

// hours are the whole hours of a filter's time, and the parts of hours at its
// two ends.
func (f Filter) hours() (whole stretch, cut []stretch) {
	whole = stretch{f.From.UTC().Truncate(time.Hour), f.To.UTC().Truncate(time.Hour)}
	if whole.From.Before(f.From) {
		whole.From = whole.From.Add(time.Hour)
		part := stretch{f.From, whole.From}
		if !f.To.IsZero() && f.To.Before(part.To) {
			part.To = f.To
		}
		cut = append(cut, part)
	}
	if whole.To.Before(f.To) && !whole.To.Before(whole.From) {
		cut = append(cut, stretch{whole.To, f.To})
	}
	return whole, cut
}

// together adds up what is of the same type and state.
func together(all []projections.RequestCount) []projections.RequestCount {
	type key struct {
		typ    string
		status domain.Status
	}
	sums := map[key]projections.RequestCount{}
	for _, c := range all {
		k := key{c.Type, c.Status}
		c.Count += sums[k].Count
		sums[k] = c
	}
	return slices.SortedFunc(maps.Values(sums), func(a, b projections.RequestCount) int {
		return cmp.Or(cmp.Compare(a.Type, b.Type), cmp.Compare(a.Status, b.Status))
	})
}

func rows[R any](ctx context.Context, t *Tally, scan pgx.RowToFunc[R], sql string, args ...any) ([]R, error) {
	found, err := t.pool.Query(ctx, sql, args...)
	if err != nil {
		return nil, fmt.Errorf("read how many requests there are: %w", err)
	}
	all, err := pgx.CollectRows(found, scan)
	if err != nil {
		return nil, fmt.Errorf("read how many requests there are: %w", err)
	}
	return all, nil
}
