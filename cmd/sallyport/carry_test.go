package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"sallyport/bridge"
	"sallyport/bridge/bundle"
	"sallyport/internal/pgdev/pgtest"
)

// crossing is a running dev mode in which nobody carries but the test.
type crossing struct {
	dev          *devProcess
	field, core  site
	wide, narrow caller // logged in on field
	asked        string // the id of the request that crosses
	plain, aged  []string
}

// site is one end: its API as nobody, its configuration and its folder.
type site struct {
	caller
	config, dir, postgres string
}

func (s site) card() string { return filepath.Join(s.dir, "site-card.json") }

// TestManualCarry drives the program from outside, as the people of both
// networks would. The steps build on one another.
func TestManualCarry(t *testing.T) {
	t.Parallel()
	data := pgtest.Folder(t)
	c := &crossing{dev: startDev(t, data, "--carry", "manual", "--request-port", "0", "--response-port", "0")}
	for name, s := range map[string]*site{"field": &c.field, "core": &c.core} {
		ready := c.dev.Sites[name]
		*s = site{caller{url: ready.URL}, ready.Config, filepath.Dir(ready.Config), ready.Postgres}
	}
	for _, step := range []struct {
		name string
		run  func(*testing.T)
	}{
		{"ready line", func(t *testing.T) { c.readyLine(t, data) }},
		{"nobody can log in on field", c.nobodyYet},
		{"users cross", c.usersCross},
		{"rights cross", c.rightsCross},
		{"bad input", c.badInput},
		{"ask", c.ask},
		{"damaged copy", c.damagedCopy},
		{"strangers' files", c.strangers},
		{"decisions", c.decisions},
		{"answer", c.answer},
		{"duplicate", c.duplicate},
		{"plain bundles", c.plainBundles},
		{"encrypted bundles", c.encryptedBundles},
		{"flipped bits", c.flippedBits},
		{"commands", c.commands},
		{"definitions", c.definitions},
		{"master data", c.masterData},
		{"media", c.media},
		{"rotation", c.rotation},
		{"secrets", c.secrets},
	} {
		if !t.Run(step.name, step.run) {
			t.Fatalf("the steps after %q need it; dev said:\n%s", step.name, c.dev.stderr)
		}
	}
	c.dev.finish(t)
	for _, s := range []site{c.field, c.core} {
		if pids, err := filepath.Glob(filepath.Join(s.dir, "postgres", "*", "postmaster.pid")); err != nil || len(pids) > 0 {
			t.Errorf("a server was left behind: %v %v", pids, err)
		}
	}
}

func (c *crossing) readyLine(t *testing.T, data string) {
	if !c.dev.Ready || len(c.dev.Sites) != 2 {
		t.Fatalf("ready line: %s", c.dev.line)
	}
	for name, s := range c.dev.Sites {
		if s.Config != filepath.Join(data, name, "sallyport.yaml") || !strings.HasPrefix(s.URL, "http://127.0.0.1:") {
			t.Errorf("%s: %+v", name, s)
		}
		for _, dir := range []string{"outbox", "inbox", "staging", "archive", "quarantine", "receipts"} {
			if info, err := os.Stat(filepath.Join(data, name, dir)); err != nil || !info.IsDir() {
				t.Errorf("%s has no folder %s: %v", name, dir, err)
			}
		}
		conn, err := pgx.Connect(t.Context(), s.Postgres)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		var super string
		err = conn.QueryRow(t.Context(), `SHOW is_superuser`).Scan(&super)
		if err != nil || super != "on" {
			t.Errorf("%s: superuser %q, %v", name, super, err)
		}
		_ = conn.Close(t.Context())
	}
	var roles []string
	for _, a := range c.dev.Accounts {
		if a.Site == "" || a.Username == "" || len(a.Password) < 12 {
			t.Errorf("account %+v", a)
		}
		roles = append(roles, a.Role)
	}
	if want := []string{"admin", "operator", "auditor", "analyst", "user", "user"}; !slices.Equal(roles, want) {
		t.Errorf("roles %v, want %v", roles, want)
	}
}

func (c *crossing) nobodyYet(t *testing.T) {
	wide := c.dev.account(t, "wide")
	r := c.field.login(t, wide)
	r.wantProblem(t, http.StatusServiceUnavailable, "no-users-yet")
	if r.header.Get("Retry-After") == "" {
		t.Error("503 without Retry-After")
	}
	on := c.core.as(t, wide)
	on.get(t, "/auth/me").want(t, http.StatusOK)
	on.submit(t, "airport", `{"iata":"FRA"}`).wantProblem(t, http.StatusMethodNotAllowed, "wrong-site")
}

// carry has one site write what is due, takes its files to the other one and
// returns copies of them, in order.
func (c *crossing) carry(t *testing.T, from, to site) []string {
	t.Helper()
	copies := c.export(t, from)
	for _, f := range copies {
		name := filepath.Base(f)
		if err := os.Rename(filepath.Join(from.dir, "outbox", name), filepath.Join(to.dir, "inbox", name)); err != nil {
			t.Fatal(err)
		}
	}
	return copies
}

// export returns copies of all that lies in the outbox then, and remembers them.
func (c *crossing) export(t *testing.T, from site) []string {
	t.Helper()
	must[[]bridge.Exported](t, "-C", from.config, "bundle", "export")
	outbox, err := filepath.Glob(filepath.Join(from.dir, "outbox", "sp1_*.jsonl.zst*"))
	if err != nil {
		t.Fatal(err)
	}
	dir, copies := t.TempDir(), []string(nil)
	for _, f := range outbox {
		if _, err := bundle.ParseName(filepath.Base(f)); err != nil {
			continue // a label
		}
		copies = append(copies, writeFile(t, dir, filepath.Base(f), readFile(t, f)))
	}
	return copies
}

// keep puts files where they outlive the step that made them.
func keep(t *testing.T, dir string, files []string) []string {
	t.Helper()
	var kept []string
	for _, f := range files {
		kept = append(kept, writeFile(t, dir, filepath.Base(f), readFile(t, f)))
	}
	return kept
}

func readFile(t *testing.T, path string) []byte {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func writeFile(t *testing.T, dir, name string, data []byte) string {
	t.Helper()
	path := filepath.Join(dir, name)
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func (c *crossing) keptIn() string { return filepath.Join(filepath.Dir(c.field.dir), "kept") }

func (c *crossing) usersCross(t *testing.T) {
	if err := os.MkdirAll(c.keptIn(), 0o700); err != nil {
		t.Fatal(err)
	}
	c.plain = append(c.plain, keep(t, c.keptIn(), c.carry(t, c.field, c.core))...)
	c.aged = append(c.aged, keep(t, c.keptIn(), c.carry(t, c.core, c.field))...)
	wide := c.dev.account(t, "wide")
	eventually(t, "the users' arrival on field", func() bool {
		return c.field.login(t, wide).status != http.StatusServiceUnavailable
	})
	c.wide, c.narrow = c.field.as(t, wide), c.field.as(t, c.dev.account(t, "narrow"))
	if me := c.wide.get(t, "/auth/me"); me.text(t, "username") != "wide" {
		t.Errorf("/auth/me: %s", me.body)
	}
	wrong := wide
	wrong.Password += "x"
	c.field.login(t, wrong).wantProblem(t, http.StatusUnauthorized, "invalid-credentials")
	c.core.send(t, http.MethodGet, "/auth/me", "", "Authorization", "Bearer "+c.wide.token).
		wantProblem(t, http.StatusUnauthorized, "invalid-token") // field's token is nothing on core
}

func (c *crossing) rightsCross(t *testing.T) {
	types := func(who caller) (names []string) {
		var list struct {
			Items []struct {
				Name       string `json:"name"`
				Parameters struct {
					Examples []json.RawMessage `json:"examples"`
				} `json:"parameters"`
			} `json:"items"`
		}
		r := who.get(t, "/request-types")
		r.want(t, http.StatusOK)
		if err := json.Unmarshal(r.body, &list); err != nil {
			t.Fatal(err)
		}
		for _, item := range list.Items {
			names = append(names, item.Name)
			if len(item.Parameters.Examples) == 0 {
				t.Errorf("%s has no example", item.Name)
			}
		}
		return names
	}
	if got := types(c.wide); len(got) < 3 {
		t.Errorf("wide may use %v", got)
	}
	if got := types(c.narrow); !slices.Equal(got, []string{"airport"}) {
		t.Errorf("narrow may use %v", got)
	}
	c.narrow.submit(t, "highest-airports", `{"country":"CH","n":1}`).wantProblem(t, http.StatusForbidden, "type-not-allowed")
}

// written counts what the log of field holds of requests and their names.
func (c *crossing) written(t *testing.T) (n int) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), c.field.postgres)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close(t.Context()) }()
	if err := conn.QueryRow(t.Context(), `SELECT count(*) FROM events WHERE stream LIKE 'request%' AND origin = 'field'`).Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

func (c *crossing) badInput(t *testing.T) {
	before := c.written(t)
	for _, bad := range []struct {
		body     string
		status   int
		code     string
		pointers []string
	}{
		{`{"type":"airport","params":{"iata":"FRA"},"colour":1}`, 422, "invalid-body", []string{"/colour"}},
		{`{"type":7,"params":{"iata":"FRA"}}`, 422, "invalid-body", []string{"/type"}},
		{`{"type":"airport","params":{"iata":"FRA"},"priority":"high"}`, 422, "invalid-body", []string{"/priority"}},
		{`[]`, 422, "invalid-body", []string{""}},
		{`{"type":"airport","params":{"iata":"not a code"}}`, 422, "invalid-request", []string{"/params/iata"}},
		{`{"type":"airport","params":{"iata":"FRA","colour":1}}`, 422, "invalid-request", []string{"/params/colour"}},
		{`{"type":"airport","params":{}}`, 422, "invalid-request", []string{"/params/iata"}},
		{`{"type":"airport","params":7}`, 422, "invalid-request", []string{"/params"}},
		{`{"type":"airport","params":{"iata":"FRA"},"priority":99}`, 422, "invalid-request", []string{"/priority"}},
		{`{"type":"no-such-type","params":{}}`, 422, "unknown-type", []string{"/type"}},
		{`{"params":{}}`, 422, "unknown-type", []string{"/type"}},
		{`{"type":"airport",`, 400, "malformed-json", nil},
		{`{"type":"airport","type":"airport"}`, 400, "malformed-json", []string{"/type"}},
		{large(1 << 20), 413, "body-too-large", nil},
	} {
		t.Run(fmt.Sprintf("%.60s", bad.body), func(t *testing.T) {
			c.wide.send(t, http.MethodPost, "/requests", bad.body).wantProblem(t, bad.status, bad.code, bad.pointers...)
		})
	}
	c.wide.send(t, http.MethodPost, "/requests", `{}`, "Content-Type", "text/plain").wantProblem(t, 415, "media-type")
	c.field.submit(t, "airport", `{"iata":"FRA"}`).wantProblem(t, 401, "login-required")
	c.wide.send(t, http.MethodPut, "/requests", `{}`).wantProblem(t, 405, "wrong-method")
	c.wide.get(t, "/requests/nothing").wantProblem(t, 404, "not-found")
	c.wide.get(t, "/nowhere").wantProblem(t, 404, "no-such-path")
	if after := c.written(t); after != before {
		t.Errorf("bad input wrote %d events", after-before)
	}
}

func (c *crossing) ask(t *testing.T) {
	before := c.written(t)
	r := c.wide.submit(t, "airport", `{"iata":"FRA"}`)
	r.want(t, http.StatusAccepted)
	c.asked = r.text(t, "id")
	if r.header.Get("Location") != "/requests/"+c.asked || r.header.Get("X-Log-Position") == "" || r.text(t, "status") != "pending" {
		t.Errorf("the answer to a request: %v %s", r.header, r.body)
	}
	if n := c.written(t) - before; n != 1 {
		t.Errorf("a request wrote %d events", n)
	}
	waiting := c.wide.get(t, "/requests/"+c.asked+"/response")
	waiting.want(t, http.StatusAccepted)
	if waiting.header.Get("Retry-After") == "" || waiting.text(t, "request_id") != c.asked {
		t.Errorf("a response under way: %v %s", waiting.header, waiting.body)
	}
	c.narrow.get(t, "/requests/"+c.asked).wantProblem(t, http.StatusNotFound, "not-found")
	c.narrow.get(t, "/requests/"+c.asked+"/response").wantProblem(t, http.StatusNotFound, "not-found")
	named := `{"type":"airport","params":{"iata":"ZZZ"},"name":"once"}`
	c.wide.send(t, http.MethodPost, "/requests", named).want(t, http.StatusAccepted)
	c.wide.send(t, http.MethodPost, "/requests", named).wantProblem(t, http.StatusConflict, "name-taken")
}

func (c *crossing) answer(t *testing.T) {
	carried := c.carry(t, c.field, c.core)
	c.plain = append(c.plain, keep(t, c.keptIn(), carried)...)
	eventually(t, "the export's mark on the request", func() bool {
		return c.wide.get(t, "/requests/"+c.asked).text(t, "status") != "pending"
	})
	var answered reply
	eventually(t, "the answer", func() bool {
		c.aged = append(c.aged, keep(t, c.keptIn(), c.carry(t, c.core, c.field))...)
		answered = c.wide.get(t, "/requests/"+c.asked+"/response")
		return answered.status != http.StatusAccepted
	})
	answered.want(t, http.StatusOK)
	if answered.text(t, "status") != "answered" || !strings.Contains(string(answered.body), "Frankfurt") || answered.field(t, "error") != nil {
		t.Errorf("the answer: %s", answered.body)
	}
	c.wide.get(t, "/requests/"+c.asked).want(t, http.StatusOK)
	again := c.wide.get(t, "/requests/"+c.asked+"/response")
	tag := again.header.Get("ETag")
	if again.header.Get("X-Cache") != "hit" || tag == "" || string(again.body) != string(answered.body) || tag != answered.header.Get("ETag") {
		t.Errorf("asked again: %v %s", again.header, again.body)
	}
	same := c.wide.get(t, "/requests/"+c.asked+"/response", "If-None-Match", tag)
	if same.want(t, http.StatusNotModified); len(same.body) > 0 {
		t.Errorf("304 with %s", same.body)
	}
	c.narrow.get(t, "/requests/"+c.asked+"/response", "If-None-Match", tag).wantProblem(t, http.StatusNotFound, "not-found")
}
