package api_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"sallyport/api"
	"sallyport/bridge"
	"sallyport/bridge/bundle"
)

// aBundle returns a bundle of core for field, as its outbox has it.
func aBundle(t *testing.T, core *site) (name string, data []byte) {
	t.Helper()
	core.addUser(fmt.Sprintf("newcomer%d", core.seq()), "wide", "user")
	for _, e := range core.export(core.token("olga")) {
		if e.Kind == bundle.Data {
			return e.File, core.onDisk("outbox/" + e.File)
		}
	}
	t.Fatal("core made no bundle")
	return "", nil
}

func (s *site) inbox() (names []string) {
	s.t.Helper()
	entries, err := os.ReadDir(filepath.Join(s.dir, "inbox"))
	if err != nil {
		s.t.Fatal(err)
	}
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}

func TestUploads(t *testing.T) {
	t.Parallel()
	core, field := linked(t)
	here := field.token("olga")
	name, good := aBundle(t, core)
	damaged := slices.Clone(good)
	damaged[len(damaged)-9] ^= 4
	long := "sp1_core-field_" + strings.Repeat("0", 5000) + ".jsonl.zst"
	for _, c := range []struct {
		what, file string
		data       []byte
		status     int
		code       string
	}{
		{"nothing", name, nil, 422, "empty-file"},
		{"not a bundle's name", "holiday.jpg", good, 422, "invalid-filename"},
		{"a label", name + ".label.txt", good, 422, "invalid-filename"},
		{"a hidden name", ".upload-1", good, 422, "invalid-filename"},
		{"upper case", strings.ToUpper(name), good, 422, "invalid-filename"},
		{"a very long name", long, good, 422, "invalid-filename"},
		{"NUL in the name", name + "%00", good, 422, "invalid-filename"},
		{"a line feed after the name", name + "%0A", good, 422, "invalid-filename"},
		{"a path in the name", "..%2F" + name, good, 404, "no-such-path"},
		{"a path up", "../" + name, good, 404, "no-such-path"},
		{"the folder itself", "", good, 404, "no-such-path"},
		{"two dots", "..", good, 422, "invalid-filename"},
		{"a backslash", "..%5C" + name, good, 422, "invalid-filename"},
		{"an absolute path", "%2Fetc%2F" + name, good, 404, "no-such-path"},
		{"escaped twice", "..%252F" + name, good, 422, "invalid-filename"},
		{"with a query", name + "?replace=1", good, 400, "invalid-query"},
		{"damaged", name, damaged, 201, ""},
		{"the true one while the damaged one lies there", name, good, 409, "name-taken"},
		{"the damaged one again", name, damaged, 200, ""},
	} {
		t.Run(c.what, func(t *testing.T) { field.put(here, c.file, c.data).want(t, c.status, c.code) })
	}
	if got := field.inbox(); !slices.Equal(got, []string{name}) {
		t.Errorf("in the inbox: %q", got)
	}
	if states := field.outcomes(here); !slices.Equal(states, []string{bridge.Quarantined}) {
		t.Errorf("the damaged one: %q", states)
	}
	field.put(here, name, good).want(t, 201, "")
	if states := field.outcomes(here); !slices.Equal(states, []string{bridge.Applied}) {
		t.Errorf("the good one: %q", states)
	}
	field.put(here, name, good).want(t, 201, "")
	if states := field.outcomes(here); !slices.Equal(states, []string{bridge.Duplicate}) {
		t.Errorf("the good one again: %q", states)
	}
}

// A file is taken as it is, whole or not at all.
func TestUploadsInParts(t *testing.T) {
	t.Parallel()
	core, field := linked(t)
	here := field.token("olga")
	name, good := aBundle(t, core)
	for header, value := range map[string]string{"Content-Encoding": "gzip", "Content-Range": "bytes 0-9/100"} {
		r := httptest.NewRequestWithContext(t.Context(), "PUT", "/admin/inbox/"+name, bytes.NewReader(good))
		r.Header.Set("Authorization", "Bearer "+here)
		r.Header.Set(header, value)
		field.do(r).want(t, 415, "media-type")
	}
	server := field.serve(t, nil)
	conn, err := new(net.Dialer).DialContext(t.Context(), "tcp", server)
	if err != nil {
		t.Fatal(err)
	}
	head := "PUT /admin/inbox/" + name + " HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer " + here + "\r\nContent-Length: 1000000\r\n\r\n"
	if _, err := conn.Write(append([]byte(head), good...)); err != nil {
		t.Fatal(err)
	}
	if err := conn.(*net.TCPConn).CloseWrite(); err != nil {
		t.Fatal(err)
	}
	answer, err := io.ReadAll(conn)
	if err != nil || !bytes.Contains(answer, []byte("incomplete-body")) {
		t.Errorf("a body cut off: %v %s", err, answer)
	}
	_ = conn.Close()
	if got := field.inbox(); len(got) > 0 {
		t.Errorf("in the inbox: %q", got)
	}
}

// serve runs the site's API on a port, as the program does.
func (s *site) serve(t *testing.T, change func(*http.Server)) (address string) {
	t.Helper()
	server := api.Server(s.handler, slog.New(slog.DiscardHandler))
	if change != nil {
		change(server)
	}
	listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- server.Serve(listener) }()
	t.Cleanup(func() {
		_ = server.Close()
		<-done
	})
	return listener.Addr().String()
}

func TestFilesThatAreTooLarge(t *testing.T) {
	t.Parallel()
	const limit = 64 << 10
	var dir string
	field := newSite(t, "field", "request", func(c *api.Config) {
		dir = t.TempDir()
		c.Bridge = newBridge(t, c.Log, c.Pool, dir, bundle.Limits{File: limit})
	})
	field.addUser("olga", "wide", "operator")
	here := field.token("olga")
	const name = "sp1_core-field_00000000_0000000001.jsonl.zst"
	field.put(here, name, make([]byte, limit+1)).want(t, 413, "body-too-large")
	for _, r := range []io.Reader{io.LimitReader(zeros{}, limit+1), io.LimitReader(zeros{}, 100*limit)} { // announced by nobody
		req := httptest.NewRequestWithContext(t.Context(), "PUT", "/admin/inbox/"+name, r)
		req.Header.Set("Authorization", "Bearer "+here)
		req.ContentLength = -1
		field.do(req).want(t, 413, "body-too-large")
	}
	if files, err := filepath.Glob(filepath.Join(dir, "inbox", "*")); err != nil || len(files) > 0 {
		t.Errorf("in the inbox: %q, %v", files, err)
	}
	field.put(here, name, make([]byte, limit)).want(t, 201, "")
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}

// gated is a body that ends once all others have begun.
type gated struct {
	io.Reader
	gate *sync.WaitGroup
}

func (g *gated) Read(p []byte) (int, error) {
	n, err := g.Reader.Read(p)
	if err != nil {
		g.gate.Done()
		g.gate.Wait()
	}
	return n, err
}

// Of many files that come at once under one name one gets it, and whoever
// brought its very bytes is told so.
func TestUploadsAtOnce(t *testing.T) {
	t.Parallel()
	core, field := linked(t)
	here := field.token("olga")
	name, good := aBundle(t, core)
	const each = 8
	var begun sync.WaitGroup // nobody is done before all have begun
	begun.Add(3 * each)
	var mu sync.Mutex
	statuses := map[int]map[int]int{}
	var wg sync.WaitGroup
	for i := range 3 * each {
		kind := i % 3
		data := append(slices.Clone(good), bytes.Repeat([]byte{'x'}, kind)...)
		wg.Go(func() {
			r := httptest.NewRequestWithContext(t.Context(), "PUT", "/admin/inbox/"+name, &gated{Reader: bytes.NewReader(data), gate: &begun})
			r.Header.Set("Authorization", "Bearer "+here)
			got := field.do(r)
			mu.Lock()
			defer mu.Unlock()
			if statuses[kind] == nil {
				statuses[kind] = map[int]int{}
			}
			statuses[kind][got.StatusCode]++
		})
	}
	wg.Wait()
	won := 0
	for kind, got := range statuses {
		switch {
		case got[201] == 1 && got[200] == each-1:
			won++
			if lies := field.onDisk("inbox/" + name); len(lies) != len(good)+kind {
				t.Errorf("%d bytes lie there, want %d", len(lies), len(good)+kind)
			}
		case got[409] == each:
		default:
			t.Errorf("bytes %d were answered %v", kind, got)
		}
	}
	if won != 1 || !slices.Equal(field.inbox(), []string{name}) {
		t.Errorf("%d won; in the inbox: %q", won, field.inbox())
	}
}

// The times that a connection has for a usual call are over before the first
// byte comes: an upload and a download have times of their own. Who may not
// carry gets no more than anybody.
func TestSlowTransfersAreNotCut(t *testing.T) {
	t.Parallel()
	core, field := linked(t)
	here, alice := field.token("olga"), field.token("alice")
	name, good := aBundle(t, core)
	address := "http://" + field.serve(t, func(s *http.Server) { s.ReadTimeout, s.WriteTimeout = 1, 1 })
	send := func(token string) (*http.Response, error) {
		body, part := io.Pipe()
		go func() {
			for _, b := range good {
				if _, err := part.Write([]byte{b}); err != nil {
					return
				}
			}
			_ = part.Close()
		}()
		req, err := http.NewRequestWithContext(t.Context(), "PUT", address+"/admin/inbox/"+name, body)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Authorization", "Bearer "+token)
		return http.DefaultClient.Do(req)
	}
	if res, err := send(alice); err == nil {
		_ = res.Body.Close()
		t.Errorf("a user's upload was answered %d after its time", res.StatusCode)
	}
	res, err := send(here)
	if err != nil {
		t.Fatal(err)
	}
	_ = res.Body.Close()
	if res.StatusCode != 201 {
		t.Fatalf("uploaded: %d", res.StatusCode)
	}
	field.outcomes(here)
	listed := items[bridge.Listed](t, field.call("GET", "/admin/bundles?direction=in&limit=1", here, ""))
	req, err := http.NewRequestWithContext(t.Context(), "GET", address+"/admin/bundles/"+listed[0].ID+"/file", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+here)
	if res, err = http.DefaultClient.Do(req); err != nil {
		t.Fatal(err)
	}
	got, err := io.ReadAll(res.Body)
	if _ = res.Body.Close(); err != nil || !bytes.Equal(got, good) {
		t.Errorf("downloaded %d bytes of %d: %v", len(got), len(good), err)
	}
}

// An import goes on after the time in which a usual request must have come.
func TestAnImportOutlivesTheReadTimeout(t *testing.T) {
	t.Parallel()
	core, field := linked(t)
	here := field.token("olga")
	address := "http://" + core.serve(t, func(s *http.Server) { s.ReadTimeout, s.WriteTimeout = 1, 1 })
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, "POST", address+"/admin/bundles/import", nil)
	if err != nil {
		t.Fatal(err)
	}
	field.call("POST", "/requests", field.token("alice"), `{"type":"airport","params":{"iata":"AMS"}}`).want(t, 202, "")
	e := field.export(here)[0]
	there := core.token("olga")
	core.put(there, e.File, field.onDisk("outbox/"+e.File)).want(t, 201, "")
	req.Header.Set("Authorization", "Bearer "+there)
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	text, err := io.ReadAll(res.Body)
	if _ = res.Body.Close(); err != nil || res.StatusCode != 200 || !bytes.Contains(text, []byte(bridge.Applied)) {
		t.Errorf("imported: %d %s, %v", res.StatusCode, text, err)
	}
}

func TestDownloads(t *testing.T) {
	t.Parallel()
	core, _ := linked(t)
	there := core.token("olga")
	name, disk := aBundle(t, core)
	get := func(method, key string, headers ...string) reply {
		r := httptest.NewRequestWithContext(t.Context(), method, "/admin/bundles/"+key+"/file", nil)
		r.Header.Set("Authorization", "Bearer "+there)
		for i := 0; i < len(headers); i += 2 {
			r.Header.Set(headers[i], headers[i+1])
		}
		return core.do(r)
	}
	whole := get("GET", name)
	tag := whole.Header.Get("ETag")
	if part := get("GET", name, "Range", "bytes=10-19", "If-Range", tag); part.StatusCode != 206 || part.text != string(disk[10:20]) {
		t.Errorf("a range: %d %q", part.StatusCode, part.text)
	}
	if head := get("HEAD", name); head.StatusCode != 200 || head.text != "" || head.ContentLength != int64(len(disk)) {
		t.Errorf("HEAD: %d, %d bytes of %d", head.StatusCode, head.ContentLength, len(disk))
	}
	if same := get("GET", name, "If-None-Match", tag); same.StatusCode != 304 || same.text != "" {
		t.Errorf("known already: %d %s", same.StatusCode, same.text)
	}
	beyond := get("GET", name, "Range", "bytes=999999-")
	beyond.want(t, 416, "range-not-in-file")
	if beyond.Header.Get("Content-Disposition") != "" || beyond.Header.Get("ETag") != "" {
		t.Errorf("a refusal looks like a file: %v", beyond.Header)
	}
	get("GET", name, "If-Match", `"another"`).want(t, 412, "precondition-failed")

	for key, want := range map[string]struct {
		status int
		code   string
	}{
		"..":                      {404, "not-found"},
		"..%2F..%2Fkeys":          {404, "no-such-path"},
		"%2E%2E":                  {404, "not-found"},
		name + "%00":              {404, "not-found"},
		strings.Repeat("f", 5000): {404, "not-found"},
		strings.Repeat("0", 64):   {404, "not-found"},
		strings.Repeat("zz", 32):  {404, "not-found"},
		name + ".label.txt":       {404, "not-found"},
		"sp1_core-field_00000000_0000000077.jsonl.zst.age": {404, "not-found"},
	} {
		get("GET", key).want(t, want.status, want.code)
	}

	// What was made again has another tag, and what was carried away is said to be.
	id := items[bridge.Listed](t, core.call("GET", "/admin/bundles?direction=out&limit=1", there, ""))[0].ID
	if _, err := core.bridge.Resend(t.Context(), "field", "cli:test", []int64{2}); err != nil {
		t.Fatal(err)
	}
	if again := get("GET", id); again.StatusCode != 200 || again.Header.Get("ETag") == tag {
		t.Errorf("made again: %d, tag %s and before %s", again.StatusCode, again.Header.Get("ETag"), tag)
	}
	if err := os.Remove(filepath.Join(core.dir, "outbox", name)); err != nil {
		t.Fatal(err)
	}
	get("GET", id).want(t, 409, "file-not-here")
	if err := os.Symlink(filepath.Join(core.dir, "keys", "signing.pem"), filepath.Join(core.dir, "outbox", name)); err != nil {
		t.Fatal(err)
	}
	get("GET", name).want(t, 409, "file-damaged")
}
