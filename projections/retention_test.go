package projections_test

import (
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/jackc/pgx/v5"

	"sallyport/domain"
	"sallyport/eventstore"
	"sallyport/projections"
	"sallyport/projections/rebuild"
)

// sharing are a request site and the site that answers it, between which all
// that was written has crossed.
type sharing struct {
	t           testing.TB
	field, core *eventstoreSite
	at          map[string]int64 // how far each site's log was carried
}

func share(t testing.TB) *sharing {
	return &sharing{t: t, field: requestSite(t), core: responseSite(t), at: map[string]int64{}}
}

func (s *sharing) ask(n int, facts ...domain.Fact) []eventstore.Record {
	return appendTo(s.t, s.field.Store, domain.RequestStream(id(n)), facts...)
}

func (s *sharing) answer(n int, facts ...domain.Fact) []eventstore.Record {
	return appendTo(s.t, s.core.Store, domain.ResponseStream(id(n)), facts...)
}

// carry takes over what each wrote since the last time, field's first.
func (s *sharing) carry() {
	s.t.Helper()
	for _, way := range [][2]*eventstoreSite{{s.field, s.core}, {s.core, s.field}} {
		from, to := way[0].Store, way[1].Store
		records, err := from.Read(s.t.Context(), 0, eventstore.MaxPage)
		if err != nil {
			s.t.Fatal(err)
		}
		m := eventstore.Mirrored{Origin: from.Site()}
		for _, r := range records {
			if r.Origin == from.Site() && r.Pos > s.at[from.Site()] {
				m.Events, m.Facts, m.Lines = append(m.Events, r.Event), append(m.Facts, mirrored(s.t, r).Fact), append(m.Lines, r.Line)
				s.at[from.Site()] = r.Pos
			}
		}
		if err := to.Mirror(s.t.Context(), m); err != nil {
			s.t.Fatal(err)
		}
	}
}

// clear clears a site of all that is finished by now.
func (s *sharing) clear(site *eventstoreSite) (found int) {
	s.t.Helper()
	now := time.Now().Add(time.Minute)
	through, found, err := projections.Finished(s.t.Context(), site.Pool, "center", now, 1000)
	if err != nil {
		s.t.Fatal(err)
	}
	if found > 0 {
		appendTo(s.t, site.Store, domain.SiteStream(site.Store.Site()), domain.RetentionApplied{Before: domain.Timestamp(now), Log: "center", Through: through})
	}
	return found
}

// rows are the requests, and below them the answers, that a site holds.
func (s *sharing) rows(site *eventstoreSite) (all []string) {
	s.t.Helper()
	rows, err := site.Pool.Query(s.t.Context(), `SELECT id FROM readmodel.requests UNION ALL SELECT 'response to ' || request_id FROM readmodel.responses ORDER BY 1`)
	if err == nil {
		all, err = pgx.CollectRows(rows, pgx.RowTo[string])
	}
	if err != nil {
		s.t.Fatal(err)
	}
	return all
}

func both(numbers ...int) (all []string) {
	for _, n := range numbers {
		all = append(all, id(n), "response to "+id(n))
	}
	slices.Sort(all)
	return all
}

func (s *sharing) hold(site *eventstoreSite, want ...string) {
	s.t.Helper()
	slices.Sort(want)
	if d := cmp.Diff(want, s.rows(site), cmpopts.EquateEmpty()); d != "" {
		s.t.Errorf("%s holds (-want +got):\n%s", site.Store.Site(), d)
	}
}

func (s *sharing) agree(when string) {
	s.t.Helper()
	scope := projections.Scope{RequestOrigin: "field"}
	there, here := digest(s.t, s.core, scope), digest(s.t, s.field, scope)
	if d := cmp.Diff(there, here); d != "" {
		s.t.Errorf("%s, the sites differ:\n%s", when, d)
	}
	if d := cmp.Diff(here, digest(s.t, s.field, projections.Scope{})); d != "" {
		s.t.Errorf("%s, field differs from what it shares with its only peer:\n%s", when, d)
	}
}

// rebuilt checks that making all read models anew gives the same rows, even
// where there are none left.
func (s *sharing) rebuilt(site *eventstoreSite) {
	s.t.Helper()
	before := applied(s.t, site, nil)
	if _, err := site.Owner.Exec(s.t.Context(), `TRUNCATE readmodel.users, readmodel.requests, readmodel.responses, readmodel.work, readmodel.retention`); err != nil {
		s.t.Fatal(err)
	}
	if _, err := rebuild.Run(s.t.Context(), rebuild.Config{Pool: site.Pool}); err != nil {
		s.t.Fatal(err)
	}
	if d := cmp.Diff(before, applied(s.t, site, nil)); d != "" {
		s.t.Errorf("%s is another after a rebuild:\n%s", site.Store.Site(), d)
	}
}

func TestFinishedRequestsAreClearedAway(t *testing.T) {
	t.Parallel()
	s := share(t)
	for n := 1; n <= 7; n++ {
		s.ask(n, submitted(id(9), "zero: \x00"))
	}
	s.ask(3, domain.RequestCancelled{})
	s.ask(7, domain.RequestCancelled{}) // crosses its answer on the way
	s.carry()
	s.answer(1, started(1), recorded(`[]`, 0))
	s.answer(2, started(1), failed(1))
	s.answer(3, domain.ResponseWithdrawn{})
	s.answer(4, started(1))
	failure := s.answer(5, started(1), failed(1))[1].Pos
	s.answer(7, started(1), recorded(`[]`, 0))
	for _, n := range []int{4, 7} {
		appendTo(t, s.core.Store, domain.WorkStream(id(n)), domain.WorkOpened{RequestType: "airport", Priority: 5})
	}
	appendTo(t, s.core.Store, domain.WorkStream(id(7)), domain.WorkClosed{Outcome: domain.StatusAnswered})
	s.carry()
	s.ask(5, domain.RequestRetried{Failure: failure})
	if n := s.clear(s.field); n != 5 {
		t.Errorf("field finds %d outcomes, want 5", n)
	}
	s.hold(s.field, append(both(4, 5), id(6))...)
	s.carry()
	s.hold(s.core, append(both(1, 2, 3, 4, 5, 7), id(6))...) // a peer's word clears nothing here
	s.agree("while only field has cleared away")
	s.answer(8, started(1), recorded(`[]`, 0)) // nobody's request
	s.clear(s.core)
	s.carry()
	s.hold(s.core, append(both(4, 5), id(6), "response to "+id(8))...)
	var left []string
	if err := s.core.Pool.QueryRow(t.Context(), `SELECT array_agg(request_id) FROM readmodel.work`).Scan(&left); err != nil || !slices.Equal(left, []string{id(4)}) {
		t.Errorf("core holds work on %v (%v), want what is not finished", left, err)
	}
	s.answer(4, recorded(`[]`, 0))
	s.carry()
	if n := s.clear(s.core); n != 1 {
		t.Errorf("core finds %d outcomes that are new, want 1", n)
	}
	if n := s.clear(s.core); n != 0 {
		t.Errorf("core finds %d outcomes again", n)
	}
	s.rebuilt(s.field)
	s.rebuilt(s.core)
}

// A failure can be taken back on a site that still holds it, after the other
// has cleared it away.
func TestWhatIsAskedAgainIsThereAgain(t *testing.T) {
	t.Parallel()
	s := share(t)
	s.ask(1, submitted(id(9), "name"))
	s.ask(2, submitted(id(9), "zero: \x00"))
	s.carry()
	s.answer(1, started(1), failed(1))
	failure := s.answer(2, started(1), started(2), failed(2))[2].Pos
	s.carry()
	s.clear(s.core)
	s.hold(s.core)
	s.ask(2, domain.RequestRetried{Failure: failure})
	s.carry()
	s.hold(s.core, both(2)...)
	s.agree("after a retry of what core has cleared away")
	s.answer(2, domain.ResponseRetried{}, started(3), failed(3))
	s.carry()
	s.clear(s.field)
	s.hold(s.field)
	s.answer(2, domain.ResponseRetried{})
	s.carry()
	s.hold(s.field, both(2)...)
	s.agree("after core took back what field has cleared away")
	s.answer(2, started(4), recorded(`[ {"a": 1} ]`, 1))
	s.carry()
	s.hold(s.field, both(2)...)
	s.agree("at the end")
	s.rebuilt(s.field)
	s.rebuilt(s.core)
}

func TestOnlyWhatWasStoredBeforeIsOldEnough(t *testing.T) {
	t.Parallel()
	s := share(t)
	for n := 1; n <= 20; n++ {
		s.ask(n, submitted(id(9), ""))
	}
	s.carry()
	for n := 1; n <= 20; n++ {
		s.answer(n, recorded(`[]`, 0))
	}
	if _, err := s.core.Owner.Exec(t.Context(), `SET session_replication_role = replica; UPDATE events SET stored_at = stored_at - interval '31 days'
		WHERE origin = 'field' OR pos <= (SELECT pos FROM events WHERE stream = $1); RESET session_replication_role`, pgx.QueryExecModeSimpleProtocol, domain.ResponseStream(id(12))); err != nil {
		t.Fatal(err)
	}
	month := time.Now().Add(-30 * 24 * time.Hour)
	if _, found, err := projections.Finished(t.Context(), s.core.Pool, "center", month, 1000); err != nil || found != 12 {
		t.Errorf("%d are old enough (%v), want 12", found, err)
	}
	if _, found, err := projections.Finished(t.Context(), s.core.Pool, "center", month, 5); err != nil || found != 5 {
		t.Errorf("%d of at most 5 (%v)", found, err)
	}
	if through, found, err := projections.Finished(t.Context(), s.core.Pool, "center", month.Add(-48*time.Hour), 5); err != nil || found != 0 || through != 0 {
		t.Errorf("%d are older than all (%v)", found, err)
	}
}
