package commands

import (
	"errors"
	"os"
	"strings"
	"testing"

	"github.com/go-json-experiment/json/jsontext"

	"sallyport/bridge/bundle"
	"sallyport/domain"
)

func TestPlainJSON(t *testing.T) {
	t.Parallel()
	for given, want := range map[string]string{
		` { "a" : [ 1.50 , -0 , 1E+5 , true , null ] } `: `{"a":[1.50,-0,1E+5,true,null]}`,
		`{"z":1,"a":"\u0041\/é"}`:                        `{"z":1,"a":"\u0041\/é"}`,
		`{"a":"\\u0000"}`:                                `{"a":"\\u0000"}`,
		`"e9999"`:                                        `"e9999"`,
		`1e308`:                                          `1e308`,
		`""`:                                             `""`,
	} {
		if got, err := plainJSON([]byte(given)); err != nil || string(got) != want {
			t.Errorf("%s became %s, %v; want %s", given, got, err, want)
		}
	}
	for given, want := range map[string]error{
		``:                          errNotJSON,
		`{"a":1,"a":2}`:             errNotJSON,
		`{"a":1,"\u0061":2}`:        errNotJSON,
		`{"a":"` + "\xff" + `"}`:    errNotJSON,
		`"\ud800"`:                  errNotJSON,
		`1 2`:                       errNotJSON,
		`{"a":"x\u0000"}`:           errNUL,
		`{"a\u0000":1}`:             errNUL,
		`"\\\u0000"`:                errNUL,
		`1e309`:                     errNumber,
		`[-1.5E-309]`:               errNumber,
		`1e99999999999999999999999`: errNumber,
		strings.Repeat("9", 129):    errNumber,
	} {
		if got, err := plainJSON([]byte(given)); !errors.Is(err, want) {
			t.Errorf("%s became %s, %v; want %v", given, got, err, want)
		}
	}
}

// What plainJSON lets through, the log takes (but for depth and size, which
// the schema's check bounds), and it means what it meant.
func FuzzPlainJSON(f *testing.F) {
	seeds, err := os.ReadDir("testdata/fuzz/FuzzPlainJSON")
	if err != nil || len(seeds) == 0 {
		f.Fatalf("the seeds are missing: %v", err)
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		if len(raw) > 4096 || strings.Count(string(raw), "[")+strings.Count(string(raw), "{") > 30 {
			return
		}
		got, err := plainJSON(raw)
		if err != nil {
			return
		}
		line := bundle.AppendEvent(nil, bundle.Event{Pos: 1, ID: "01a20351-498a-7e70-a315-478c02f0c07c", Stream: "request-x", Ver: 1,
			Type: "request.submitted", Schema: 1, Actor: "a", Corr: "c", Data: []byte(`{"params":` + string(got) + `}`)})
		if err := bundle.CheckLine(line, bundle.Limits{}); err != nil {
			t.Errorf("%s: %v", line, err)
		}
		before, after := jsontext.Value(raw).Clone(), jsontext.Value(got).Clone()
		if before.Canonicalize() == nil && (after.Canonicalize() != nil || string(before) != string(after)) {
			t.Errorf("%s became %s", raw, got)
		}
	})
}

func TestWrongSiteIsARefusal(t *testing.T) {
	t.Parallel()
	err := WrongSite(domain.ResponseSite, "users are registered")
	if err.Kind != domain.Forbidden || err.Code != CodeWrongSite || !strings.Contains(err.Detail, "response site") {
		t.Errorf("%+v", err)
	}
}
