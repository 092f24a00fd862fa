package spectest

import (
	"bytes"
	"compress/gzip"
	"io"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"

	"github.com/klauspost/compress/zstd"
)

var (
	loading sync.Mutex
	loaded  = map[string]*Spec{}
)

// Of returns the description that a site serves.
func Of(t testing.TB, h http.Handler) *Spec {
	t.Helper()
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/openapi.json", nil))
	text := w.Body.String()
	loading.Lock()
	defer loading.Unlock()
	if s, ok := loaded[text]; ok {
		return s
	}
	s, err := Load([]byte(text))
	if err != nil {
		t.Fatalf("the description of the API: %v", err)
	}
	loaded[text] = s
	return s
}

// Checked returns a handler that answers as h does and fails the test for
// whatever h's own description does not foresee.
func Checked(t testing.TB, h http.Handler) http.Handler {
	t.Helper()
	s := Of(t, h)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		kept := &keeping{ResponseWriter: w, status: http.StatusOK}
		h.ServeHTTP(kept, r)
		body, err := unpacked(kept.header.Get("Content-Encoding"), &kept.body)
		if err == nil {
			err = s.Check(r, kept.status, kept.header, body)
		}
		if err != nil {
			t.Errorf("%s %s answered %d, and api/openapi.yaml does not say so: %v", r.Method, r.URL.Path, kept.status, err)
		}
	})
}

// unpacked is a body as it was before it was compressed.
func unpacked(encoding string, body *bytes.Buffer) ([]byte, error) {
	if body.Len() == 0 {
		return nil, nil
	}
	switch encoding {
	case "gzip":
		r, err := gzip.NewReader(body)
		if err != nil {
			return nil, err
		}
		return io.ReadAll(r)
	case "zstd":
		r, err := zstd.NewReader(body)
		if err != nil {
			return nil, err
		}
		defer r.Close()
		return io.ReadAll(r)
	}
	return body.Bytes(), nil
}

// keeping passes an answer on and keeps it.
type keeping struct {
	http.ResponseWriter
	wrote  bool
	status int
	header http.Header
	body   bytes.Buffer
}

// WriteHeader implements [http.ResponseWriter].
func (k *keeping) WriteHeader(status int) {
	if !k.wrote && (status >= http.StatusOK || status == http.StatusSwitchingProtocols) {
		k.wrote, k.status, k.header = true, status, k.Header().Clone()
	}
	k.ResponseWriter.WriteHeader(status)
}

// Write implements [http.ResponseWriter].
func (k *keeping) Write(b []byte) (int, error) {
	if !k.wrote {
		k.WriteHeader(http.StatusOK)
	}
	k.body.Write(b)
	return k.ResponseWriter.Write(b)
}

// Unwrap is for [http.ResponseController].
func (k *keeping) Unwrap() http.ResponseWriter { return k.ResponseWriter }
