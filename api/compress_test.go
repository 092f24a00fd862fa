package api_test

import (
	"compress/gzip"
	"encoding/json"
	"io"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/klauspost/compress/zstd"

	"sallyport/domain"
	"sallyport/eventstore"
	"sallyport/projections/responsecache"
	"sallyport/schema/schematest"
)

// asking calls with the headers given, two strings each.
func (s *site) asking(path, token string, headers ...string) reply {
	s.t.Helper()
	r := httptest.NewRequestWithContext(s.t.Context(), "GET", path, nil)
	r.Header.Set("Authorization", "Bearer "+token)
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	return s.do(r)
}

func unpacked(t *testing.T, encoding, text string) string {
	t.Helper()
	var r io.Reader = strings.NewReader(text)
	var err error
	switch encoding {
	case "gzip":
		r, err = gzip.NewReader(r)
	case "zstd":
		r, err = zstd.NewReader(r)
	}
	if err != nil {
		t.Fatal(err)
	}
	plain, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	return string(plain)
}

func TestAnswersAreCompressedForWhoCanReadIt(t *testing.T) {
	t.Parallel()
	core := newCore(t)
	field := newField(t, core)
	alice := field.token("alice")
	id, plain := answeredBy(t, core, field, alice, `["`+strings.Repeat("Schiphol ", 1000)+`"]`)
	small, _ := answeredBy(t, core, field, alice, `[1]`)
	path := "/requests/" + id + "/response"
	for _, c := range []struct{ accept, want string }{
		{"gzip", "gzip"}, {"zstd", "zstd"}, {"gzip, zstd", "zstd"}, {"gzip, zstd;q=0", "gzip"}, {"zstd;q=0.5, gzip;q=0.9", "gzip"},
		{"br", ""}, {"identity", ""}, {"gzip;q=0", ""}} {
		got := field.asking(path, alice, "Accept-Encoding", c.accept)
		if got.StatusCode != 200 || got.Header.Get("Content-Encoding") != c.want || got.Header.Get("Vary") != "Accept-Encoding" {
			t.Errorf("%s: %d %v", c.accept, got.StatusCode, got.Header)
		}
		if unpacked(t, c.want, got.text) != plain || c.want != "" && len(got.text) > len(plain)/10 {
			t.Errorf("%s: %d bytes came, of %d", c.accept, len(got.text), len(plain))
		}
		tag := got.Header.Get("ETag")
		if again := field.asking(path, alice, "Accept-Encoding", c.accept, "If-None-Match", tag); again.StatusCode != 304 || again.text != "" {
			t.Errorf("%s, knowing %s: %d", c.accept, tag, again.StatusCode)
		}
	}
	if plain := field.asking(path, alice); plain.Header.Get("Content-Encoding") != "" || plain.Header.Get("Vary") != "Accept-Encoding" {
		t.Errorf("not asked for: %v", plain.Header)
	}
	if got := field.asking("/requests/"+small+"/response", alice, "Accept-Encoding", "gzip"); got.Header.Get("Content-Encoding") != "" {
		t.Errorf("a small answer: %v", got.Header)
	}
}

// What was larger than the cache takes comes from the database, whole.
func TestALargeAnswer(t *testing.T) {
	t.Parallel()
	field := newField(t, newCore(t))
	alice := field.token("alice")
	id := field.submitted(alice)
	large := `"` + strings.Repeat("0123456789abcdef", responsecache.MaxEntry/16) + `"`
	fact := domain.ResponseRecorded{Status: domain.StatusAnswered, Result: json.RawMessage(large), Responder: domain.ResponderSQL}
	data, err := domain.Encode(fact)
	if err != nil {
		t.Fatal(err)
	}
	e := domain.Event{Pos: 999, ID: someID, Stream: domain.ResponseStream(id), Ver: 1, Type: fact.EventType(), Schema: schematest.Present(fact.EventType()), At: time.Now(), Data: data}
	if err := field.store.Mirror(t.Context(), eventstore.Mirrored{Origin: "core", Events: []domain.Event{e}, Facts: []domain.Fact{fact},
		Lines: [][]byte{[]byte(`{}`)}}); err != nil {
		t.Fatal(err)
	}
	field.handler = field.api // of many megabytes, what fits the description is not looked at
	got := field.asking("/requests/"+id+"/response", alice, "Accept-Encoding", "zstd")
	if got.StatusCode != 200 || got.Header.Get("X-Cache") != "miss" || !strings.Contains(unpacked(t, "zstd", got.text), `"result":`+large+`,`) {
		t.Errorf("%d %v, %d bytes", got.StatusCode, got.Header, len(got.text))
	}
	if _, cached, err := field.config.Cache.Get(t.Context(), id); cached || err != nil {
		t.Errorf("cached: %v (%v)", cached, err)
	}
}
