package api_test

import (
	"encoding/json"
	"testing"

	"sallyport/bridge"
)

// A bundle tells what it covers on the site that wrote it and on the one that
// took it in, and who carried it.
func TestABundleAndWhoCarriedIt(t *testing.T) {
	t.Parallel()
	core, field := linked(t)
	here, there := core.token("olga"), field.token("olga")
	name, data := aBundle(t, core)
	w, err := core.bridge.WriteMedium(t.Context(), bridge.MediumWrite{Dir: t.TempDir(), Operator: "cli:ann"})
	if err != nil {
		t.Fatal(err)
	}
	field.put(there, name, data).want(t, 201, "")
	field.outcomes(there)

	id := items[bridge.Listed](t, core.call("GET", "/admin/bundles?limit=1", here, ""))[0].ID
	sent, got := detail(t, core.call("GET", "/admin/bundles/"+id, here, "")), detail(t, field.call("GET", "/admin/bundles/"+id, there, ""))
	if sent.Direction != "out" || sent.File != name || sent.Makings != 1 || sent.Events == nil || *sent.Events == 0 || sent.Bytes != int64(len(data)) {
		t.Errorf("the one sent: %+v", sent)
	}
	if got.Direction != "in" || got.After != sent.After || got.Through != sent.Through || got.EndedAt == nil || got.State != "archived" || len(got.Custody) != 0 {
		t.Errorf("the one taken in: %+v", got)
	}
	if len(sent.Custody) != 1 || sent.Custody[0].Act != "written" || sent.Custody[0].Medium != w.Medium || sent.Custody[0].Operator != "cli:ann" {
		t.Errorf("who carried it: %+v", sent.Custody)
	}
	for query, want := range map[string]int{"": 1, "?medium=" + w.Medium: 1, "?medium=other": 0} {
		found := items[bridge.Handling](t, core.call("GET", "/admin/custody"+query, here, ""))
		if len(found) != want || want == 1 && (found[0].Serial != w.Serial.Text || len(found[0].Bundles) != 1 || found[0].Bundles[0].File != name) {
			t.Errorf("%q: %+v", query, found)
		}
	}
	core.call("GET", "/admin/custody?cursor=x", here, "").want(t, 400, "invalid-query")
	core.call("GET", "/admin/bundles/"+id[:63]+"z", here, "").want(t, 404, "not-found")
}

func detail(t *testing.T, r reply) (d bridge.Detail) {
	t.Helper()
	r.want(t, 200, "")
	if err := json.Unmarshal([]byte(r.text), &d); err != nil {
		t.Fatal(err)
	}
	return d
}
