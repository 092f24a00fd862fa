package domain_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"reflect"
	"strings"
	"testing"
	"unicode/utf8"

	"pgregory.net/rapid"

	"sallyport/domain"
	"sallyport/schema/schematest"
)

func TestDecodeRefusesWhatItDoesNotKnow(t *testing.T) {
	t.Parallel()
	for _, e := range []domain.Event{{Type: "user.promoted", Schema: 1}, {Type: "user.registered", Schema: 2}, {Type: "user.registered"}, {Type: "user.access_granted", Schema: 3}, {Type: "user.access_granted", Schema: -1}, {}} {
		e.Data = json.RawMessage(`{}`)
		var unknown *domain.UnknownEventError
		if _, err := domain.Decode(e); !errors.As(err, &unknown) || unknown.Type != e.Type || unknown.Schema != e.Schema {
			t.Errorf("%+v: got %v", e, err)
		}
	}
	for _, data := range []string{``, `[]`, `null`, `{"user":1}`, `{"user":"1","admin":true}`, `{"user":"1"`, `{"user":"1"}x`, `{"user":"1"}{}`} {
		if f, err := domain.Decode(domain.Event{Type: "username.claimed", Schema: 1, Data: json.RawMessage(data)}); err == nil {
			t.Errorf("%s was read as %v", data, f)
		}
	}
}

func TestDecodeNamesTheEvent(t *testing.T) {
	t.Parallel()
	_, err := domain.Decode(domain.Event{ID: "019a", Type: "username.claimed", Schema: 1, Pos: 41, Data: json.RawMessage(`{"x":1}`)})
	for _, want := range []string{"019a", "username.claimed", "position 41", `"x"`} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v does not name %s", err, want)
		}
	}
}

func TestEncodeKeepsCharactersAsTheyAre(t *testing.T) {
	t.Parallel()
	got := string(encode(t, domain.ResponseFailed{Code: "x", Error: "a<b> & \u2028 ü"}))
	if want := `{"code":"x","error":"a<b> & \u2028 ü","attempts":0}`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if _, err := domain.Encode(domain.RequestSubmitted{Params: json.RawMessage(`{`)}); err == nil {
		t.Error("broken parameters were encoded")
	}
}

// TestEncodeDecodeRoundTrip: data that was written reads back as the same fact
// and is written as the same bytes.
func TestEncodeDecodeRoundTrip(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		f := anyFact().Draw(t, "fact")
		data := encode(t, f)
		if !utf8.Valid(data) || bytes.ContainsAny(data, "\n\r") {
			t.Fatalf("%q is not one line of text", data)
		}
		back, err := domain.Decode(domain.Event{Type: f.EventType(), Schema: schematest.Present(f.EventType()), Data: data})
		if err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(back, f) {
			t.Fatalf("read back %#v, wrote %#v", back, f)
		}
		if again := encode(t, back); !bytes.Equal(again, data) {
			t.Fatalf("wrote %s, then %s", data, again)
		}
	})
}

// anyFact draws facts with all their members, sensible or not.
func anyFact() *rapid.Generator[domain.Fact] {
	return rapid.Custom(func(t *rapid.T) domain.Fact {
		text := rapid.String()
		number := rapid.Int()
		document := rapid.SampledFrom([]json.RawMessage{[]byte(`null`), []byte(`{}`), []byte(`[1.50,"\u003c",{"b":1,"a":1e3}]`), []byte(`"ü"`)})
		switch rapid.IntRange(0, 5).Draw(t, "type") {
		case 0:
			return domain.UserRegistered{Username: text.Draw(t, "username"), Email: text.Draw(t, "email"), FullName: text.Draw(t, "name"),
				Role: domain.UserRole(text.Draw(t, "role")), Profile: text.Draw(t, "profile"), Credential: domain.Credential{Hash: text.Draw(t, "hash")}}
		case 1:
			return domain.ProfileDefined{Name: text.Draw(t, "name"), Limits: domain.Limits{Day: number.Draw(t, "day")}, Allowed: rapid.SliceOf(text).Draw(t, "allowed"),
				Blocked: []string{}, TypeLimits: rapid.MapOf(text, typeLimit()).Draw(t, "limits")}
		case 2:
			return domain.RequestSubmitted{Type: text.Draw(t, "type"), TypeVersion: number.Draw(t, "version"), Params: document.Draw(t, "params"), Name: text.Draw(t, "name")}
		case 3:
			return domain.ResponseRecorded{Status: "answered", Result: document.Draw(t, "result"), TookMS: rapid.Int64().Draw(t, "took"), Truncated: rapid.Bool().Draw(t, "cut")}
		case 4:
			return rapid.SampledFrom([]domain.Fact{domain.UserProfileChanged{FullName: rapid.Ptr(text, true).Draw(t, "name")},
				domain.LimitsOverridden{Hour: rapid.Ptr(number, true).Draw(t, "hour")}, domain.AccessGranted{RequestType: text.Draw(t, "granted"), MaxResults: number.Draw(t, "max"), Indices: rapid.SliceOf(text).Draw(t, "indices")},
				domain.ProfileChanged{Name: text.Draw(t, "profile")}, domain.UserReactivated{}}).Draw(t, "change")
		default:
			return domain.BundleQuarantined{File: text.Draw(t, "file"), Message: text.Draw(t, "message")}
		}
	})
}

func typeLimit() *rapid.Generator[domain.TypeLimit] {
	return rapid.Custom(func(t *rapid.T) domain.TypeLimit {
		l := domain.TypeLimit{MaxResults: rapid.Int().Draw(t, "max")}
		if rapid.Bool().Draw(t, "has limits") {
			l.Limits = &domain.Limits{Hour: rapid.Int().Draw(t, "hour")}
		}
		return l
	})
}

// TestALargeAnswerIsNotCopied: of an answer of 8 MiB the decoded fact holds
// where it is, and what stands around it is held to the same rules.
func TestALargeAnswerIsNotCopied(t *testing.T) {
	const before, after = `{"status":"answered","result":`, `,"result_count":1,"took_ms":1,"truncated":false,"responder":"sql","cached":false,"content_type":"text/plain"}`
	result := `"` + strings.Repeat("a", 8<<20) + `"`
	e := domain.Event{Type: "response.recorded", Schema: 1, Data: []byte(before + result + after)}
	decoding := testing.Benchmark(func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			f, err := domain.Decode(e)
			if r, ok := f.(domain.ResponseRecorded); err != nil || !ok || string(r.Result) != result || r.ContentType != "text/plain" {
				b.Fatalf("%T, %v", f, err)
			}
		}
	})
	if got := decoding.AllocedBytesPerOp(); got > 64<<10 {
		t.Errorf("decoding %d bytes allocated %d, want at most 64 KiB", len(e.Data), got)
	}
	for _, bad := range []string{before + `1,"more":2` + after, before + `1` + after + ` `, before + `1` + after + `{}`, before + after, `[]`, ``} {
		e.Data = []byte(bad)
		if f, err := domain.Decode(e); err == nil {
			t.Errorf("%s was decoded as %+v", bad, f)
		}
	}
}

func FuzzDecode(f *testing.F) {
	for _, g := range schematest.Goldens(f, goldenDir) {
		f.Add(g.Type, []byte(g.Realistic))
	}
	if seeds, err := fs.Glob(os.DirFS("testdata/fuzz/FuzzDecode"), "*"); err != nil || len(seeds) == 0 {
		f.Fatalf("no seed corpus (%v)", err)
	}
	f.Fuzz(func(t *testing.T, eventType string, data []byte) {
		for version := 1; version <= schematest.Present(eventType); version++ {
			fact, err := domain.Decode(domain.Event{Type: eventType, Schema: version, Data: data})
			if err != nil {
				continue
			}
			first, err := domain.Encode(fact)
			if err != nil {
				t.Fatalf("what was read cannot be written: %v", err)
			}
			back, err := domain.Decode(domain.Event{Type: eventType, Schema: schematest.Present(eventType), Data: first})
			if err != nil {
				t.Fatalf("what was written cannot be read: %v", err)
			}
			if second := encode(t, back); !bytes.Equal(first, second) {
				t.Errorf("wrote %s, then %s", first, second)
			}
		}
	})
}
