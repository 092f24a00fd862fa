package projections_test

import (
	"errors"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"

	"sallyport/domain"
	"sallyport/eventstore"
	"sallyport/projections/rebuild"
	"sallyport/projections/tally"
)

// counted are requests as the rules of the domain count them, one by one.
type counted struct {
	cells               map[string]map[domain.Status]int64
	answered, undergone int64 // whose times are known
}

// allOf counts the requests of a site's whole log.
func allOf(t testing.TB, site *eventstoreSite, link tally.Link) counted {
	t.Helper()
	records, err := site.Store.Read(t.Context(), 0, eventstore.MaxPage)
	if err != nil {
		t.Fatal(err)
	}
	type request struct {
		eventstore.Record
		state     domain.Asked
		answer    domain.Asked // whatever became of the request
		askedPos  int64
		again     bool
		submitted domain.RequestSubmitted
	}
	all := map[string]*request{}
	for _, r := range records {
		id, is := domain.RequestOf(r.Stream)
		if !is {
			continue
		}
		if all[id] == nil {
			all[id] = &request{}
		}
		q, fact := all[id], mirrored(t, r).Fact
		switch f := fact.(type) {
		case domain.RequestSubmitted:
			if r.Ver != 1 {
				continue // in the middle of a stream it does not count
			}
			q.Record, q.submitted, q.askedPos = r, f, max(q.askedPos, r.Pos)
		case domain.RequestRetried:
			q.askedPos, q.again = max(q.askedPos, r.Pos), true
		case domain.RequestCancelled:
		default:
			q.answer = q.answer.Apply(fact, r.Pos)
		}
		q.state = q.state.Apply(fact, r.Pos)
	}
	c := counted{cells: map[string]map[domain.Status]int64{}}
	for _, q := range all {
		if q.submitted.Type == "" {
			continue // an answer to what is not known here
		}
		status := q.state.Status().CrossingStatus(q.askedPos, link.ExportedThrough, link.AckedThrough)
		at, user := q.At.UTC(), q.submitted.User
		for _, cell := range []string{" ever " + q.submitted.Type, user + " ever " + q.submitted.Type,
			user + at.Truncate(time.Hour).Format(" hour 2006-01-02 15:04 ") + q.submitted.Type, at.Truncate(24 * time.Hour).Format(" day 2006-01-02 15:04 "),
			at.Truncate(time.Hour).Format(" hour 2006-01-02 15:04 "), at.Truncate(time.Minute).Format(" minute 2006-01-02 15:04 ")} {
			if c.cells[cell] == nil {
				c.cells[cell] = map[domain.Status]int64{}
			}
			c.cells[cell][status]++
		}
		final := q.answer.Status() == domain.StatusAnswered || q.answer.Status() == domain.StatusFailed
		if final && !q.again {
			c.answered++
		}
		if q.Origin != site.Store.Site() || final {
			c.undergone++
		}
	}
	return c
}

// tallied are the rows.
func tallied(t testing.TB, site *eventstoreSite) (c counted) {
	t.Helper()
	c.cells = map[string]map[domain.Status]int64{}
	rows, err := site.Pool.Query(t.Context(), `SELECT concat_ws(' ', user_id, step, CASE step WHEN 'ever' THEN NULL ELSE to_char(begins AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI') END, type),
		pending, exported, delivered, processing, answered, failed, cancelled FROM readmodel.request_counts`)
	if err != nil {
		t.Fatal(err)
	}
	statuses := []domain.Status{domain.StatusPending, domain.StatusExported, domain.StatusDelivered, domain.StatusProcessing, domain.StatusAnswered, domain.StatusFailed, domain.StatusCancelled}
	var cell string
	n := make([]int64, len(statuses))
	_, err = pgx.ForEachRow(rows, []any{&cell, &n[0], &n[1], &n[2], &n[3], &n[4], &n[5], &n[6]}, func() error {
		c.cells[cell] = map[domain.Status]int64{}
		for i, status := range statuses {
			if n[i] != 0 {
				c.cells[cell][status] = n[i]
			}
		}
		return nil
	})
	if err == nil {
		err = site.Pool.QueryRow(t.Context(), `SELECT coalesce(sum(requests) FILTER (WHERE what = 'answer'), 0), coalesce(sum(requests) FILTER (WHERE what = 'crossing'), 0)
			FROM readmodel.request_times WHERE step = 'hour'`).Scan(&c.answered, &c.undergone)
	}
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// teller counts on a site, in pieces, and is killed and repeated.
type teller struct {
	site *eventstoreSite
	link tally.Link
}

var errKilled = errors.New("killed")

func (c *teller) advance(t testing.TB, random *rand.Rand) (left int64) {
	t.Helper()
	most := 1 + random.Int64N(20)
	if random.IntN(3) == 0 { // killed before it committed
		err := pgx.BeginFunc(t.Context(), c.site.Pool, func(tx pgx.Tx) error {
			if _, err := tally.Advance(t.Context(), tx, "readmodel", c.link, most); err != nil {
				return err
			}
			return errKilled
		})
		if !errors.Is(err, errKilled) {
			t.Fatal(err)
		}
	}
	left, err := tally.Advance(t.Context(), c.site.Pool, "readmodel", c.link, most)
	if err != nil {
		t.Fatal(err)
	}
	return left
}

// cross moves the link, now and then back.
func (c *teller) cross(random *rand.Rand, head int64) {
	c.link.ExportedThrough = random.Int64N(head + 2)
	c.link.AckedThrough = random.Int64N(c.link.ExportedThrough + 1)
}

// TestRequestsAreCounted: whatever happened, in whatever pieces it was counted,
// the rows are what counting all requests gives, what was cleared away among
// them, and what counting anew gives.
func TestRequestsAreCounted(t *testing.T) {
	t.Parallel()
	seed := rand.Uint64()
	t.Log("seed", seed)
	l := &life{sharing: share(t), random: rand.New(rand.NewPCG(seed, 1))} //nolint:gosec // reproducible
	tellers := []*teller{{site: l.field}, {site: l.core}}
	for range 3 {
		for range 40 {
			l.event()
			c := tellers[l.random.IntN(2)]
			if l.random.IntN(3) == 0 {
				c.advance(t, l.random)
			}
		}
		head, err := l.field.Store.Head(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		tellers[0].cross(l.random, head.Pos)
		for _, c := range tellers {
			for c.advance(t, l.random) > 0 {
			}
			l.sameAsAll(c)
		}
	}
}

func (l *life) sameAsAll(c *teller) {
	l.t.Helper()
	want := allOf(l.t, c.site, c.link)
	if d := cmp.Diff(want, tallied(l.t, c.site), cmp.AllowUnexported(counted{})); d != "" {
		l.t.Errorf("on %s (-want +got):\n%s", c.site.Store.Site(), d)
	}
	before := rowsOf(l.t, c.site, tally.Models())
	if _, err := rebuild.Run(l.t.Context(), rebuild.Config{Pool: c.site.Pool}, "request_counts"); err != nil {
		l.t.Fatal(err)
	}
	if _, err := tally.Advance(l.t.Context(), c.site.Pool, "readmodel", c.link, tally.Page); err != nil {
		l.t.Fatal(err)
	}
	if d := cmp.Diff(before, rowsOf(l.t, c.site, tally.Models())); d != "" {
		l.t.Errorf("anew on %s:\n%s", c.site.Store.Site(), d)
	}
}

// rowsOf are the rows of some tables, but for those of times that nothing took.
func rowsOf(t testing.TB, site *eventstoreSite, models []string) (all []string) {
	t.Helper()
	for _, m := range models {
		rows, err := site.Pool.Query(t.Context(), `SELECT r::text FROM readmodel.`+m+` AS r WHERE to_jsonb(r)->>'requests' IS DISTINCT FROM '0' ORDER BY 1`)
		if err != nil {
			t.Fatal(err)
		}
		found, err := pgx.CollectRows(rows, pgx.RowTo[string])
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, found...)
	}
	return all
}

// TestCountsOfAUser: bounds are kept to the microsecond, whole hours are summed,
// and what is not counted yet is said.
func TestCountsOfAUser(t *testing.T) {
	t.Parallel()
	field := requestSite(t)
	noon := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	var at time.Time
	config := field.Config
	config.Now = func() time.Time { return at }
	store, err := eventstore.Open(t.Context(), field.Pool, config)
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	for i, minute := range []int{-61, -60, -1, 0, 1, 59, 60, 125} {
		at = noon.Add(time.Duration(minute) * time.Minute)
		for user := 1; user <= 2; user++ {
			appendTo(t, store, domain.RequestStream(id(10*i+user)), submitted(id(user), ""))
		}
	}
	counts := tally.New(field.Pool)
	for bounds, want := range map[[2]int]int64{{-1000, 1000}: 8, {0, 60}: 3, {1, 60}: 2, {1, 59}: 1, {2, 59}: 0, {-60, 61}: 6, {-59, 60}: 4, {-61, -60}: 1, {60, 0}: 0, {-1, 126}: 6, {125, 126}: 1, {2000, 3000}: 0} {
		f := tally.Filter{User: id(1), From: noon.Add(time.Duration(bounds[0]) * time.Minute), To: noon.Add(time.Duration(bounds[1]) * time.Minute)}
		if got := numberOf(t, counts, f); got != want {
			t.Errorf("from minute %d to %d: %d, want %d", bounds[0], bounds[1], got, want)
		}
	}
	if got := numberOf(t, counts, tally.Filter{User: id(1), From: noon.Add(time.Microsecond)}); got != 4 {
		t.Errorf("since a microsecond later: %d, want 4", got)
	}
	if got := numberOf(t, counts, tally.Filter{User: id(1), To: noon.Add(time.Microsecond)}); got != 4 {
		t.Errorf("until a microsecond later: %d, want 4", got)
	}
	if all, one := numberOf(t, counts, tally.Filter{}), numberOf(t, counts, tally.Filter{User: id(2)}); all != 16 || one != 8 {
		t.Errorf("%d in all and %d of one, want 16 and 8", all, one)
	}
}

func numberOf(t testing.TB, counts *tally.Tally, f tally.Filter) (n int64) {
	t.Helper()
	got, err := counts.Requests(t.Context(), f, tally.Link{})
	if err != nil || got.Uncounted != 0 {
		t.Fatalf("%d not counted, %v", got.Uncounted, err)
	}
	for _, c := range got.Requests {
		n += c.Count
	}
	return n
}
