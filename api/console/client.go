package console

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
)

// maxAnswer bounds what a page reads of an answer. What is larger is there to
// be downloaded.
const maxAnswer = 17 << 20

// handedOn are headers of the browser's call that the API is to know.
var handedOn = []string{"User-Agent", "X-Forwarded-For", "X-Request-Id"}

// get reads what the API answers at a path.
func (v *visit) get(path string, into any) error {
	_, err := v.call(http.MethodGet, path, nil, into, nil)
	return err
}

// send has the API do something. A nil body sends none; into may be nil. The
// headers of the answer are returned.
func (v *visit) send(method, path string, body, into any, headers map[string]string) (http.Header, error) {
	return v.call(method, path, body, into, headers)
}

// call calls the API as whoever is signed in, with new tokens if the old ones
// are about to expire or are refused.
func (v *visit) call(method, path string, body, into any, headers map[string]string) (http.Header, error) {
	if v.session == nil {
		return nil, errSignedOut
	}
	if v.session.expired(v.console.Now()) {
		if err := v.renew(); err != nil {
			return nil, err
		}
	}
	h, err := v.callOnce(method, path, body, into, headers)
	var p *problem
	if errors.As(err, &p) && p.Code() == "invalid-token" {
		if err := v.renew(); err != nil {
			return nil, err
		}
		if h, err = v.callOnce(method, path, body, into, headers); errors.As(err, &p) && p.Status == http.StatusUnauthorized {
			return h, errSignedOut
		}
	}
	return h, err
}

func (v *visit) callOnce(method, path string, body, into any, headers map[string]string) (http.Header, error) {
	w := &recorder{header: http.Header{}, page: v.w}
	if err := v.ask(w, method, path, body, headers); err != nil {
		return nil, err
	}
	return w.header, w.result(into)
}

// ask sends a request through the API's handler.
func (v *visit) ask(w http.ResponseWriter, method, path string, body any, headers map[string]string) error {
	var content io.Reader = http.NoBody
	switch b := body.(type) {
	case nil:
	case io.Reader:
		content = b
	default:
		text, err := json.Marshal(b)
		if err != nil {
			return fmt.Errorf("encode what is sent to %s: %w", path, err)
		}
		content = bytes.NewReader(text)
	}
	r, err := http.NewRequestWithContext(v.r.Context(), method, path, content) //nolint:gosec // it goes to our own handler
	if err != nil {
		return fmt.Errorf("call %s: %w", path, err)
	}
	if body != nil {
		r.Header.Set("Content-Type", "application/json")
	}
	for _, name := range handedOn {
		if given := v.r.Header[name]; len(given) > 0 {
			r.Header[name] = given
		}
	}
	for name, value := range headers {
		r.Header.Set(name, value)
	}
	if v.session != nil {
		r.Header.Set("Authorization", "Bearer "+v.session.Access)
	}
	r.Host, r.RemoteAddr, r.TLS, r.RequestURI = v.r.Host, v.r.RemoteAddr, v.r.TLS, path
	v.console.API.ServeHTTP(w, r)
	return nil
}

// recorder keeps an answer of the API, up to a bound.
type recorder struct {
	header http.Header
	status int
	body   bytes.Buffer
	over   bool // it was larger
	page   http.ResponseWriter
}

func (w *recorder) Header() http.Header { return w.header }

func (w *recorder) WriteHeader(status int) {
	if w.status == 0 {
		w.status = status
	}
}

func (w *recorder) Write(b []byte) (int, error) {
	w.WriteHeader(http.StatusOK)
	if w.body.Len()+len(b) > maxAnswer {
		w.over = true
		return 0, errTooLarge
	}
	return w.body.Write(b)
}

// Flush does nothing: an answer is read when it is whole.
func (w *recorder) Flush() {}

// Unwrap lets the API give the browser's connection more time.
func (w *recorder) Unwrap() http.ResponseWriter { return w.page }

// result decodes the answer, or the problem that it is.
func (w *recorder) result(into any) error {
	switch {
	case w.over:
		return errTooLarge
	case w.status >= http.StatusBadRequest:
		return readProblem(w.status, w.header, w.body.Bytes())
	case into == nil || w.body.Len() == 0:
		return nil
	}
	if raw, ok := into.(*[]byte); ok {
		*raw = w.body.Bytes()
		return nil
	}
	if err := json.Unmarshal(w.body.Bytes(), into); err != nil {
		return fmt.Errorf("read an answer of the API: %w", err)
	}
	return nil
}

// pass hands an answer of the API on as a file of this name; empty: the name
// that the API gives. A problem is returned instead.
func (v *visit) pass(path, name string) error {
	if err := v.get("/auth/me", nil); err != nil { // tokens that will do
		return err
	}
	w := &passing{to: v.w, name: name}
	if err := v.ask(w, http.MethodGet, path, nil, nil); err != nil {
		return err
	}
	if w.refused != nil {
		return w.refused.result(nil)
	}
	return nil
}

// passing hands an answer on while it is made, but keeps a problem.
type passing struct {
	to      http.ResponseWriter
	name    string
	own     http.Header
	begun   bool
	refused *recorder
}

func (w *passing) Header() http.Header {
	if w.own == nil {
		w.own = http.Header{}
	}
	return w.own
}

func (w *passing) WriteHeader(status int) {
	if w.begun {
		return
	}
	w.begun = true
	if status != http.StatusOK {
		w.refused = &recorder{header: w.Header(), status: max(status, http.StatusBadRequest), page: w.to}
		return
	}
	h := w.to.Header()
	for _, name := range []string{"Content-Type", "Content-Length", "Content-Disposition", "Etag", "X-Request-Id"} {
		if given := w.Header()[name]; len(given) > 0 {
			h[name] = given
		}
	}
	if w.name != "" {
		h.Set("Content-Disposition", `attachment; filename="`+strings.Map(plainName, w.name)+`"`)
	}
	w.to.WriteHeader(status)
}

func (w *passing) Write(b []byte) (int, error) {
	w.WriteHeader(http.StatusOK)
	if w.refused != nil {
		return w.refused.Write(b)
	}
	return w.to.Write(b)
}

// Unwrap lets the API give the browser's connection more time, and flush it.
func (w *passing) Unwrap() http.ResponseWriter { return w.to }

// plainName keeps of a file's name what means the same everywhere.
func plainName(r rune) rune {
	if r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '-' || r == '_' || r == '.' {
		return r
	}
	return '-'
}
