package projections_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"sallyport/domain"
	"sallyport/eventstore"
	"sallyport/projections"
)

func digest(t testing.TB, s *eventstoreSite, scope projections.Scope) map[string]string {
	t.Helper()
	sums, err := projections.Digest(t.Context(), s.Pool, scope)
	if err != nil {
		t.Fatal(err)
	}
	return sums
}

func TestSitesAgreeOnWhatHasCrossed(t *testing.T) {
	t.Parallel()
	field, center := requestSite(t), responseSite(t)
	empty := digest(t, field, projections.Scope{})
	appendTo(t, center.Store, domain.ProfileStream("basic"), profile(5))
	appendTo(t, center.Store, domain.RequestTypeStream("airport"), requestType("airport", "Airports"))
	appendTo(t, center.Store, domain.UserStream(id(1)), user("ada"))
	appendTo(t, center.Store, domain.SettingStream("banner"), domain.SettingChanged{Value: json.RawMessage(`"hello"`), Public: true})
	for n := range 3 {
		appendTo(t, field.Store, domain.RequestStream(id(10+n)), submitted(id(1), fmt.Sprint("name ", n)))
	}
	carry(t, field.Store, center.Store)
	appendTo(t, center.Store, domain.ResponseStream(id(10)), started(1), recorded(`[ {"name" : "Schiphol <1>"} ]`, 1))
	appendTo(t, center.Store, domain.ResponseStream(id(11)), started(1), failed(1))
	if d := digest(t, field, projections.Scope{}); d["requests"] == empty["requests"] || d["users"] != empty["users"] {
		t.Errorf("before the answer crosses, %v", d)
	}
	carry(t, center.Store, field.Store)
	there, here := digest(t, center, projections.Scope{}), digest(t, field, projections.Scope{})
	if d := cmp.Diff(there, here); d != "" {
		t.Errorf("the sites differ:\n%s", d)
	}
	for _, model := range slices.Sorted(maps.Keys(here)) {
		if here[model] == empty[model] {
			t.Errorf("the digest of %s does not see its rows", model)
		}
	}
	if len(here) != 7 {
		t.Errorf("%d read models have a digest, want 7", len(here))
	}
}

func TestDigestOfOneRequestSite(t *testing.T) {
	t.Parallel()
	center, field := responseSite(t), requestSite(t)
	appendTo(t, field.Store, domain.RequestStream(id(1)), submitted(id(9), ""))
	carry(t, field.Store, center.Store)
	appendTo(t, center.Store, domain.ResponseStream(id(1)), recorded(`[]`, 0))
	carry(t, center.Store, field.Store)
	h := newHistory(t)
	h.add("outpost", domain.RequestStream(id(2)), submitted(id(9), ""))
	h.add("center", domain.ResponseStream(id(2)), started(1))
	store(t, center, [][]eventstore.Record{h.logs["outpost"], h.logs["center"]})

	scope := projections.Scope{RequestOrigin: "field"}
	if d := cmp.Diff(digest(t, center, scope), digest(t, field, scope)); d != "" {
		t.Errorf("what is shared with field differs:\n%s", d)
	}
	all := digest(t, center, projections.Scope{})
	if one := digest(t, center, scope); all["requests"] == one["requests"] || all["responses"] == one["responses"] {
		t.Error("another site's request and response do not show in the digest of all")
	}
}

func TestDigestSeesEveryColumn(t *testing.T) {
	t.Parallel()
	site := requestSite(t)
	h := newHistory(t)
	h.add("center", domain.UserStream(id(1)), user("ada"))
	h.add("center", domain.ProfileStream("basic"), profile(5))
	h.add("center", domain.RequestTypeStream("airport"), requestType("airport", "Airports"))
	h.add("center", domain.ResponseStream(id(1)), recorded(`[]`, 0))
	h.add("field", domain.RequestStream(id(1)), submitted(id(1), ""))
	store(t, site, [][]eventstore.Record{h.logs["center"], h.logs["field"]})
	before := digest(t, site, projections.Scope{})
	rows, err := site.Pool.Query(t.Context(), `SELECT table_name, column_name, data_type FROM information_schema.columns
		WHERE table_schema = 'readmodel' AND table_name NOT IN ('responder_configs', 'settings', 'webhooks', 'api_keys', 'retention', 'work', 'request_counts', 'request_times', 'requests_counted')`) // these stay on their site, or some do
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	other := map[string]string{"text": "'processing'", "json": `'{"other":1}'`, "jsonb": `'{"other":1}'`, "boolean": "NULL", "timestamp with time zone": "now()",
		"bigint": "99", "integer": "99"}
	columns := 0
	for rows.Next() {
		var table, column, kind string
		if err := rows.Scan(&table, &column, &kind); err != nil {
			t.Fatal(err)
		}
		columns++
		value := other[kind]
		if kind == "boolean" {
			value = "NOT " + column
		}
		tx, err := site.Owner.Begin(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if _, err := tx.Exec(t.Context(), fmt.Sprintf(`UPDATE readmodel.%s SET %s = %s`, table, column, value)); err != nil {
			t.Fatalf("%s.%s: %v", table, column, err)
		}
		if err := tx.Commit(t.Context()); err != nil {
			t.Fatal(err)
		}
		if after := digest(t, site, projections.Scope{}); after[table] == before[table] {
			t.Errorf("a change of %s.%s does not change the digest", table, column)
		} else {
			before = after
		}
	}
	if rows.Err() != nil || columns < 35 {
		t.Errorf("looked at %d columns: %v", columns, rows.Err())
	}
}
