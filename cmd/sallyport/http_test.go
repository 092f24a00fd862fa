package main

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"
)

// caller is a REST client of one site, as one user or nobody.
type caller struct {
	url, token string
}

// reply is an HTTP response, read to its end.
type reply struct {
	status int
	header http.Header
	body   []byte
}

// send sends body as it is; headers come as name, value, ….
func (c caller) send(t *testing.T, method, path, body string, headers ...string) reply {
	t.Helper()
	r, err := c.try(t, method, path, body, headers...)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// try is send for calls to a site that may be gone.
func (c caller) try(t *testing.T, method, path, body string, headers ...string) (reply, error) {
	req, err := http.NewRequestWithContext(t.Context(), method, c.url+path, strings.NewReader(body))
	if err != nil {
		return reply{}, err
	}
	if body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	if c.token != "" {
		req.Header.Set("Authorization", "Bearer "+c.token)
	}
	for i := 0; i < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	client := http.Client{Timeout: patience}
	res, err := client.Do(req)
	if err != nil {
		return reply{}, err
	}
	defer res.Body.Close()
	all, err := io.ReadAll(res.Body)
	return reply{res.StatusCode, res.Header, all}, err
}

func (c caller) get(t *testing.T, path string, headers ...string) reply {
	t.Helper()
	return c.send(t, http.MethodGet, path, "", headers...)
}

func (c caller) submit(t *testing.T, typ, params string) reply {
	t.Helper()
	return c.send(t, http.MethodPost, "/requests", `{"type":"`+typ+`","params":`+params+`}`)
}

func (c caller) login(t *testing.T, a account) reply {
	t.Helper()
	body, err := json.Marshal(map[string]string{"username": a.Username, "password": a.Password})
	if err != nil {
		t.Fatal(err)
	}
	return c.send(t, http.MethodPost, "/auth/login", string(body))
}

// as logs in.
func (c caller) as(t *testing.T, a account) caller {
	t.Helper()
	r := c.login(t, a)
	r.want(t, http.StatusOK)
	var got struct {
		AccessToken  string `json:"access_token"`
		TokenType    string `json:"token_type"`
		ExpiresIn    int    `json:"expires_in"`
		RefreshToken string `json:"refresh_token"`
	}
	decodeStrictly(t, r.body, &got)
	if got.AccessToken == "" || got.TokenType != "Bearer" || got.ExpiresIn != 900 || got.RefreshToken == "" {
		t.Fatalf("a login's answer: %s", r.body)
	}
	return caller{url: c.url, token: got.AccessToken}
}

func (r reply) want(t *testing.T, status int) {
	t.Helper()
	if r.status != status {
		t.Fatalf("status %d, want %d: %s", r.status, status, r.body)
	}
}

func (r reply) field(t *testing.T, name string) any {
	t.Helper()
	var all map[string]any
	if err := json.Unmarshal(r.body, &all); err != nil {
		t.Fatalf("%v in %s", err, r.body)
	}
	return all[name]
}

func (r reply) text(t *testing.T, name string) string {
	t.Helper()
	s, _ := r.field(t, name).(string)
	return s
}

// wantProblem expects problem details (RFC 9457) of this kind, with an error
// at each of these places.
func (r reply) wantProblem(t *testing.T, status int, code string, pointers ...string) {
	t.Helper()
	var p struct {
		Type    string `json:"type"`
		Title   string `json:"title"`
		Status  int    `json:"status"`
		Detail  string `json:"detail"`
		TraceID string `json:"trace_id"`
		Errors  []struct {
			Pointer   string      `json:"pointer"`
			Parameter string      `json:"parameter"`
			Code      string      `json:"code"`
			Least     json.Number `json:"least"`
			Most      json.Number `json:"most"`
			Detail    string      `json:"detail"`
		} `json:"errors"`
	}
	r.want(t, status)
	if kind := r.header.Get("Content-Type"); kind != "application/problem+json" {
		t.Errorf("content type %q: %s", kind, r.body)
	}
	decodeStrictly(t, r.body, &p)
	if !strings.HasSuffix(p.Type, ":"+code) || p.Status != status || p.Title == "" || p.Detail == "" || p.TraceID != r.header.Get("X-Request-Id") {
		t.Errorf("want a problem %s: %s", code, r.body)
	}
	if r.header.Get("X-Log-Position") != "" {
		t.Error("a refusal has a log position")
	}
	for _, pointer := range pointers {
		found := false
		for _, e := range p.Errors {
			found = found || e.Pointer == pointer && e.Code != "" && e.Detail != ""
		}
		if !found {
			t.Errorf("no error at %s: %s", pointer, r.body)
		}
	}
}

func large(n int) string { return `{"type":"` + string(bytes.Repeat([]byte{'a'}, n)) + `"}` }
