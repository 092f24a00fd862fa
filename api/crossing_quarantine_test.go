package api_test

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"sallyport/bridge"
)

// refuse uploads a damaged bundle under its true name and imports it.
func refuse(t *testing.T, core, field *site, here string) bridge.QuarantinedFile {
	t.Helper()
	name, data := aBundle(t, core)
	data[len(data)-9] ^= 4
	field.put(here, name, data).want(t, 201, "")
	if states := field.outcomes(here); !slices.Equal(states, []string{bridge.Quarantined}) {
		t.Fatalf("imported %q", states)
	}
	return items[bridge.QuarantinedFile](t, field.call("GET", "/admin/quarantine", here, ""))[0]
}

// A refused file is judged again when it is released, and deleted when it is
// rejected; each decision is made once and has a name to it.
func TestDecisionsOverHTTP(t *testing.T) {
	t.Parallel()
	core, field := linked(t)
	here := field.token("olga")
	refused := refuse(t, core, field, here)
	if refused.Code != "damaged" || refused.Decided != "" || refused.DecidedAt != nil || refused.NextStep == "" {
		t.Errorf("refused %+v", refused)
	}
	path := "/admin/quarantine/" + refused.ID
	for _, body := range []string{`{}`, `{"reason":""}`, `{"reason":"a\u0000b"}`} {
		got := field.call("POST", path+"/release", here, body)
		got.want(t, 422, "invalid-reason")
		if !slices.Equal(got.pointers(), []string{"/reason"}) {
			t.Errorf("pointers %q", got.pointers())
		}
	}

	released := field.call("POST", path+"/release", here, `{"reason":"the medium was bad, look again"}`)
	released.want(t, 200, "")
	if released.body["decided"] != "released" || released.body["decided_by"] != field.user(here) || released.body["decided_at"] == nil ||
		released.Header.Get("X-Log-Position") == "" {
		t.Errorf("released %v %s", released.Header, released.text)
	}
	for _, verb := range []string{"release", "reject"} {
		again := field.call("POST", path+"/"+verb, here, `{"reason":"once more"}`)
		again.want(t, 409, "already-decided")
		if !strings.Contains(again.text, "released at") || !strings.Contains(again.text, field.user(here)) {
			t.Errorf("the second decision is refused with %s", again.text)
		}
	}
	if left := items[bridge.QuarantinedFile](t, field.call("GET", "/admin/quarantine", here, "")); len(left) != 0 {
		t.Errorf("undecided %+v", left)
	}
	if states := field.outcomes(here); !slices.Equal(states, []string{bridge.Quarantined}) {
		t.Fatalf("judged again: %q", states)
	}

	second := items[bridge.QuarantinedFile](t, field.call("GET", "/admin/quarantine?peer=core", here, ""))
	if len(second) != 1 || second[0].ID == refused.ID || second[0].SHA256 != refused.SHA256 {
		t.Fatalf("refused again: %+v", second)
	}
	path = "/admin/quarantine/" + strings.ToUpper(second[0].ID)
	field.call("POST", path+"/reject", here, `{"reason":"it stays bad"}`).want(t, 200, "")
	if left, err := filepath.Glob(filepath.Join(field.dir, "quarantine", second[0].ID, "*")); err != nil || len(left) != 1 || filepath.Base(left[0]) != "reason.json" {
		t.Errorf("left in quarantine: %q, %v", left, err)
	}
	shown := field.call("GET", path, here, "")
	if shown.body["decided"] != "rejected" || shown.body["code"] != "damaged" {
		t.Errorf("shown %s", shown.text)
	}
	olga := []string{field.user(here)}
	if by := [][]string{field.actors("quarantine.released"), field.actors("bundle.rejected")}; !slices.Equal(by[0], olga) || !slices.Equal(by[1], olga) {
		t.Errorf("decided by %q, want %q", by, olga)
	}

	page := field.call("GET", "/admin/quarantine?all=true&limit=1", here, "")
	rest := field.call("GET", "/admin/quarantine?all=true&limit=1&cursor="+page.body["next_cursor"].(string), here, "")
	ids := []string{items[bridge.QuarantinedFile](t, page)[0].ID, items[bridge.QuarantinedFile](t, rest)[0].ID}
	if !slices.Equal(ids, []string{second[0].ID, refused.ID}) || rest.body["next_cursor"] != nil {
		t.Errorf("in pages: %q then %v", ids, rest.body["next_cursor"])
	}
}

func TestIDsOfRefusedFiles(t *testing.T) {
	t.Parallel()
	core, field := linked(t)
	here := field.token("olga")
	refused := refuse(t, core, field, here)
	for _, id := range []string{"..", "%2E%2E", "%00", "x", strings.Repeat("0", 5000), "{" + refused.ID + "}", "urn:uuid:" + refused.ID, refused.ID + "%00"} {
		field.call("GET", "/admin/quarantine/"+id, here, "").want(t, 404, "not-found")
		field.call("POST", "/admin/quarantine/"+id+"/reject", here, `{"reason":"a test"}`).want(t, 404, "not-found")
	}
	field.call("POST", "/admin/quarantine/"+refused.ID+"%2Freject", here, `{"reason":"encoded"}`).want(t, 200, "")
	again := refuse(t, core, field, here)
	if err := os.Remove(filepath.Join(field.dir, "quarantine", again.ID, again.File)); err != nil {
		t.Fatal(err)
	}
	field.call("POST", "/admin/quarantine/"+again.ID+"/release", here, `{"reason":"a test"}`).want(t, 409, "file-not-in-quarantine")
	field.call("POST", "/admin/quarantine/"+again.ID+"/reject", here, `{"reason":"it is gone"}`).want(t, 200, "")
}
