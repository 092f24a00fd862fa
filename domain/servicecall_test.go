package domain_test

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"sallyport/domain"
)

func TestConfigureHTTP(t *testing.T) {
	t.Parallel()
	good := domain.ResponderConfigured{Kind: domain.ResponderHTTP, Source: "orders", Call: &domain.ServiceCall{Path: "/orders/{order}"}}
	facts, err := domain.ResponderConfig{}.Decide(good)
	if err != nil {
		t.Fatal(err)
	}
	if got := facts[0].(domain.ResponderConfigured); got.Call.Method != "GET" || got.TimeoutMS != domain.DefaultTimeoutMS || good.Call.Method != "" {
		t.Errorf("%+v of %+v", got.Call, good.Call)
	}
	long := json.RawMessage(`{"a":"` + strings.Repeat("x", 32<<10) + `"}`)
	for name, c := range map[string]struct {
		call  *domain.ServiceCall
		wrong []string
	}{
		"no call":              {nil, []string{"/call"}},
		"a method that writes": {&domain.ServiceCall{Path: "/", Method: "DELETE"}, []string{"/call/method"}},
		"no path":              {&domain.ServiceCall{Path: "orders\n"}, []string{"/call/path", "/call/path"}},
		"a body of GET":        {&domain.ServiceCall{Path: "/", Body: json.RawMessage(`1`)}, []string{"/call/body"}},
		"no JSON":              {&domain.ServiceCall{Path: "/", Method: "POST", Query: json.RawMessage(`{`), Body: json.RawMessage(`x`)}, []string{"/call/query", "/call/body"}},
		"a query of no object": {&domain.ServiceCall{Path: "/", Query: json.RawMessage(`[1]`)}, []string{"/call/query"}},
		"long":                 {&domain.ServiceCall{Path: "/", Method: "POST", Query: long, Body: long}, []string{"/call/query", "/call/body"}},
		"headers": {&domain.ServiceCall{Path: "/", Headers: map[string]string{"AUTHORIZATION": "Basic x", "X-A": "1", "x-a": "2", "a b": "c", "X-B": "a\r\nHost: b"}},
			[]string{"/call/headers", "/call/headers", "/call/headers", "/call/headers"}},
		"pointers": {&domain.ServiceCall{Path: "/", Rows: "items", Fields: map[string]string{"": "/a", "b": "/~2", "c": "/c\n"}},
			[]string{"/call/rows", "/call/fields", "/call/fields", "/call/fields"}},
	} {
		config := good
		config.Call = c.call
		_, err := domain.ResponderConfig{}.Decide(config)
		if got := pointers(refusal(t, err, domain.Invalid, "invalid-responder")); !slices.Equal(got, c.wrong) {
			t.Errorf("%s: %v, want %v (%v)", name, got, c.wrong, err)
		}
	}
	other := domain.ResponderConfigured{Kind: domain.ResponderSQL, Source: "aa", Statement: "x", Call: good.Call}
	_, err = domain.ResponderConfig{}.Decide(other)
	if got := pointers(refusal(t, err, domain.Invalid, "invalid-responder")); !slices.Equal(got, []string{"/call"}) {
		t.Errorf("a call of sql: %v", got)
	}
}
