package httpresponder_test

import (
	"encoding/json"
	"errors"
	"net/netip"
	"strings"
	"testing"

	"sallyport/domain"
	"sallyport/responders"
	"sallyport/responders/httpresponder"
)

func TestACallAsItArrives(t *testing.T) {
	t.Parallel()
	h := newHouse(t, map[string]string{"any": `[]`})
	r := open(t, map[string]httpresponder.Service{"house": h.service()})
	call := domain.ServiceCall{Method: "POST", Path: "/orders/{order}/x", Query: json.RawMessage(`{"z":{"$param":"list","type":"array"},"a":{"$param":"q"},"none":{"$param":"no"},"fix":true}`),
		Headers: map[string]string{"x-reason": "audit", "X-Other": "1"}, Body: json.RawMessage(`{"who":{"$param":"q"},"n":{"$param":"n","type":"number"}}`)}
	q := ask(call, `{"order":"A 1?#&","list":["b&c",1.50],"q":"x=1&y\"}","n":12345678901234567890}`)
	if _, err := r.Respond(t.Context(), q); err == nil || !strings.Contains(err.Error(), "bad_answer") {
		t.Fatal(err) // the house has nothing there
	}
	got := h.seen.Load()
	if want := "/api/orders/A%201%3F%23%26/x?a=x%3D1%26y%22%7D&fix=true&z=b%26c&z=1.50"; got.method != "POST" || got.uri != want {
		t.Errorf("%s %s, want %s", got.method, got.uri, want)
	}
	if want := `{"who":"x=1&y\"}","n":12345678901234567890}`; got.body != want {
		t.Errorf("body %s, want %s", got.body, want)
	}
	for name, want := range map[string]string{"Authorization": token, "X-Reason": "audit", "Content-Type": "application/json", "Accept": "application/json", "User-Agent": "sallyport"} {
		if got.header.Get(name) != want {
			t.Errorf("%s: %q, want %q", name, got.header.Get(name), want)
		}
	}
}

func TestWhatIsTheResult(t *testing.T) {
	t.Parallel()
	h := newHouse(t, map[string]string{"page": ` {"data":{"a/b":[{"n":1.50,"deep":{"x":"<é>"}},{"n":2},3]},"none":null,"one":{"id":7},"text":"t"} `, "list": `[1, [2], {}]`})
	r := open(t, map[string]httpresponder.Service{"house": h.service()})
	fields := map[string]string{"x": "/deep/x", "n": "/n"}
	for _, c := range []struct {
		call  domain.ServiceCall
		want  string
		count int
	}{
		{domain.ServiceCall{Path: "/fixed/list"}, `[1,[2],{}]`, 3},
		{domain.ServiceCall{Path: "/fixed/list", Rows: "/1"}, `[2]`, 1},
		{domain.ServiceCall{Path: "/fixed/page", Rows: "/data/a~1b"}, `[{"n":1.50,"deep":{"x":"<é>"}},{"n":2},3]`, 3},
		{domain.ServiceCall{Path: "/fixed/page", Rows: "/data/a~1b", Fields: fields}, `[{"n":1.50,"x":"<é>"},{"n":2,"x":null},{"n":null,"x":null}]`, 3},
		{domain.ServiceCall{Path: "/fixed/page", Rows: "/none"}, `[]`, 0},
		{domain.ServiceCall{Path: "/fixed/page", Rows: "/one"}, `{"id":7}`, 1},
		{domain.ServiceCall{Path: "/fixed/page", Rows: "/one", Fields: map[string]string{"no": "/id", "all": ""}}, `{"all":{"id":7},"no":7}`, 1},
		{domain.ServiceCall{Path: "/fixed/page", Rows: "/text"}, `"t"`, 1},
		{domain.ServiceCall{Path: "/status/204"}, `[]`, 0},
	} {
		got, err := r.Respond(t.Context(), ask(c.call, `{}`))
		if err != nil || string(got.Result) != c.want || got.Count != c.count || got.Truncated || got.ContentType != "application/json" {
			t.Errorf("%s %s: %s, %d, %t (%v); want %s, %d", c.call.Path, c.call.Rows, got.Result, got.Count, got.Truncated, err, c.want, c.count)
		}
	}
	q := ask(domain.ServiceCall{Path: "/fixed/page"}, `{}`)
	q.MaxBytes = 20
	var f *responders.Failure
	if _, err := r.Respond(t.Context(), q); !errors.As(err, &f) || f.Code != "too_large" {
		t.Errorf("one value above the limit: %v", err)
	}
}

// A service that asks for patience is asked once more, if the question's time
// allows it.
func TestPatience(t *testing.T) {
	t.Parallel()
	for after, asked := range map[string]int64{"0": 2, "Thu, 01 Jan 1970 00:00:00 GMT": 2, "1": 2, "60": 1, "soon": 1, "": 1, "99999999999999999999": 1} {
		t.Run(after, func(t *testing.T) {
			t.Parallel()
			h := newHouse(t, nil)
			r := open(t, map[string]httpresponder.Service{"house": h.service()})
			call := domain.ServiceCall{Path: "/busy/{after}"}
			if after == "" {
				call.Path = "/status/503"
			}
			got, err := r.Respond(t.Context(), ask(call, `{"after":"`+after+`"}`))
			var f *responders.Failure
			if answered := err == nil && string(got.Result) == `[1]`; answered != (asked == 2) || !answered && (!errors.As(err, &f) || !f.Retryable) {
				t.Errorf("got %s, %v", got.Result, err)
			}
			if h.asked.Load() != asked {
				t.Errorf("asked %d times, want %d", h.asked.Load(), asked)
			}
		})
	}
}

func TestServicesThatAreRefused(t *testing.T) {
	t.Parallel()
	for name, s := range map[string]httpresponder.Service{
		"no-url": {}, "ftp": {URL: "ftp://a.example"}, "login": {URL: "https://me:hunter2@a.example"}, "query": {URL: "https://a.example?key=hunter2"},
		"dots": {URL: "https://a.example/../x"}, "Upper": {URL: "https://a.example"},
		"private": {URL: "http://10.1.2.3"}, "loopback": {URL: "http://[::1]:80"}, "metadata": {URL: "http://169.254.169.254/"}, "mapped": {URL: "http://[::ffff:10.1.2.3]"},
		"elsewhere": {URL: "http://10.1.2.3", Allow: []netip.Prefix{netip.MustParsePrefix("10.2.0.0/16")}},
		"ca":        {URL: "https://a.example", CA: []byte("hunter2")},
		"header":    {URL: "https://a.example", Headers: map[string]string{"X-Key": "hunter2\r\nHost: b"}}, "empty": {URL: "https://a.example", Headers: map[string]string{"X-Key": ""}},
		"plain": {URL: "http://a.example", Headers: map[string]string{"X-Key": "hunter2"}},
	} {
		if _, err := httpresponder.Open(map[string]httpresponder.Service{name: s}); err == nil || !strings.Contains(err.Error(), name) || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s: %v", name, err)
		}
	}
	open(t, map[string]httpresponder.Service{"private": {URL: "http://10.1.2.3", Allow: []netip.Prefix{netip.MustParsePrefix("10.1.0.0/16")}},
		"here": {URL: "http://[::1]:80", Allow: []netip.Prefix{netip.MustParsePrefix("::1/128")}, Headers: map[string]string{"X-Key": "hunter2"}}})
}

func TestCheck(t *testing.T) {
	t.Parallel()
	r := open(t, map[string]httpresponder.Service{"house": {URL: "https://house.example"}})
	names := []string{"a", "b"}
	good := domain.ServiceCall{Method: "POST", Path: "/{a}", Query: json.RawMessage(`{"b":{"$param":"b"}}`), Body: json.RawMessage(`{"$when":"a","then":[{"$param":"b"}]}`)}
	if err := r.Check(t.Context(), ask(good, ``).Config, names); err != nil {
		t.Error(err)
	}
	for wrong, call := range map[string]domain.ServiceCall{
		`call.path: the template has the segment ".."`: {Path: "/a/.."}, `"c" that the schema does not have; it has: a, b`: {Path: "/{c}"},
		`call.query: the template at "/a/$parm"`: {Path: "/", Query: json.RawMessage(`{"a":{"$parm":"a"}}`)}, "call.query: must be an object": {Path: "/", Query: json.RawMessage(`{"a":{"b":1}}`)},
		`call.body: the template at "/x/$param"`: {Path: "/", Method: "POST", Body: json.RawMessage(`{"x":{"$param":1}}`)},
	} {
		err := r.Check(t.Context(), ask(call, ``).Config, names)
		if !errors.As(err, new(*responders.ConfigError)) || !strings.Contains(err.Error(), wrong) {
			t.Errorf("%v, want %s", err, wrong)
		}
	}
	elsewhere := ask(good, ``).Config
	elsewhere.Source = "nowhere"
	if err := r.Check(t.Context(), elsewhere, names); !errors.As(err, new(*responders.Failure)) {
		t.Errorf("unknown service: %v", err)
	}
}
