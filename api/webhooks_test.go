package api_test

import (
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"
)

func TestWebhooks(t *testing.T) {
	t.Parallel()
	field := newField(t, newCore(t))
	alice, bob := field.token("alice"), field.token("bob")
	made := field.call("POST", "/webhooks", alice, `{"url":"https://example.org/hook"}`)
	made.want(t, 201, "")
	id, _ := made.body["id"].(string)
	secret, _ := made.body["secret"].(string)
	if !strings.HasPrefix(secret, "whsec_") || made.Header.Get("Location") != "/webhooks/"+id || made.Header.Get("X-Log-Position") == "" || made.body["state"] != "active" {
		t.Errorf("made %s", made.text)
	}
	listed := field.call("GET", "/webhooks", alice, "")
	listed.want(t, 200, "")
	if !strings.Contains(listed.text, id) || strings.Contains(listed.text, "whsec_") {
		t.Errorf("listed %s", listed.text)
	}
	if others := field.call("GET", "/webhooks", bob, ""); strings.Contains(others.text, id) {
		t.Errorf("another sees %s", others.text)
	}
	for body, pointer := range map[string]string{`{"url":"ftp://example.org"}`: "/url", `{"url":"http://127.0.0.1/"}`: "/url", `{"url":"http://localhost/"}`: "/url", `{"url":"https://example.org:99999/"}`: "/url",
		`{"url":"https://example.org","events":["user.registered"]}`: "/events"} {
		r := field.call("POST", "/webhooks", alice, body)
		r.want(t, 422, "invalid-webhook")
		if got := r.pointers(); got[0] != pointer {
			t.Errorf("%s: %v", body, got)
		}
	}
	field.call("DELETE", "/webhooks/"+id, bob, "").want(t, 404, "not-found")
	field.call("DELETE", "/webhooks/"+id, alice, "").want(t, 204, "")
	field.call("DELETE", "/webhooks/"+id, alice, "").want(t, 404, "not-found")
	for range 10 {
		field.call("POST", "/webhooks", alice, `{"url":"https://example.org/hook"}`).want(t, 201, "")
	}
	field.call("POST", "/webhooks", alice, `{"url":"https://example.org/hook"}`).want(t, 409, "too-many-webhooks")
	all := field.call("GET", "/webhooks", alice, "").body["items"].([]any)
	page := field.call("GET", "/webhooks?limit=6", alice, "")
	page.want(t, 200, "")
	cursor, _ := page.body["next_cursor"].(string)
	rest := field.call("GET", "/webhooks?limit=6&cursor="+cursor, alice, "")
	if got := slices.Concat(page.body["items"].([]any), rest.body["items"].([]any)); !reflect.DeepEqual(got, all) || len(got) != 10 || rest.body["next_cursor"] != nil {
		t.Errorf("in pages: %s, %s", page.text, rest.text)
	}
}

func TestPoisonQueue(t *testing.T) {
	t.Parallel()
	core := newCore(t)
	root := core.token("root")
	for n, seq := range []int{1, 2, 3} {
		if _, err := core.db.Pool.Exec(t.Context(), `INSERT INTO poisoned (reactor, seq, target, reason) VALUES ('webhooks', $1, '', $2)`, seq, strconv.Itoa(n)); err != nil {
			t.Fatal(err)
		}
	}
	page := core.call("GET", "/admin/poison?limit=2", root, "")
	page.want(t, 200, "")
	items := page.body["items"].([]any)
	cursor, _ := page.body["next_cursor"].(string)
	if len(items) != 2 || cursor != "2" || items[0].(map[string]any)["event"] != nil {
		t.Errorf("the first page: %s", page.text)
	}
	if rest := core.call("GET", "/admin/poison?cursor="+cursor, root, ""); len(rest.body["items"].([]any)) != 1 {
		t.Errorf("the second page: %s", rest.text)
	}
	core.call("GET", "/admin/poison?cursor=x", root, "").want(t, 400, "invalid-query")
	shown := core.call("GET", "/admin/poison/2", root, "")
	shown.want(t, 200, "")
	if event, _ := shown.body["event"].(map[string]any); event["type"] != shown.body["type"] {
		t.Errorf("shown %s", shown.text)
	}
	core.call("POST", "/admin/poison/2/requeue", root, "").want(t, 202, "")
	core.call("POST", "/admin/poison/1/drop", root, "").want(t, 200, "")
	core.call("POST", "/admin/poison/1/drop", root, "").want(t, 404, "not-found")
	core.call("GET", "/admin/poison/x", root, "").want(t, 404, "not-found")
	core.call("GET", "/admin/poison", core.token("alice"), "").want(t, 403, "role-not-allowed")
	var acts int
	err := core.db.Pool.QueryRow(t.Context(), `SELECT count(*) FROM events WHERE type = 'admin.acted' AND line LIKE '%"poison.%'`).Scan(&acts)
	if err != nil || acts != 2 {
		t.Errorf("%d acts are in the audit trail, %v", acts, err)
	}
	left := core.call("GET", "/admin/poison", root, "")
	if items := left.body["items"].([]any); len(items) != 2 || items[0].(map[string]any)["requeued_at"] == nil {
		t.Errorf("left: %s", left.text)
	}
}
