package projections_test

import (
	"encoding/base64"
	"errors"
	"fmt"
	"reflect"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"sallyport/domain"
	"sallyport/eventstore"
	"sallyport/projections"
)

func TestUsers(t *testing.T) {
	t.Parallel()
	site := responseSite(t)
	reader := projections.NewReader(site.Pool)
	if any, err := reader.AnyUser(t.Context()); any || err != nil {
		t.Errorf("an empty site has users: %v, %v", any, err)
	}
	for n := range 7 {
		appendTo(t, site.Store, domain.UserStream(id(n)), user(fmt.Sprintf("user%d", 6-n)))
	}
	if any, err := reader.AnyUser(t.Context()); !any || err != nil {
		t.Errorf("a site with users has none: %v, %v", any, err)
	}
	var names []string
	for p := (projections.Page{Limit: 3}); ; {
		users, next, err := reader.Users(t.Context(), projections.UserFilter{Page: p})
		if err != nil {
			t.Fatal(err)
		}
		for _, u := range users {
			names = append(names, u.Username)
		}
		if p.Cursor = next; next == "" {
			break
		}
	}
	if d := cmp.Diff([]string{"user0", "user1", "user2", "user3", "user4", "user5", "user6"}, names); d != "" {
		t.Error(d)
	}
	byName, err := reader.UserByName(t.Context(), "user6")
	if err != nil {
		t.Fatal(err)
	}
	byID, err := reader.User(t.Context(), id(0))
	if err != nil {
		t.Fatal(err)
	}
	want := projections.User{ID: id(0), Username: "user6", Email: "user6@example.org", FullName: "Full user6", Role: domain.RoleUser,
		Profile: "basic", Active: true, Credential: domain.Credential{Algorithm: "bcrypt", Hash: "$2a$user6"}, CreatedAt: byID.CreatedAt, Pos: 2}
	if d := cmp.Diff([]projections.User{want, want}, []projections.User{byID, byName}); d != "" {
		t.Error(d)
	}
}

func TestDefinitions(t *testing.T) {
	t.Parallel()
	site := responseSite(t)
	reader := projections.NewReader(site.Pool)
	config := domain.ResponderConfigured{Kind: domain.ResponderSQL, Source: "flights", Statement: "select 1", TimeoutMS: 10}
	appendTo(t, site.Store, domain.ProfileStream("basic"), profile(3), profile(4))
	appendTo(t, site.Store, domain.RequestTypeStream("b-type"), requestType("b-type", "B"))
	appendTo(t, site.Store, domain.RequestTypeStream("a-type"), requestType("a-type", "A"))
	appendTo(t, site.Store, domain.ResponderConfigStream("a-type"), domain.ResponderConfigured{Kind: domain.ResponderSQL}, config)
	p, err := reader.Profile(t.Context(), "basic")
	if err != nil || p.Priority != 4 || p.DisplayName != "Basic <&>" {
		t.Errorf("profile %+v, %v", p, err)
	}
	if all, err := reader.Profiles(t.Context(), false); err != nil || len(all) != 1 {
		t.Errorf("profiles %+v, %v", all, err)
	}
	if a, err := reader.RequestType(t.Context(), "a-type"); err != nil || a.Title != "A" || string(a.Parameters) != `{"type":"object"}` {
		t.Errorf("request type %+v, %v", a, err)
	}
	if all, err := reader.RequestTypes(t.Context(), false); err != nil || len(all) != 2 || all[0].Name != "a-type" {
		t.Errorf("request types %+v, %v", all, err)
	}
	if c, err := reader.ResponderConfig(t.Context(), "a-type"); err != nil || !reflect.DeepEqual(c.ResponderConfigured, config) {
		t.Errorf("responder %+v, %v", c, err)
	}
}

func TestWhatIsNotThere(t *testing.T) {
	t.Parallel()
	reader := projections.NewReader(requestSite(t).Pool)
	ctx := t.Context()
	for _, key := range []string{"nobody", "", "nul\x00", "no utf-8 \xff"} {
		_, user := reader.User(ctx, key)
		_, byName := reader.UserByName(ctx, key)
		_, profile := reader.Profile(ctx, key)
		_, typ := reader.RequestType(ctx, key)
		_, config := reader.ResponderConfig(ctx, key)
		_, request := reader.Request(ctx, key)
		_, response := reader.Response(ctx, key)
		for what, err := range map[string]error{"user": user, "name": byName, "profile": profile, "type": typ, "config": config,
			"request": request, "response": response} {
			if !errors.Is(err, projections.ErrNotFound) {
				t.Errorf("%s %q: %v", what, key, err)
			}
		}
		found, next, err := reader.Requests(ctx, projections.RequestFilter{User: key + "x", Name: key, Type: key, Status: domain.Status(key)})
		if len(found) != 0 || next != "" || err != nil {
			t.Errorf("requests of %q: %v, %q, %v", key, found, next, err)
		}
	}
}

// requests stores ten requests of two users; ada's are the even ones. The
// first is answered, the second failed, the third begun.
func requests(t testing.TB, site *eventstoreSite) {
	h := newHistory(t)
	for n := range 10 {
		f := submitted([]string{"ada", "bob"}[n%2], fmt.Sprint("name", n))
		if n >= 8 {
			f.Type = "route"
		}
		h.add("field", domain.RequestStream(id(n)), f)
	}
	h.add("center", domain.ResponseStream(id(0)), recorded(`[]`, 0))
	h.add("center", domain.ResponseStream(id(1)), failed(1))
	h.add("center", domain.ResponseStream(id(2)), started(1))
	store(t, site, [][]eventstore.Record{h.logs["center"], h.logs["field"]})
}

func TestRequestsFiltered(t *testing.T) {
	t.Parallel()
	site := requestSite(t)
	requests(t, site)
	at := func(n int) time.Time { return dawn.Add(time.Duration(n+1) * time.Second) }
	for _, c := range []struct {
		name   string
		filter projections.RequestFilter
		want   []int
	}{
		{"all", projections.RequestFilter{}, []int{9, 8, 7, 6, 5, 4, 3, 2, 1, 0}},
		{"of a user", projections.RequestFilter{User: "ada"}, []int{8, 6, 4, 2, 0}},
		{"answered", projections.RequestFilter{Status: domain.StatusAnswered}, []int{0}},
		{"failed", projections.RequestFilter{Status: domain.StatusFailed}, []int{1}},
		{"processing", projections.RequestFilter{Status: domain.StatusProcessing}, []int{2}},
		{"pending of a user", projections.RequestFilter{Status: domain.StatusPending, User: "bob"}, []int{9, 7, 5, 3}},
		{"of a type", projections.RequestFilter{Type: "route"}, []int{9, 8}},
		{"of a name", projections.RequestFilter{Name: "name4"}, []int{4}},
		{"of a time", projections.RequestFilter{From: at(3), To: at(5)}, []int{4, 3}},
		{"of positions", projections.RequestFilter{After: 7, Through: 9}, []int{8, 7}},
		{"all at once", projections.RequestFilter{User: "ada", Status: domain.StatusPending, Type: "airport", Name: "name6",
			From: at(0), To: at(9), After: 1, Through: 9, Page: projections.Page{Limit: 1}}, []int{6}},
	} {
		t.Run(c.name, func(t *testing.T) {
			found, next, err := projections.NewReader(site.Pool).Requests(t.Context(), c.filter)
			if err != nil || next != "" {
				t.Fatal(next, err)
			}
			var got, want []string
			for _, q := range found {
				got = append(got, q.ID)
			}
			for _, n := range c.want {
				want = append(want, id(n))
			}
			if d := cmp.Diff(want, got); d != "" {
				t.Error(d)
			}
		})
	}
}

func TestRequestsPaged(t *testing.T) {
	t.Parallel()
	site := requestSite(t)
	requests(t, site)
	reader := projections.NewReader(site.Pool)
	f := projections.RequestFilter{User: "ada", Page: projections.Page{Limit: 2}}
	var got []string
	for pages := 1; ; pages++ {
		found, next, err := reader.Requests(t.Context(), f)
		if err != nil {
			t.Fatal(err)
		}
		for _, q := range found {
			got = append(got, q.ID)
		}
		if f.Cursor = next; next == "" {
			if pages != 3 {
				t.Errorf("%d pages, want 3", pages)
			}
			break
		}
	}
	if d := cmp.Diff([]string{id(8), id(6), id(4), id(2), id(0)}, got); d != "" {
		t.Error(d)
	}
}

func TestRequest(t *testing.T) {
	t.Parallel()
	site := requestSite(t)
	requests(t, site)
	got, err := projections.NewReader(site.Pool).Request(t.Context(), id(1))
	if err != nil {
		t.Fatal(err)
	}
	want := projections.Request{ID: id(1), Origin: "field", Pos: 2, User: "bob", Type: "airport", TypeVersion: 1,
		Params: []byte(`{"iata":"<AMS>"}`), Name: "name1", Priority: 5, CreatedAt: dawn.Add(2 * time.Second),
		Status: domain.StatusFailed, RecordedAt: dawn.Add(2 * time.Second), AskedPos: 2}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
}

func TestForeignCursorsAreRefused(t *testing.T) {
	t.Parallel()
	reader := projections.NewReader(requestSite(t).Pool)
	of := func(s string) string { return base64.RawURLEncoding.EncodeToString([]byte(s)) }
	for _, c := range []string{"%", "abc=", of("no line feed"), of("word\nfield"), of("99999999999999999999\nfield")} {
		if _, _, err := reader.Requests(t.Context(), projections.RequestFilter{Page: projections.Page{Cursor: c}}); !errors.Is(err, projections.ErrCursor) {
			t.Errorf("cursor %q of requests: %v", c, err)
		}
	}
	for _, c := range []string{of("no line feed"), of("42\nfield")} {
		if _, _, err := reader.Users(t.Context(), projections.UserFilter{Page: projections.Page{Cursor: c}}); !errors.Is(err, projections.ErrCursor) {
			t.Errorf("cursor %q of users: %v", c, err)
		}
	}
	if _, _, err := reader.Users(t.Context(), projections.UserFilter{Page: projections.Page{Cursor: of("nul\x00\n" + id(1))}}); err != nil {
		t.Errorf("text that PostgreSQL cannot hold in a cursor: %v", err)
	}
}

// TestRoundTrip measures what came back by this site's clock, and of that the
// newest.
func TestRoundTrip(t *testing.T) {
	t.Parallel()
	site := requestSite(t)
	reader := projections.NewReader(site.Pool)
	if got, err := reader.RoundTrip(t.Context()); err != nil || got != (projections.RoundTrip{}) {
		t.Errorf("nothing came back: %+v, %v", got, err)
	}
	center := responseSite(t)
	for n := range 10 {
		appendTo(t, site.Store, domain.RequestStream(id(n)), submitted(id(1), ""))
		appendTo(t, center.Store, domain.ResponseStream(id(n)), recorded(`[]`, 0))
	}
	carry(t, center.Store, site.Store)
	got, err := reader.RoundTrip(t.Context())
	if err != nil || got.Half <= 0 || got.Most < got.Half || got.Most > time.Minute {
		t.Errorf("took %+v, %v", got, err)
	}
	appendTo(t, site.Store, domain.RequestStream(id(99)), submitted(id(1), "")) // still away
	if again, err := reader.RoundTrip(t.Context()); err != nil || again != got {
		t.Errorf("one that is still away counts: %+v, %v, want %+v", again, err, got)
	}
}
