package projections_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"golang.org/x/sync/errgroup"

	"sallyport/domain"
	"sallyport/eventstore"
	"sallyport/projections"
	"sallyport/projections/rebuild"
	"sallyport/projections/tally"
)

// structure is what there is of the read models beside their rows.
func structure(t testing.TB, site *eventstoreSite) []string {
	t.Helper()
	rows, err := site.Owner.Query(t.Context(), `
		SELECT indexdef FROM pg_indexes WHERE schemaname = 'readmodel'
		UNION ALL SELECT conrelid::regclass || ' ' || conname || ' ' || pg_get_constraintdef(oid) FROM pg_constraint WHERE connamespace = 'readmodel'::regnamespace
		UNION ALL SELECT concat_ws(' ', oid::regclass, relkind, pg_get_userbyid(relowner), relacl, reloptions) FROM pg_class WHERE relnamespace = 'readmodel'::regnamespace
		UNION ALL SELECT concat_ws(' ', table_name, ordinal_position, column_name, data_type, is_nullable, column_default, collation_name)
			FROM information_schema.columns WHERE table_schema = 'readmodel' ORDER BY 1`)
	if err != nil {
		t.Fatal(err)
	}
	all, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil || len(all) < 40 {
		t.Fatalf("looked at %d things: %v", len(all), err)
	}
	return all
}

// life is what may happen next on two sites, as the rules allow it.
type life struct {
	*sharing
	random   *rand.Rand
	asked    int // requests 1 to asked were submitted
	there    int // and so many have crossed
	answers  []domain.Response
	failures []int64 // positions of what failed last
}

func (l *life) event() {
	l.t.Helper()
	text := []string{"plain", "zero: \x00", `no zero: \u0000 \\u0000`, "<é> \"quoted\""}[l.random.IntN(4)]
	number := 1 + l.random.IntN(3)
	switch kind := l.random.IntN(21); {
	case kind < 4:
		l.asked++
		l.answers, l.failures = append(l.answers, domain.Response{}), append(l.failures, 0)
		l.ask(l.asked, submitted(id(number), text))
	case kind < 6 && l.asked > 0:
		n := 1 + l.random.IntN(l.asked)
		f := []domain.Fact{domain.RequestCancelled{}, domain.RequestRetried{Failure: l.failures[n-1]}, domain.RequestRetried{Failure: l.failures[n-1]},
			submitted(id(number), "again, which does not count")}
		l.ask(n, f[l.random.IntN(4)])
	case kind < 14 && l.there > 0:
		n := 1 + l.random.IntN(l.there)
		broken := failed(number)
		broken.Error = text
		l.answered(n, []domain.Fact{started(number), recorded(`[ 1,	"é\\u0000" ]`, number), recorded(`null`, 0), broken, broken, domain.ResponseRetried{},
			domain.ResponseRetried{}, domain.ResponseWithdrawn{}}[l.random.IntN(8)])
	case kind == 14 && l.there > 0:
		l.answer(1+l.random.IntN(l.there), domain.ResponseRetryScheduled{Attempt: number}) // changes no row
	case kind == 15:
		l.carry()
		l.there = l.asked
	case kind == 16:
		l.clear([]*eventstoreSite{l.field, l.core}[l.random.IntN(2)])
	case kind == 17 && l.there > 0:
		n := 1 + l.random.IntN(l.there)
		if _, err := l.answers[n-1].Decide(domain.ResponseStarted{}); err != nil {
			return // what is finished is nobody's work
		}
		appendTo(l.t, l.core.Store, domain.WorkStream(id(n)), []domain.Fact{
			domain.WorkOpened{RequestType: "opinion", TypeVersion: 1, Priority: number, Question: text, Task: domain.ManualTask{ClaimMinutes: number}},
			domain.WorkClaimed{Holder: anna, Until: domain.Timestamp(dawn)}, domain.WorkClosed{Outcome: domain.StatusAnswered}}[l.random.IntN(3)])
	default:
		l.master(number, text)
	}
}

func (l *life) answered(n int, f domain.Fact) {
	if _, err := l.answers[n-1].Decide(f); err != nil {
		return
	}
	l.answers[n-1] = l.answers[n-1].Apply(f)
	stored := l.answer(n, f)
	if f.EventType() == "response.failed" {
		l.failures[n-1] = stored[0].Pos
	}
}

// master changes what administrators see to.
func (l *life) master(number int, text string) {
	typ := requestType("airport", text)
	typ.Version = number
	key := domain.APIKeyIssued{User: id(number), Name: text, Prefix: "sp_", Hash: strings.Repeat(fmt.Sprintf("%02x", l.asked%256), 32), Scopes: []domain.Scope{"requests:read"}}
	streams := []struct {
		name  string
		facts []domain.Fact
	}{
		{domain.UserStream(id(number)), []domain.Fact{user("ada"), domain.UserDeactivated{}, domain.LimitsOverridden{Minute: &number},
			domain.AccessGranted{RequestType: "airport", MaxResults: number, Indices: [][]string{{}, {"books-*"}}[l.random.IntN(2)]}, domain.AccessCleared{RequestType: "airport"}}},
		{domain.ProfileStream("basic"), []domain.Fact{profile(number), domain.ProfileRetired{}}},
		{domain.RequestTypeStream("airport"), []domain.Fact{typ, domain.RequestTypeChanged(typ), domain.RequestTypeRetired{}}},
		{domain.ResponderConfigStream("airport"), []domain.Fact{domain.ResponderConfigured{Kind: domain.ResponderSQL, Statement: text}, domain.ResponderDisabled{}}},
		{domain.SettingStream("banner"), []domain.Fact{domain.SettingChanged{Value: json.RawMessage(`"x"`), Public: number > 1}, domain.SettingRemoved{Public: true}}},
		{domain.APIKeyStream(id(l.asked)), []domain.Fact{key, domain.APIKeyRevoked{}}},
	}
	s := streams[l.random.IntN(len(streams))]
	l.core.Store.WriteAs(map[string]int{"user.access_granted": l.random.IntN(3)}) // 0: as is written now
	appendTo(l.t, l.core.Store, s.name, s.facts[l.random.IntN(len(s.facts))])
}

// TestRebuiltRowsAreTheLiveOnes: whatever happened between two sites, what is
// made anew on either is what committed with the events.
func TestRebuiltRowsAreTheLiveOnes(t *testing.T) {
	t.Parallel()
	seed := rand.Uint64()
	t.Log("seed", seed)
	l := &life{sharing: share(t), random: rand.New(rand.NewPCG(seed, 0))} //nolint:gosec // reproducible
	was := structure(t, l.field)
	for range 3 {
		for range 40 {
			l.event()
		}
		l.rebuilt(l.field)
		l.rebuilt(l.core)
	}
	if d := cmp.Diff(was, structure(t, l.field)); d != "" {
		t.Errorf("indexes, constraints, grants or columns are others:\n%s", d)
	}
}

// filled is a site with requests, some answered, and what each model holds.
func filled(t *testing.T, requests int) *eventstoreSite {
	t.Helper()
	site := responseSite(t)
	appendTo(t, site.Store, domain.UserStream(id(1)), user("ada"))
	for n := range requests {
		appendTo(t, site.Store, domain.RequestStream(id(n)), submitted(id(1), ""))
		appendTo(t, site.Store, domain.ResponseStream(id(n)), started(1), recorded(`[]`, 0))
	}
	return site
}

func requestAndAnswer(n int) eventstore.Append {
	return eventstore.Append{Actor: "cli:test", Writes: []eventstore.Write{{Stream: domain.RequestStream(id(n)), Facts: []domain.Fact{submitted(id(1), "")}},
		{Stream: domain.ResponseStream(id(n)), Facts: []domain.Fact{started(1), recorded(`[]`, 0)}}}}
}

// TestRebuildWhileOthersWriteAndRead: nothing that is stored meanwhile is lost,
// and a reader that is in the way is waited for without the head's lock.
func TestRebuildWhileOthersWriteAndRead(t *testing.T) {
	t.Parallel()
	site := filled(t, 20)
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	var writers errgroup.Group
	var stored [4]int
	for w := range stored {
		writers.Go(func() error {
			for ; ctx.Err() == nil; stored[w]++ {
				_, err := site.Store.Append(t.Context(), requestAndAnswer(1000*(w+1)+stored[w]))
				if err != nil {
					return err
				}
			}
			return nil
		})
	}
	reader, err := site.Owner.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = reader.Rollback(context.WithoutCancel(ctx)) }()
	if _, err := reader.Exec(t.Context(), `SELECT count(*) FROM readmodel.responses`); err != nil {
		t.Fatal(err)
	}
	gaveWay := 0
	done, err := rebuild.Run(t.Context(), rebuild.Config{Pool: site.Pool, Tell: func(p rebuild.Progress) error {
		if p.Doing != rebuild.GivingWay {
			return nil
		}
		gaveWay++
		if gaveWay == 2 {
			return reader.Rollback(t.Context())
		}
		_, err := site.Store.Append(t.Context(), requestAndAnswer(100+gaveWay)) // the head is free
		return err
	}}, "responses")
	stop()
	if err := errors.Join(err, writers.Wait()); err != nil {
		t.Fatal(err)
	}
	if gaveWay < 2 || len(done) != 4 || done[1].GaveWay != gaveWay {
		t.Errorf("gave way %d times: %+v", gaveWay, done)
	}
	live := applied(t, site, nil)
	if want := 20 + 1 + stored[0] + stored[1] + stored[2] + stored[3]; len(live["requests"]) != want || len(live["responses"]) != want || want < 40 {
		t.Errorf("%d requests and %d responses of %d", len(live["requests"]), len(live["responses"]), want)
	}
	(&sharing{t: t}).rebuilt(site)
}

// TestAKilledRebuildChangesNothing: however far it got, by its own end or with
// its connection, the live tables are as they were and it can be run again.
func TestAKilledRebuildChangesNothing(t *testing.T) {
	t.Parallel()
	site := filled(t, 3)
	before := applied(t, site, nil)
	killed := errors.New("killed")
	for after := 0; ; after++ {
		steps := 0
		var reached rebuild.Step
		_, err := rebuild.Run(t.Context(), rebuild.Config{Pool: site.Pool, Tell: func(p rebuild.Progress) error {
			if steps++; steps <= after || p.Doing == rebuild.Clearing {
				return nil
			}
			if reached = p.Doing; after%2 == 0 {
				return killed
			}
			_, err := site.Owner.Exec(t.Context(), `SELECT pg_terminate_backend(l.pid) FROM pg_locks AS l JOIN pg_stat_activity AS a ON a.pid = l.pid
				WHERE l.locktype = 'advisory' AND a.datname = current_database()`)
			return err
		}}, "requests")
		if d := cmp.Diff(before, applied(t, site, nil)); d != "" {
			t.Fatalf("killed at %s:\n%s", reached, d)
		}
		appendTo(t, site.Store, domain.ProfileStream("basic"), profile(5))
		before["profiles"] = applied(t, site, nil)["profiles"]
		if err == nil {
			if after < 5 {
				t.Errorf("there were %d steps only", after)
			}
			break
		}
		if reached == "" || after%2 == 0 && !errors.Is(err, killed) {
			t.Fatalf("killed at %s: %v", reached, err)
		}
		if o := look(t, site); reached == rebuild.Filling && (o.Models[6].Leftover == 0 || o.Running) {
			t.Errorf("what it left is not seen: %+v", o)
		}
	}
	o := look(t, site)
	for _, m := range o.Models {
		follows := slices.Contains(tally.Models(), m.Model) // and nobody has counted
		if m.Leftover != 0 || (m.Seq == 0) != follows || (m.RebuiltAt != nil) != slices.Contains(o.Models[6].Together, m.Model) {
			t.Errorf("at the end: %+v", m)
		}
	}
}

func look(t testing.TB, site *eventstoreSite) rebuild.Overview {
	t.Helper()
	o, err := rebuild.Look(t.Context(), site.Pool)
	if err != nil {
		t.Fatal(err)
	}
	return o
}

func TestDamageIsNamedAndRepaired(t *testing.T) {
	t.Parallel()
	site := filled(t, 3)
	whole := digest(t, site, projections.Scope{All: true})
	if _, err := site.Owner.Exec(t.Context(), `UPDATE readmodel.users SET full_name = 'another'; INSERT INTO readmodel.responder_configs VALUES ('airport', '{}', 1);
		DELETE FROM readmodel.responses WHERE request_id = (SELECT max(request_id) FROM readmodel.responses)`,
		pgx.QueryExecModeSimpleProtocol); err != nil {
		t.Fatal(err)
	}
	if len(whole) != 12 {
		t.Errorf("%d read models have a digest, want all 12", len(whole))
	}
	var wrong []string
	for model, sum := range digest(t, site, projections.Scope{All: true}) {
		if sum != whole[model] {
			wrong = append(wrong, model)
		}
	}
	slices.Sort(wrong)
	if d := cmp.Diff([]string{"responder_configs", "responses", "users"}, wrong); d != "" {
		t.Errorf("named (-want +got):\n%s", d)
	}
	if _, err := rebuild.Run(t.Context(), rebuild.Config{Pool: site.Pool}, wrong...); err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(whole, digest(t, site, projections.Scope{All: true})); d != "" {
		t.Error(d)
	}
}

func TestRebuildIsRefused(t *testing.T) {
	t.Parallel()
	site := filled(t, 1)
	var unknown *rebuild.UnknownModelError
	if _, err := rebuild.Run(t.Context(), rebuild.Config{Pool: site.Pool}, "users", "nonsense"); !errors.As(err, &unknown) || unknown.Name != "nonsense" {
		t.Errorf("an unknown model: %v", err)
	}
	_, err := rebuild.Run(t.Context(), rebuild.Config{Pool: site.Pool, Tell: func(rebuild.Progress) error {
		if o := look(t, site); !o.Running {
			t.Error("that it runs is not seen")
		}
		_, err := rebuild.Run(t.Context(), rebuild.Config{Pool: site.Pool})
		return err
	}}, "users")
	if !errors.Is(err, rebuild.ErrRunning) {
		t.Errorf("two at once: %v", err)
	}
	_, err = rebuild.Run(t.Context(), rebuild.Config{Pool: site.Pool, Tell: func(p rebuild.Progress) error {
		if p.Doing != rebuild.CatchingUp && p.Doing != rebuild.Swapping {
			return nil
		}
		_, err := site.Owner.Exec(t.Context(), `ALTER TABLE readmodel.users ADD COLUMN new text`)
		return err
	}}, "users")
	if err == nil || !strings.Contains(err.Error(), "migration") {
		t.Errorf("a migration meanwhile: %v", err)
	}
	for _, sql := range []string{`CREATE TABLE readmodel_rebuild.users ()`, `CREATE TABLE readmodel.other ()`, `DROP TABLE readmodel.users`, `SELECT rebuild_swap('{users}')`} {
		var refused *pgconn.PgError
		if _, err := site.Pool.Exec(t.Context(), sql); !errors.As(err, &refused) {
			t.Errorf("the program may %s: %v", sql, err)
		}
	}
}
