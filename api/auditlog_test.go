package api_test

import (
	"encoding/json"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"sallyport/bridge"
	"sallyport/bridge/bundle"
	"sallyport/bridge/evidence"
	"sallyport/domain"
	"sallyport/eventstore"
)

// linesOf are the objects of an answer of lines.
func linesOf(t *testing.T, r reply) (all []map[string]any) {
	t.Helper()
	r.want(t, 200, "")
	if r.Header.Get("Content-Type") != "application/jsonl" {
		t.Fatalf("sent as %q", r.Header.Get("Content-Type"))
	}
	for line := range strings.Lines(r.text) {
		var v map[string]any
		if err := json.Unmarshal([]byte(line), &v); err != nil {
			t.Fatalf("%v in %s", err, line)
		}
		all = append(all, v)
	}
	return all
}

func TestAuditorsReadTheLog(t *testing.T) {
	t.Parallel()
	core := newCore(t)
	core.addUser("udo", "wide", domain.RoleAuditor)
	field := newField(t, core)
	alice, udo := field.token("alice"), field.token("udo")
	id := field.submitted(alice)
	before := time.Now().UTC()
	last := field.submitted(alice)

	all := linesOf(t, field.call("GET", "/audit/events", udo, ""))
	for i, e := range all {
		if e["seq"] != float64(i+1) {
			t.Fatalf("line %d is seq %v", i+1, e["seq"])
		}
	}
	if seen := field.call("GET", "/audit/events?type=user.registered", udo, ""); strings.Contains(seen.text, "$argon2id$") || !strings.Contains(seen.text, `"hash":"withheld"`) || !strings.Contains(seen.text, `"withheld":["/data/credential/hash"]`) {
		t.Errorf("shown %s", seen.text)
	}
	if views, _ := recorded[domain.AuditViewed](field); len(views) != 2 || views[1].What != "GET /audit/events?type=user.registered" {
		t.Errorf("the looks were recorded as %+v", views)
	}
	since := url.QueryEscape(before.Format(time.RFC3339Nano))
	filtered(t, field, udo, alice, id, since, all)
	newest := linesOf(t, field.call("GET", "/audit/events?order=desc&before=4&limit=2", udo, ""))
	if len(newest) != 2 || newest[0]["seq"] != 3.0 || newest[1]["seq"] != 2.0 {
		t.Errorf("backward: %v", newest)
	}
	one := field.call("GET", "/audit/events/1", udo, "")
	one.want(t, 200, "")
	if event, _ := one.body["event"].(map[string]any); event["seq"] != 1.0 || len(one.body["sha256"].(string)) != 64 {
		t.Errorf("one event: %s", one.text)
	}
	field.call("GET", "/audit/events/1000000", udo, "").want(t, 404, "not-found")
	told := linesOf(t, field.call("GET", "/audit/verify?progress=true", udo, ""))
	if far, found := told[0], told[len(told)-1]; far["of"] == nil || found["ok"] != true {
		t.Errorf("verified: %v", told)
	}
	if got := linesOf(t, field.call("GET", "/audit/streams/request-"+last, udo, "")); len(got) != 1 || got[0]["ver"] != 1.0 || got[0]["origin"] != "field" {
		t.Errorf("the stream is %v", got)
	}
	field.exported(udo)
	file := field.call("GET", "/audit/requests/"+id+"/evidence", udo, "")
	file.want(t, 200, "")
	if shown, err := evidence.Check([]byte(file.text), field.bridge.Card().Trust()); err != nil || len(shown.Events) != 1 || shown.Events[0].Type != "request.submitted" {
		t.Errorf("evidence of %+v, %v", shown.Events, err)
	}
	backward(t, field, udo, id)
	field.call("GET", "/audit/requests/"+someID+"/evidence", udo, "").want(t, 404, "not-found")
	oddly(t, field, udo)
	field.call("GET", "/audit/events", alice, "").want(t, 403, "role-not-allowed")
	if head := field.call("HEAD", "/audit/events", udo, ""); head.StatusCode != 200 || head.text != "" {
		t.Errorf("HEAD: %d %.100s", head.StatusCode, head.text)
	}
}

// filtered reads of all events those that each filter leaves: alice asked twice,
// once since a time.
func filtered(t *testing.T, field *site, udo, alice, id, since string, all []map[string]any) {
	t.Helper()
	me := domain.UserStream(field.call("GET", "/auth/me", alice, "").body["id"].(string))
	for query, want := range map[string]int{
		"type=request.submitted":                                                   2,
		"type=request.submitted&limit=1":                                           1,
		"type=request.submitted&from=" + since:                                     1,
		"type=request.submitted&to=" + since:                                       1,
		"type=request.submitted&actor=" + me:                                       2,
		"stream=request-" + id:                                                     1,
		"origin=field&type=request.submitted":                                      2,
		"origin=core&type=request.submitted":                                       0,
		"after=1000000":                                                            0,
		"corr=" + all[len(all)-1]["corr"].(string) + "":                            len(withCorr(all, all[len(all)-1]["corr"])),
		"type=request.submitted&from=2001-01-01T00:00:00Z&to=2001-01-02T00:00:00Z": 0,
	} {
		if got := linesOf(t, field.call("GET", "/audit/events?"+query, udo, "")); len(got) != want {
			t.Errorf("%s: %d events, want %d", query, len(got), want)
		}
	}
}

// oddly asks for what cannot be, or is not there.
func oddly(t *testing.T, field *site, udo string) {
	t.Helper()
	for _, wrong := range []string{"type=x", "after=-1", "limit=x", "from=yesterday", "to=1", "seq=1", "order=up", "before=x", "type=request.submitted&type=request.submitted"} {
		field.call("GET", "/audit/events?"+wrong, udo, "").want(t, 400, "invalid-query")
	}
	field.call("GET", "/audit/streams/request-"+someID, udo, "").want(t, 404, "not-found")
	for _, odd := range []string{"%00", "%ff", "request-%00"} {
		field.call("GET", "/audit/streams/"+odd, udo, "").want(t, 404, "not-found")
		field.call("GET", "/audit/state/"+odd, udo, "").want(t, 404, "not-found")
	}
}

// backward reads a stream of several events from its end, and page by page.
func backward(t *testing.T, s *site, token, request string) {
	t.Helper()
	for range 2 {
		if _, err := s.store.Append(t.Context(), eventstore.Append{Actor: "site:field", Writes: []eventstore.Write{{Stream: "request-" + request,
			Expected: eventstore.Any, Facts: []domain.Fact{domain.RequestCancelled{}}}}}); err != nil {
			t.Fatal(err)
		}
	}
	versions := func(query string) (got string, seqs []string) {
		for _, e := range linesOf(t, s.call("GET", "/audit/streams/request-"+request+query, token, "")) {
			got, seqs = got+fmt.Sprint(e["ver"]), append(seqs, fmt.Sprint(e["seq"]))
		}
		return got, seqs
	}
	_, seqs := versions("")
	for query, want := range map[string]string{"": "123", "?order=asc": "123", "?order=desc": "321", "?order=desc&limit=2": "32", "?limit=1": "1",
		"?order=desc&before=" + seqs[1]: "1", "?after=" + seqs[0]: "23", "?after=" + seqs[2]: "", "?before=" + seqs[0]: ""} {
		if got, _ := versions(query); got != want {
			t.Errorf("the stream with %s: versions %s, want %s", query, got, want)
		}
	}
	if got := linesOf(t, s.call("GET", "/audit/events?order=desc&limit=2&before="+seqs[1], token, "")); len(got) != 2 || got[0]["seq"].(float64) <= got[1]["seq"].(float64) {
		t.Errorf("the log from its end: %v", got)
	}
	s.call("GET", "/audit/streams/request-"+request+"?order=newest", token, "").want(t, 400, "invalid-query")
	s.call("GET", "/audit/streams/request-"+someID+"?order=desc&after=1", token, "").want(t, 404, "not-found")
}

// exported takes ranges of the log away and reads them as an auditor would.
func (s *site) exported(token string) {
	t := s.t
	head, err := s.store.Head(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for query, want := range map[string]int64{"": head.Pos, "?from=2&to=2": 1} {
		got := s.call("GET", "/audit/export"+query, token, "")
		got.want(t, 200, "")
		path := filepath.Join(t.TempDir(), "export")
		if err := os.WriteFile(path, []byte(got.text), 0o600); err != nil {
			t.Fatal(err)
		}
		r, err := bridge.Verify(t.Context(), path, bridge.VerifyConfig{Sender: s.bridge.Card(), Schemas: s.config.Bridge.Schemas})
		if err != nil || r.Content != "ok" || r.Events < want || r.Kind != bundle.Audit || !strings.HasPrefix(got.Header.Get("Content-Disposition"), "attachment; filename=audit_field_") {
			t.Errorf("%s: %+v, %v, %v", query, r, err, got.Header)
		}
	}
	if views, _ := recorded[domain.AuditViewed](s); views[len(views)-1].What[:17] != "GET /audit/export" {
		t.Errorf("the looks were recorded as %+v", views)
	}
	for _, wrong := range []string{"from=0", "to=x", "from=3&to=2", "to=100000", "after=1", "from=1&from=2"} {
		s.call("GET", "/audit/export?"+wrong, token, "").want(t, 400, "invalid-query")
	}
}

func TestTheStateOfThePast(t *testing.T) {
	t.Parallel()
	core := newCore(t)
	core.addUser("udo", "wide", domain.RoleAuditor)
	root, udo := core.token("root"), core.token("udo")
	bob, err := core.config.Reader.UserByName(t.Context(), "bob")
	if err != nil {
		t.Fatal(err)
	}
	before, then := core.seq(), time.Now().UTC()
	core.call("PATCH", "/users/"+bob.ID, root, `{"full_name":"Robert","active":false}`).want(t, 200, "")
	path := "/audit/state/user-" + bob.ID
	for query, active := range map[string]bool{
		"": false, "?position=" + strconv.FormatInt(before, 10): true, "?at=" + url.QueryEscape(then.Format(time.RFC3339Nano)): true,
	} {
		got := core.call("GET", path+query, udo, "")
		got.want(t, 200, "")
		state, _ := got.body["state"].(map[string]any)
		if state["username"] != "bob" || state["active"] != active || (state["full_name"] == "Robert") == active || strings.Contains(got.text, "argon2") {
			t.Errorf("%s: %s", query, got.text)
		}
	}
	if views, _ := recorded[domain.AuditViewed](core); len(views) != 3 {
		t.Errorf("the looks were recorded as %+v", views)
	}
	verified := core.call("GET", "/audit/verify", udo, "")
	if verified.want(t, 200, ""); verified.body["ok"] != true || verified.body["logs"].([]any)[0].(map[string]any)["through"] != float64(core.seq()) {
		t.Errorf("verified: %s", verified.text)
	}
	for query, want := range map[string]int{"?position=1": 404, "?position=0": 400, "?at=x": 400, "?position=1&at=2026-01-31T12:00:00Z": 400, "?at=2001-01-01T00:00:00Z": 404, "?as-of=1": 400} {
		if got := core.call("GET", path+query, udo, ""); got.StatusCode != want {
			t.Errorf("%s: %d %s", query, got.StatusCode, got.text)
		}
	}
}

func withCorr(all []map[string]any, corr any) (some []map[string]any) {
	for _, e := range all {
		if e["corr"] == corr {
			some = append(some, e)
		}
	}
	return some
}

// TestTheLogOfAnOlderProgramAndOfANewer: what was written in an older version
// is shown as it was and folds as of today; what a newer program wrote is shown,
// and what it means is not guessed.
func TestTheLogOfAnOlderProgramAndOfANewer(t *testing.T) {
	t.Parallel()
	core := newCore(t)
	core.addUser("udo", "wide", domain.RoleAuditor)
	root, udo := core.token("root"), core.token("udo")
	bob, err := core.config.Reader.UserByName(t.Context(), "bob")
	if err != nil {
		t.Fatal(err)
	}
	core.store.WriteAs(map[string]int{"user.access_granted": 1})
	core.call("PUT", "/users/"+bob.ID+"/access/hidden", root, `{"max_results":7}`).want(t, 200, "")
	granted := linesOf(t, core.call("GET", "/audit/events?type=user.access_granted", udo, ""))
	if data, _ := granted[0]["data"].(map[string]any); len(granted) != 1 || granted[0]["schema"] != 1.0 || len(data) != 2 {
		t.Errorf("shown %v", granted)
	}
	if got := core.call("GET", "/audit/state/user-"+bob.ID, udo, ""); got.StatusCode != 200 || !strings.Contains(got.text, `"access":{"hidden":{"max_results":7}}`) {
		t.Errorf("it amounts to %s", got.text)
	}

	e := domain.Event{Pos: 1, ID: someID, Stream: domain.RequestStream(someID), Ver: 1, Type: "request.submitted", Schema: 99, At: time.Now(), Data: []byte(`{}`)}
	line := fmt.Appendf(nil, `{"pos":1,"id":%q,"stream":%q,"ver":1,"type":"request.submitted","schema":99,"at":"2026-01-31T12:00:00.000000Z","actor":"","corr":"","cause":"","data":{}}`, e.ID, e.Stream)
	if err := core.store.Mirror(t.Context(), eventstore.Mirrored{Origin: "field", Events: []domain.Event{e}, Facts: []domain.Fact{nil}, Lines: [][]byte{line}}); err != nil {
		t.Fatal(err)
	}
	got := core.call("GET", "/audit/state/"+e.Stream, udo, "")
	if got.want(t, 503, "upgrade-needed"); got.Header.Get("Retry-After") != "60" || !strings.Contains(got.text, "upgrade this site first") {
		t.Errorf("got %s", got.text)
	}
	if shown := linesOf(t, core.call("GET", "/audit/streams/"+e.Stream, udo, "")); len(shown) != 1 || shown[0]["schema"] != 99.0 {
		t.Errorf("shown %v", shown)
	}
}
