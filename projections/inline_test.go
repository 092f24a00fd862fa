package projections_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"go.uber.org/goleak"
	"pgregory.net/rapid"

	"sallyport/domain"
	"sallyport/eventstore"
	"sallyport/projections"
)

var tables = []string{"users", "profiles", "request_types", "request_type_versions", "responder_configs", "settings", "requests", "responses", "work", "retention", "webhooks", "api_keys"}

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// contents returns all rows of all read models.
func contents(ctx context.Context, tx pgx.Tx) (map[string][]string, error) {
	all := map[string][]string{}
	for _, table := range tables {
		rows, err := tx.Query(ctx, `SELECT r::text FROM readmodel.`+table+` AS r ORDER BY 1`)
		if err != nil {
			return nil, err
		}
		if all[table], err = pgx.CollectRows(rows, pgx.RowTo[string]); err != nil {
			return nil, err
		}
	}
	return all, nil
}

var errUndo = errors.New("undo")

// applied returns what the read models hold after batches of records.
func applied(t testing.TB, site *eventstoreSite, batches [][]eventstore.Record) map[string][]string {
	t.Helper()
	ctx := context.Background()
	var got map[string][]string
	err := pgx.BeginFunc(ctx, site.Pool, func(tx pgx.Tx) error {
		for _, records := range batches {
			var b pgx.Batch
			for _, p := range projections.Inline() {
				if err := p.Apply(&b, records); err != nil {
					return err
				}
			}
			if err := eventstore.Send(ctx, tx.Conn(), &b); err != nil {
				return err
			}
		}
		var err error
		if got, err = contents(ctx, tx); err != nil {
			return err
		}
		return errUndo
	})
	if !errors.Is(err, errUndo) {
		t.Fatal(err)
	}
	return got
}

// someHistory draws events of two origins: whatever both may write, often
// several of one stream. Nothing follows the outcome of a response but what
// takes a failure back: the domain lets no second one be written.
func someHistory(t testing.TB, r *rapid.T) *history {
	h := newHistory(t)
	few := rapid.IntRange(1, 4)
	answers := map[int]domain.Response{}
	for range rapid.IntRange(0, 12).Draw(r, "center") {
		n := few.Draw(r, "key")
		kind := rapid.IntRange(0, 13).Draw(r, "kind")
		if kind == 13 {
			h.add("center", domain.WorkStream(id(n)), someWork(r))
			continue
		}
		if kind >= 8 {
			broken := failed(few.Draw(r, "attempts"))
			broken.Error = rapid.String().Draw(r, "error")
			f := []domain.Fact{started(few.Draw(r, "attempt")), recorded(`[ 1,	"é" ]`, few.Draw(r, "count")), broken,
				domain.ResponseRetried{}, domain.ResponseWithdrawn{}}[kind-8]
			if _, err := answers[n].Decide(f); err == nil {
				answers[n] = answers[n].Apply(f)
				h.add("center", domain.ResponseStream(id(n)), f)
			}
			continue
		}
		switch kind {
		case 0:
			h.add("center", domain.UserStream(id(n)), user(rapid.SampledFrom([]string{"ada", "bob"}).Draw(r, "name")))
		case 1:
			h.add("center", domain.ProfileStream("basic"), profile(few.Draw(r, "priority")))
		case 2:
			t := requestType("airport", rapid.String().Draw(r, "title"))
			t.Version = few.Draw(r, "version")
			h.add("center", domain.RequestTypeStream("airport"), rapid.SampledFrom([]domain.Fact{t, domain.RequestTypeChanged(t),
				domain.RequestTypeRetired{}}).Draw(r, "change"))
		case 3:
			h.add("center", domain.ResponderConfigStream("airport"), domain.ResponderConfigured{Kind: domain.ResponderSQL,
				Source: "flights", Statement: "select 1", TimeoutMS: few.Draw(r, "timeout")})
		case 6:
			h.add("center", domain.ResponderConfigStream("airport"), domain.ResponderDisabled{})
		case 7:
			h.add("center", domain.SettingStream("banner"), rapid.SampledFrom([]domain.Fact{domain.SettingRemoved{Public: true},
				domain.SettingChanged{Value: json.RawMessage(fmt.Sprint(n)), Public: n > 1}}).Draw(r, "setting"))
		case 4:
			h.add("center", domain.UserStream(id(n)), someUserChange(r))
		case 5:
			h.add("center", domain.ProfileStream("basic"), rapid.SampledFrom([]domain.Fact{domain.ProfileRetired{},
				domain.ProfileChanged(profile(few.Draw(r, "priority")))}).Draw(r, "profile"))
		}
	}
	for n := range rapid.IntRange(0, 5).Draw(r, "field") {
		h.add("field", domain.RequestStream(id(n)), submitted(id(1), rapid.String().Draw(r, "name")))
		for range rapid.IntRange(0, 2).Draw(r, "changes") {
			h.add("field", domain.RequestStream(id(n)), rapid.SampledFrom([]domain.Fact{domain.RequestCancelled{},
				domain.RequestRetried{Failure: 2}, domain.RequestRetried{Failure: 5}}).Draw(r, "change"))
		}
	}
	return h
}

// someUserChange draws an event of a user that is there, or is not.
func someUserChange(r *rapid.T) domain.Fact {
	name := rapid.SampledFrom([]string{"airport", "flight"}).Draw(r, "type")
	number := rapid.IntRange(1, 9).Draw(r, "number")
	return rapid.SampledFrom([]domain.Fact{
		domain.UserProfileChanged{Email: new(fmt.Sprint(number, "@example.org"))}, domain.UserProfileChanged{FullName: new(""), Profile: new("wide")},
		domain.UserRoleChanged{Role: domain.RoleAdmin}, domain.UserPasswordChanged{Credential: domain.Credential{Algorithm: "argon2id", Hash: fmt.Sprint(number)}},
		domain.UserDeactivated{Reason: "x"}, domain.UserReactivated{}, domain.LimitsOverridden{Minute: &number, Priority: &number}, domain.LimitsCleared{},
		domain.AccessGranted{RequestType: name, MaxResults: number, Limits: &domain.Limits{Hour: number}, Indices: []string{}}, domain.AccessGranted{RequestType: name, Indices: []string{}},
		domain.AccessBlocked{RequestType: name}, domain.AccessCleared{RequestType: name},
	}).Draw(r, "change")
}

// someWork draws an event of an analyst's work, in any order.
func someWork(r *rapid.T) domain.Fact {
	number := rapid.IntRange(1, 9).Draw(r, "number")
	return rapid.SampledFrom([]domain.Fact{
		domain.WorkOpened{RequestType: "opinion", TypeVersion: 1, Priority: number, Question: "q", Task: domain.ManualTask{ClaimMinutes: number}},
		domain.WorkClaimed{Holder: fmt.Sprint("user-", number), Until: domain.Timestamp(dawn)}, domain.WorkReleased{Holder: "user-1"},
		domain.WorkClosed{Outcome: domain.StatusAnswered}, domain.WorkClosed{Outcome: domain.StatusWithdrawn},
	}).Draw(r, "work")
}

// interleaved draws one order of all events that keeps each origin's own, as
// one of the two sites has them, cut into batches.
func interleaved(t testing.TB, r *rapid.T, h *history) [][]eventstore.Record {
	left := map[string][]eventstore.Record{"center": h.logs["center"], "field": h.logs["field"]}
	here := rapid.SampledFrom([]string{"center", "field"}).Draw(r, "here")
	batches := [][]eventstore.Record{nil}
	for len(left["center"])+len(left["field"]) > 0 {
		from := rapid.SampledFrom([]string{"center", "field"}).Draw(r, "next")
		if len(left[from]) == 0 {
			continue
		}
		next := left[from][0]
		left[from] = left[from][1:]
		if from != here {
			next = mirrored(t, next)
		}
		if rapid.IntRange(0, 3).Draw(r, "cut") == 0 {
			batches = append(batches, nil)
		}
		batches[len(batches)-1] = append(batches[len(batches)-1], next)
	}
	return batches
}

// stored is records as they are read.
func stored(batches [][]eventstore.Record) [][]eventstore.Record {
	read := make([][]eventstore.Record, len(batches))
	for i, records := range batches {
		for _, r := range records {
			r.StoredAt = dawn
			read[i] = append(read[i], r)
		}
	}
	return read
}

func TestRowsDependOnEventsAlone(t *testing.T) {
	t.Parallel()
	site := requestSite(t)
	rapid.Check(t, func(r *rapid.T) {
		h := someHistory(t, r)
		first := applied(t, site, interleaved(t, r, h))
		second := applied(t, site, interleaved(t, r, h))
		if d := cmp.Diff(first, second); d != "" {
			r.Fatalf("another order or other batches give other rows:\n%s", d)
		}
		twice := interleaved(t, r, h)
		again := rapid.IntRange(0, len(twice)).Draw(r, "again")
		if d := cmp.Diff(first, applied(t, site, slices.Concat(twice, stored(twice[:again])))); d != "" {
			r.Fatalf("applying events again changes rows:\n%s", d)
		}
	})
}

func TestResponseFolds(t *testing.T) {
	t.Parallel()
	site := requestSite(t)
	for i, c := range []struct {
		name  string
		facts []domain.Fact
		want  projections.Response
	}{
		{"nothing yet", nil, projections.Response{Status: domain.StatusPending}},
		{"started", []domain.Fact{started(1)}, projections.Response{Status: domain.StatusProcessing, Attempts: 1, Responder: "sql", Pos: 1}},
		{"started again", []domain.Fact{started(1), started(2)},
			projections.Response{Status: domain.StatusProcessing, Attempts: 2, Responder: "sql", Pos: 2}},
		{"answered at the second attempt", []domain.Fact{started(1), started(2), recorded(`[ {"a": 1} ]`, 1)},
			projections.Response{Status: domain.StatusAnswered, Attempts: 2, Responder: "sql", Result: json.RawMessage(`[{"a":1}]`),
				ResultCount: 1, TookMS: 12, ContentType: "application/json", RecordedAt: dawn.Add(3e9), Pos: 3}},
		{"failed keeps its responder", []domain.Fact{started(1), failed(3)},
			projections.Response{Status: domain.StatusFailed, Attempts: 3, Responder: "sql", ErrorCode: "timeout",
				ErrorDetail: "took too long", RecordedAt: dawn.Add(2e9), Pos: 2}},
		{"an answer outlives a failure", []domain.Fact{recorded(`[]`, 0), failed(1), started(9)},
			projections.Response{Status: domain.StatusAnswered, Responder: "sql", Result: json.RawMessage(`[]`),
				TookMS: 12, ContentType: "application/json", RecordedAt: dawn.Add(1e9), Pos: 1}},
		{"taken back", []domain.Fact{started(1), failed(3), domain.ResponseRetried{}},
			projections.Response{Status: domain.StatusPending, Attempts: 3, Responder: "sql", Pos: 3}},
		{"answered after a failure", []domain.Fact{failed(3), domain.ResponseRetried{}, started(4), recorded(`[]`, 0)},
			projections.Response{Status: domain.StatusAnswered, Attempts: 4, Responder: "sql", Result: json.RawMessage(`[]`),
				TookMS: 12, ContentType: "application/json", RecordedAt: dawn.Add(4e9), Pos: 4}},
		{"withdrawn", []domain.Fact{started(1), domain.ResponseWithdrawn{}},
			projections.Response{Status: domain.StatusCancelled, Attempts: 1, Responder: "sql", Pos: 2}},
		{"nothing found", []domain.Fact{recorded(`null`, 0)},
			projections.Response{Status: domain.StatusAnswered, Responder: "sql", Result: json.RawMessage(`null`),
				TookMS: 12, ContentType: "application/json", RecordedAt: dawn.Add(1e9), Pos: 1}},
	} {
		for j, cut := range []string{"one batch", "one event a batch"} {
			t.Run(c.name+", "+cut, func(t *testing.T) {
				request := id(2*i + j)
				c.want.RequestID, c.want.Origin, c.want.Owner = request, "field", id(1)
				h := newHistory(t)
				h.add("field", domain.RequestStream(request), submitted(id(1), ""))
				for _, f := range c.facts {
					h.add("center", domain.ResponseStream(request), f)
				}
				batches := [][]eventstore.Record{slices.Concat(h.logs["center"], h.logs["field"])}
				if j == 1 {
					batches = slices.Collect(slices.Chunk(batches[0], 1))
				}
				store(t, site, batches)
				got, err := projections.NewReader(site.Pool).Response(t.Context(), request)
				if err != nil {
					t.Fatal(err)
				}
				if d := cmp.Diff(c.want, got); d != "" {
					t.Error(d)
				}
			})
		}
	}
}

// TestTheStatusIsTheDomains: whatever was recorded, by rule or not, the read
// model's status is the one that the domain folds, in rows and in filters.
func TestTheStatusIsTheDomains(t *testing.T) {
	t.Parallel()
	site := requestSite(t)
	reader := projections.NewReader(site.Pool)
	answers := []domain.Fact{started(1), recorded(`[]`, 0), failed(1), domain.ResponseRetried{}, domain.ResponseWithdrawn{}}
	changes := []domain.Fact{domain.RequestCancelled{}, domain.RequestRetried{Failure: 1}, domain.RequestRetried{Failure: 3}}
	n := 0
	rapid.Check(t, func(r *rapid.T) {
		n++
		key := id(n)
		h, want := newHistory(t), domain.Asked{}
		h.add("field", domain.RequestStream(key), submitted(key, ""))
		for _, f := range rapid.SliceOfN(rapid.SampledFrom(changes), 0, 2).Draw(r, "changes") {
			h.add("field", domain.RequestStream(key), f)
		}
		for _, f := range rapid.SliceOfN(rapid.SampledFrom(answers), 0, 5).Draw(r, "answer") {
			h.add("center", domain.ResponseStream(key), f)
		}
		for _, e := range slices.Concat(h.logs["field"], h.logs["center"]) {
			want = want.Apply(e.Fact, e.Pos)
		}
		store(t, site, interleaved(t, r, h))
		got, err := reader.Request(t.Context(), key)
		if err != nil || got.Status != want.Status() {
			r.Fatalf("%+v: the read model says %s (%v), the domain %s", h.logs, got.Status, err, want.Status())
		}
		if listed, _, err := reader.Requests(t.Context(), projections.RequestFilter{User: key, Status: want.Status()}); err != nil || len(listed) != 1 {
			r.Fatalf("a filter by %s finds %v, %v", want.Status(), listed, err)
		}
	})
}

// store is applied, to stay.
func store(t testing.TB, site *eventstoreSite, batches [][]eventstore.Record) {
	t.Helper()
	for _, records := range batches {
		var b pgx.Batch
		for _, p := range projections.Inline() {
			if err := p.Apply(&b, records); err != nil {
				t.Fatal(err)
			}
		}
		send := func(c *pgxpool.Conn) error { return eventstore.Send(t.Context(), c.Conn(), &b) }
		if err := site.Pool.AcquireFunc(t.Context(), send); err != nil {
			t.Fatal(err)
		}
	}
}

func TestNothingConcernedQueuesNothing(t *testing.T) {
	t.Parallel()
	h := newHistory(t)
	h.add("field", domain.SiteStream("field"), domain.SiteFounded{Site: "field", Role: domain.RequestSite, Epoch: strings.Repeat("0", 32)})
	var b pgx.Batch
	for _, p := range projections.Inline() {
		if err := p.Apply(&b, h.logs["field"]); err != nil {
			t.Fatal(err)
		}
	}
	if b.Len() != 0 {
		t.Errorf("%d statements are queued for an event that no read model knows", b.Len())
	}
}
