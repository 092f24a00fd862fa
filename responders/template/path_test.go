package template_test

import (
	"encoding/json"
	"errors"
	"net/url"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"sallyport/responders/template"
)

func TestBindPath(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ path, params, want string }{
		{`/orders/{order}`, `{"order":"A 1"}`, `/orders/A%201`},
		{`/`, `{}`, `/`},
		{`/a/{b}.json`, `{"b":12}`, `/a/12.json`},
		{`/{a}-{b}/{a}`, `{"a":true,"b":"é+&=?#;:@"}`, `/true-%C3%A9%2B%26%3D%3F%23%3B%3A%40/true`},
		{`/p/{x}`, `{"x":"100%"}`, `/p/100%25`},
		{`/p/{x}`, `{"x":"a;.."}`, `/p/a%3B..`},
		{`/p/{x}`, `{"x":"..."}`, `/p/...`},
	} {
		parsed, err := template.ParsePath(c.path)
		if err != nil {
			t.Errorf("%s: %v", c.path, err)
			continue
		}
		if got, err := parsed.Bind(values(t, c.params)); err != nil || got != c.want {
			t.Errorf("%s with %s: %s (%v), want %s", c.path, c.params, got, err, c.want)
		}
	}
}

func TestPathsThatAreRefused(t *testing.T) {
	t.Parallel()
	for _, path := range []string{``, `orders`, `//`, `/a//b`, `/a/`, `/a/../b`, `/.`, `/a?b`, `/a#b`, `/a%2fb`, `/a b`, `/{}`, `/{a`, `/a}`, `/{a{b}}`, `/{a/b}`, `/é`, `/` + strings.Repeat("a", 2<<10)} {
		if _, err := template.ParsePath(path); !errors.As(err, new(*template.SyntaxError)) {
			t.Errorf("%.20s: %v", path, err)
		}
	}
}

func TestValuesThatNoPathTakes(t *testing.T) {
	t.Parallel()
	for path, all := range map[string][]string{
		"/a/{x}/b":  {`""`, `"."`, `".."`, `"a/b"`, `"/"`, `"..\\.."`, `"%2f"`, `"%2E%2e"`, `"a%00"`, `"a\u0000b"`, `"a\r\nb"`, `"\u007f"`, `"\u0085"`, `null`, `[]`, `["a"]`, `{}`, `"` + strings.Repeat("x", 1025) + `"`},
		"/a/.{x}/b": {`"."`, `";x"`}, "/a/{x}{x}": {`"."`}, "/a/{x};v=1": {`".."`, `"..;"`},
	} {
		parsed, err := template.ParsePath(path)
		if err != nil {
			t.Fatal(err)
		}
		for _, value := range all {
			got, err := parsed.Bind(values(t, `{"x":`+value+`}`))
			if !errors.As(err, new(*template.ValueError)) {
				t.Errorf("%s with %.20s: %s, %v", path, value, got, err)
			}
		}
		if _, err := parsed.Bind(values(t, `{}`)); !errors.As(err, new(*template.ValueError)) {
			t.Errorf("%s without a value: %v", path, err)
		}
	}
}

// Whatever a value is: it is refused, or the path has the segments that its
// author gave it, and exactly the value in its place, also for a server that
// decodes twice or cleans paths.
func TestAValueNeverChangesAPath(t *testing.T) {
	t.Parallel()
	parsed, err := template.ParsePath("/v1/{x}/lines/{y}.json")
	if err != nil {
		t.Fatal(err)
	}
	rapid.Check(t, func(t *rapid.T) {
		x, y := anyText().Draw(t, "x"), anyText().Draw(t, "y")
		params, err := json.Marshal(map[string]string{"x": x, "y": y})
		if err != nil {
			t.Fatal(err)
		}
		v, err := template.ReadValues(params)
		if err != nil {
			t.Fatal(err)
		}
		bound, err := parsed.Bind(v)
		if err != nil {
			return
		}
		u, err := url.Parse("http://host" + bound)
		if err != nil || u.Host != "host" || u.RawQuery != "" || u.Fragment != "" || u.EscapedPath() != bound {
			t.Fatalf("%q: %v, %v", bound, u, err)
		}
		if want := "/v1/" + x + "/lines/" + y + ".json"; u.Path != want || u.JoinPath().Path != want {
			t.Fatalf("%q is the path %q, cleaned %q, want %q", bound, u.Path, u.JoinPath().Path, want)
		}
		twice, err := url.PathUnescape(u.Path)
		if err == nil && strings.Count(twice, "/") != 4 {
			t.Fatalf("%q decoded twice is %q", bound, twice)
		}
	})
}
