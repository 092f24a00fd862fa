package api_test

import (
	"testing"
	"time"
)

// A site's requests are counted by when they were submitted, and measured, in
// steps that are whole ones.
func TestRequestsOverTime(t *testing.T) {
	t.Parallel()
	core := newCore(t)
	field := newField(t, core)
	alice, root := field.token("alice"), field.token("root")
	before := time.Now().UTC()
	answer(core, field, field.submitted(alice), failure)
	field.submitted(alice)
	core.mirror(field, 0)
	const path = "/admin/stats/series"
	for _, s := range []*site{core, field} {
		got := s.call("GET", path+"?step=day&from="+before.Add(-48*time.Hour).Format(time.RFC3339), s.token("root"), "")
		got.want(t, 200, "")
		items := got.body["items"].([]any)
		if len(items) < 3 || got.body["step"] != "day" {
			t.Fatalf("%s", got.text)
		}
		total, failed, measured, crossed := 0.0, 0.0, false, false
		for _, item := range items {
			span := item.(map[string]any)
			total += span["total"].(float64)
			failed += span["by_status"].(map[string]any)["failed"].(float64)
			measured = measured || span["answered_in"] != nil
			crossed = crossed || span["crossed_in"] != nil
		}
		if total != 2 || failed != 1 || !measured || !crossed {
			t.Errorf("%v requests, %v failed, measured %t, crossed %t: %s", total, failed, measured, crossed, got.text)
		}
	}
	if got := field.call("GET", path, root, ""); len(got.body["items"].([]any)) != 24 || got.body["step"] != "hour" {
		t.Errorf("as usual: %s", got.text)
	}
	for _, query := range []string{"?step=week", "?from=x", "?from=2026-01-01T00:00:00Z&to=2025-01-01T00:00:00Z", "?step=minute&from=2020-01-01T00:00:00Z", "?limit=1"} {
		field.call("GET", path+query, root, "").want(t, 400, "invalid-query")
	}
	field.call("GET", path, alice, "").want(t, 403, "role-not-allowed")
}
