package api_test

import (
	"bytes"
	"encoding/json"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"sallyport/bridge"
	"sallyport/domain"
)

// linked returns two sites with one user of each role, whose first bundle has
// been carried to field by hand: nobody could log in there before.
func linked(t *testing.T) (core, field *site) {
	t.Helper()
	core, field = newCore(t), newSite(t, "field", domain.RequestSite)
	for name, role := range map[string]domain.UserRole{"olga": domain.RoleOperator, "anna": domain.RoleAnalyst, "udo": domain.RoleAuditor} {
		core.addUser(name, "wide", role)
	}
	for _, s := range [][2]*site{{core, field}, {field, core}} {
		if err := s[0].bridge.AddLink(t.Context(), s[1].bridge.Card(), "cli:test"); err != nil {
			t.Fatal(err)
		}
	}
	written, err := core.bridge.Export(t.Context(), "field", "cli:test")
	if err != nil || len(written) != 1 {
		t.Fatalf("the first export: %+v, %v", written, err)
	}
	if _, err := field.bridge.ImportFiles(t.Context(), filepath.Join(core.dir, "outbox"), []string{written[0].File}); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(filepath.Join(core.dir, "outbox", written[0].File)); err != nil {
		t.Fatal(err)
	}
	return core, field
}

// put uploads a file.
func (s *site) put(token, file string, data []byte) reply {
	s.t.Helper()
	r := httptest.NewRequestWithContext(s.t.Context(), "PUT", "/admin/inbox/"+file, bytes.NewReader(data))
	r.Header.Set("Authorization", "Bearer "+token)
	return s.do(r)
}

// items reads the elements of a list, or of what is answered like one.
func items[T any](t testing.TB, r reply) []T {
	t.Helper()
	r.want(t, 200, "")
	var list struct {
		Items []T `json:"items"`
	}
	if err := json.Unmarshal([]byte(r.text), &list); err != nil {
		t.Fatalf("%v in %s", err, r.text)
	}
	return list.Items
}

// export has a site write what is due, over HTTP.
func (s *site) export(token string) []bridge.Exported {
	s.t.Helper()
	return items[bridge.Exported](s.t, s.call("POST", "/admin/bundles/export", token, `{}`))
}

// outcomes has a site take in its inbox, over HTTP, and returns the states.
func (s *site) outcomes(token string) (states []string) {
	s.t.Helper()
	for _, o := range items[bridge.Outcome](s.t, s.call("POST", "/admin/bundles/import", token, "")) {
		states = append(states, o.State)
	}
	return states
}

func (s *site) onDisk(path string) []byte {
	s.t.Helper()
	data, err := os.ReadFile(filepath.Join(s.dir, path))
	if err != nil {
		s.t.Fatal(err)
	}
	return data
}

// actors lists who answers for the events of a type.
func (s *site) actors(eventType string) (all []string) {
	s.t.Helper()
	rows, err := s.db.Pool.Query(s.t.Context(), `SELECT actor FROM events WHERE type = $1 ORDER BY seq`, eventType)
	if err != nil {
		s.t.Fatal(err)
	}
	defer rows.Close()
	for rows.Next() {
		var a string
		if err := rows.Scan(&a); err != nil {
			s.t.Fatal(err)
		}
		all = append(all, a)
	}
	return all
}

func (s *site) user(token string) string {
	s.t.Helper()
	return "user-" + s.call("GET", "/auth/me", token, "").body["id"].(string)
}

const someID = "01a20351-498a-7e70-a315-478c02f0c07c"

// Operators and administrators carry, on both sites; nobody else does.
func TestWhoMayCarry(t *testing.T) {
	t.Parallel()
	core, field := linked(t)
	for _, s := range []*site{core, field} {
		tokens := map[string]string{"": ""}
		for _, name := range []string{"alice", "anna", "udo", "olga", "root"} {
			tokens[name] = s.token(name)
		}
		for _, e := range []struct {
			method, path, body string
			status             int // for those who may
		}{
			{"GET", "/admin/links", "", 200},
			{"POST", "/admin/links/nobody/stop", `{"reason":"a test"}`, 404},
			{"POST", "/admin/links/nobody/resume", `{"reason":"a test"}`, 404},
			{"GET", "/admin/bundles", "", 200},
			{"POST", "/admin/bundles/export", `{"peer":"nobody"}`, 404},
			{"POST", "/admin/bundles/import", "", 200},
			{"GET", "/admin/bundles/" + strings.Repeat("0", 64) + "/file", "", 404},
			{"PUT", "/admin/inbox/hello.txt", "", 422},
			{"GET", "/admin/quarantine", "", 200},
			{"GET", "/admin/quarantine/" + someID, "", 404},
			{"POST", "/admin/quarantine/" + someID + "/release", `{"reason":"a test"}`, 404},
			{"POST", "/admin/quarantine/" + someID + "/reject", `{"reason":"a test"}`, 404},
		} {
			for name, token := range tokens {
				status, code := e.status, map[int]string{404: "not-found", 422: "invalid-filename"}[e.status]
				switch name {
				case "":
					status, code = 401, "login-required"
				case "alice", "anna", "udo":
					status, code = 403, "role-not-allowed"
				}
				t.Run(s.store.Site()+" "+e.method+" "+e.path+" "+name, func(t *testing.T) {
					s.call(e.method, e.path, token, e.body).want(t, status, code)
				})
			}
		}
	}
}

// What one site writes reaches the other over HTTP alone, byte for byte, and
// the acknowledgement comes back the same way.
func TestCarriedOverHTTP(t *testing.T) {
	t.Parallel()
	core, field := linked(t)
	here, there, alice := field.token("olga"), core.token("olga"), field.token("alice")
	submitted := field.call("POST", "/requests", alice, `{"type":"airport","params":{"iata":"AMS"}}`)
	submitted.want(t, 202, "")

	exported := field.call("POST", "/admin/bundles/export", here, `{"peer":"core"}`)
	written := items[bridge.Exported](t, exported)
	if len(written) != 1 || written[0].Events == 0 || exported.Header.Get("X-Log-Position") == "" {
		t.Fatalf("exported %s", exported.text)
	}
	if actors := field.actors("bundle.exported"); !slices.Equal(actors, []string{field.user(here)}) {
		t.Errorf("bundle.exported by %q", actors)
	}
	links := items[bridge.Status](t, field.call("GET", "/admin/links", here, ""))
	if len(links) != 1 || links[0].Peer != "core" || len(links[0].Carry) != 1 || links[0].Carry[0].File != written[0].File {
		t.Errorf("links %+v", links)
	}

	byID := field.call("GET", "/admin/bundles/"+written[0].ID+"/file", here, "")
	byName := field.call("GET", "/admin/bundles/"+links[0].Carry[0].File+"/file", here, "")
	disk := string(field.onDisk("outbox/" + written[0].File))
	if byID.StatusCode != 200 || byID.text != disk || byName.text != disk {
		t.Fatalf("downloaded %d bytes (%d), by name %d, on disk %d", len(byID.text), byID.StatusCode, len(byName.text), len(disk))
	}
	for name, want := range map[string]string{"Content-Type": "application/octet-stream", "Cache-Control": "no-store", "Accept-Ranges": "bytes",
		"Content-Disposition": "attachment; filename=" + written[0].File} {
		if got := byID.Header.Get(name); got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}

	up := core.put(there, written[0].File, []byte(byID.text))
	up.want(t, 201, "")
	if up.body["already"] != false || up.body["bytes"] != float64(len(disk)) {
		t.Errorf("uploaded %s", up.text)
	}
	core.put(there, written[0].File, []byte(byID.text)).want(t, 200, "")
	if states := core.outcomes(there); !slices.Equal(states, []string{bridge.Applied}) {
		t.Fatalf("imported %q", states)
	}
	archived := items[bridge.Listed](t, core.call("GET", "/admin/bundles?direction=in&state=archived&peer=field", there, ""))
	if len(archived) != 1 || archived[0].ID != written[0].ID {
		t.Fatalf("archived %+v", archived)
	}
	if again := core.call("GET", "/admin/bundles/"+archived[0].ID+"/file", there, ""); again.text != disk {
		t.Errorf("from the archive: %d %d bytes", again.StatusCode, len(again.text))
	}

	for _, e := range core.export(there) {
		field.put(here, e.File, []byte(core.call("GET", "/admin/bundles/"+e.ID+"/file", there, "").text)).want(t, 201, "")
	}
	field.outcomes(here)
	if l := items[bridge.Status](t, field.call("GET", "/admin/links", here, ""))[0]; l.AckedSeq != written[0].Seq || l.LastContact == nil {
		t.Errorf("not acknowledged: %+v", l)
	}
}

// A beacon is in no list of bundles: it goes by its id and by its name.
func TestBeaconsAreDownloadedToo(t *testing.T) {
	t.Parallel()
	core, _ := linked(t)
	there := core.token("olga")
	out := core.export(there)
	if len(out) != 1 || out[0].Kind != "beacon" {
		t.Fatalf("exported %+v, want a beacon", out)
	}
	disk := string(core.onDisk("outbox/" + out[0].File))
	for _, key := range []string{out[0].ID, out[0].File} {
		if got := core.call("GET", "/admin/bundles/"+key+"/file", there, ""); got.text != disk {
			t.Errorf("%s: %d %s", key, got.StatusCode, got.text)
		}
	}
}

func TestParametersOfTheCrossing(t *testing.T) {
	t.Parallel()
	core, _ := linked(t)
	there := core.token("olga")
	for _, query := range []string{"direction=up", "state=lost", "peer=No%20Such", "limit=0", "cursor=%21", "colour=red", "state=held&state=held",
		"cursor=" + url.QueryEscape("eyJCZWd1biI6IjIwMjYtMDEtMDFUMDA6MDA6MDBaIiwiUGVlciI6Ilx1MDAwMCJ9")} {
		core.call("GET", "/admin/bundles?"+query, there, "").want(t, 400, "invalid-query")
	}
	for _, path := range []string{"/admin/quarantine?all=yes", "/admin/quarantine?peer=A", "/admin/quarantine?cursor=e30x", "/admin/links?peer=field"} {
		core.call("GET", path, there, "").want(t, 400, "invalid-query")
	}
	for _, path := range []string{"/admin/bundles/import?x=1", "/admin/bundles/export?x=1", "/admin/links/field/stop?x=1"} {
		core.call("POST", path, there, "").want(t, 400, "invalid-query")
	}
	core.call("POST", "/admin/bundles/export", there, `{"to":"field"}`).want(t, 422, "invalid-body")
	core.call("GET", "/admin/bundles/"+strings.Repeat("0", 64)+"/file?x=1", there, "").want(t, 400, "invalid-query")
}

// A list in pages is the list.
func TestPagesOfBundles(t *testing.T) {
	t.Parallel()
	_, field := linked(t)
	here, alice := field.token("olga"), field.token("alice")
	for range 3 {
		field.call("POST", "/requests", alice, `{"type":"airport","params":{"iata":"AMS"}}`).want(t, 202, "")
		field.export(here)
	}
	whole := items[bridge.Listed](t, field.call("GET", "/admin/bundles", here, ""))
	var paged []bridge.Listed
	path := "/admin/bundles?limit=1"
	for path != "" && len(paged) <= len(whole) {
		page := field.call("GET", path, here, "")
		paged = append(paged, items[bridge.Listed](t, page)...)
		cursor, _ := page.body["next_cursor"].(string)
		path = ""
		if cursor != "" {
			path = "/admin/bundles?limit=1&cursor=" + cursor
		}
		if strings.Contains(page.Header.Get("Link"), `rel="next"`) != (cursor != "") {
			t.Errorf("Link %q with the cursor %q", page.Header.Get("Link"), cursor)
		}
	}
	if len(whole) != 4 || !slices.Equal(whole, paged) {
		t.Errorf("whole %+v\npaged %+v", whole, paged)
	}
	if out := items[bridge.Listed](t, field.call("GET", "/admin/bundles?direction=out&state=exported", here, "")); len(out) != 3 {
		t.Errorf("sent %+v", out)
	}
	if none := field.call("GET", "/admin/bundles?state=held", here, ""); !strings.Contains(none.text, `"items":[]`) {
		t.Errorf("held %s", none.text)
	}
}

// A stopped link says why, and goes on when people say so.
func TestStopAndResume(t *testing.T) {
	t.Parallel()
	core, _ := linked(t)
	there := core.token("olga")
	for _, reason := range []string{"", "two\nlines", strings.Repeat("x", 1001)} {
		body, err := json.Marshal(map[string]string{"reason": reason})
		if err != nil {
			t.Fatal(err)
		}
		got := core.call("POST", "/admin/links/field/stop", there, string(body))
		got.want(t, 422, "invalid-reason")
		if !slices.Equal(got.pointers(), []string{"/reason"}) {
			t.Errorf("pointers %q", got.pointers())
		}
	}
	for _, peer := range []string{"moon", "core", "FIELD", "..", "%00", strings.Repeat("x", 200)} {
		core.call("POST", "/admin/links/"+peer+"/stop", there, `{"reason":"a test"}`).want(t, 404, "not-found")
	}

	stopped := core.call("POST", "/admin/links/field/stop", there, `{"reason":"the courier is ill"}`)
	stopped.want(t, 200, "")
	if stopped.body["stopped"] != "the courier is ill" || stopped.Header.Get("X-Log-Position") == "" {
		t.Errorf("stopped %v %s", stopped.Header, stopped.text)
	}
	refused := core.call("POST", "/admin/bundles/export", there, `{"peer":"field"}`)
	refused.want(t, 409, "link-stopped")
	if !strings.Contains(refused.body["detail"].(string), "the courier is ill") {
		t.Errorf("refused with %s", refused.text)
	}
	all := core.call("POST", "/admin/bundles/export", there, "")
	all.want(t, 200, "")
	if !strings.Contains(all.text, `"stopped":[{"peer":"field","reason":"the courier is ill"}]`) {
		t.Errorf("exported to all %s", all.text)
	}

	resumed := core.call("POST", "/admin/links/field/resume", there, `{"reason":"another one goes"}`)
	resumed.want(t, 200, "")
	if resumed.body["stopped"] != nil {
		t.Errorf("resumed %s", resumed.text)
	}
	core.call("POST", "/admin/bundles/export", there, `{"peer":"field"}`).want(t, 200, "")
	olga := []string{core.user(there)}
	if by := [][]string{core.actors("site.link_stopped"), core.actors("site.link_resumed")}; !slices.Equal(by[0], olga) || !slices.Equal(by[1], olga) {
		t.Errorf("stopped and resumed by %q, want %q", by, olga)
	}
}
