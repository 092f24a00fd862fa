package api

import (
	"context"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"

	"github.com/gorilla/mux"

	"sallyport/bridge"
)

// download gives a bundle's file, whole or in ranges.
func (s *server) download(ctx context.Context, c *call) (answer, error) {
	if err := noQuery(c); err != nil {
		return answer{}, err
	}
	f, err := s.Bridge.Fetch(ctx, mux.Vars(c.Request)["id"])
	if err != nil {
		return answer{}, err
	}
	if c.Method == get {
		if err := s.acted(ctx, c, "bundle.download", f.Name); err != nil {
			return answer{}, errors.Join(err, f.Close())
		}
	}
	return answer{file: f}, nil
}

// send streams a file. The tag names these bytes: a bundle that was made again
// has its old id and other bytes, and ranges of the two must not be joined.
func (s *server) send(ctx context.Context, w http.ResponseWriter, c *call, f *bridge.Fetched) {
	h := w.Header()
	h["Content-Type"] = []string{"application/octet-stream"}
	h["Content-Disposition"] = []string{mime.FormatMediaType("attachment", map[string]string{"filename": f.Name})}
	h["Etag"] = []string{`"` + f.Making + `"`}
	checked := &refusing{ResponseWriter: w, refuse: func(p *problem) { s.write(ctx, w, c, s.problem(ctx, w, c, p)) }}
	http.ServeContent(checked, c.Request, "", f.Modified, f)
	if err := f.Close(); err != nil {
		s.Logger.WarnContext(ctx, "a file that was sent did not close", "trace_id", c.id, "file", f.Name, "error", err)
	}
}

// refusing makes problem documents of what [http.ServeContent] refuses.
type refusing struct {
	http.ResponseWriter
	refuse  func(*problem)
	refused bool
}

var fileRefusals = map[int]*problem{
	http.StatusRequestedRangeNotSatisfiable: {Status: http.StatusRequestedRangeNotSatisfiable, code: "range-not-in-file",
		Detail: "the file has no such range: see Content-Range for its size"},
	http.StatusPreconditionFailed: {Status: http.StatusPreconditionFailed, code: "precondition-failed",
		Detail: "the file is not the one that you name: it was made again"},
}

// WriteHeader implements [http.ResponseWriter].
func (r *refusing) WriteHeader(status int) {
	p := fileRefusals[status]
	if p == nil {
		r.ResponseWriter.WriteHeader(status)
		return
	}
	r.refused = true
	for _, name := range []string{"Etag", "Content-Disposition", "Last-Modified"} {
		r.Header().Del(name)
	}
	r.refuse(p)
}

// Write implements [http.ResponseWriter]; the text of a refusal is dropped.
func (r *refusing) Write(b []byte) (int, error) {
	if r.refused {
		return len(b), nil
	}
	return r.ResponseWriter.Write(b)
}

// upload puts a file into the inbox.
func (s *server) upload(ctx context.Context, c *call) (answer, error) {
	if err := noQuery(c); err != nil {
		return answer{}, err
	}
	if c.Header.Get("Content-Encoding") != "" || c.Header.Get("Content-Range") != "" {
		return answer{}, errWholeFile
	}
	tooLarge := s.fileTooLarge()
	if c.ContentLength > s.Bridge.FileLimit() {
		return answer{}, tooLarge
	}
	body := &arriving{body: c.Body}
	received, err := s.Bridge.Receive(ctx, mux.Vars(c.Request)["filename"], body)
	var over *http.MaxBytesError
	switch {
	case errors.As(body.err, &over):
		return answer{}, tooLarge
	case body.err != nil:
		return answer{}, bodyError(body.err)
	case err != nil:
		return answer{}, err
	}
	// The file was taken in only now: until then nobody could know what it is.
	if err := s.acted(ctx, c, "inbox.upload", received.File); err != nil {
		return answer{}, err
	}
	status := http.StatusCreated
	if received.Already {
		status = http.StatusOK
	}
	return s.behind(ctx, answer{status: status, value: received}, nil)
}

var errWholeFile = &problem{Status: http.StatusUnsupportedMediaType, code: "media-type",
	Detail: "send the whole file, byte for byte, without Content-Encoding or Content-Range; nothing was stored"}

func (s *server) fileTooLarge() *problem {
	return &problem{Status: http.StatusRequestEntityTooLarge, code: "body-too-large",
		Detail: fmt.Sprintf("no bundle is larger than %d MiB; nothing was stored", s.Bridge.FileLimit()>>20)}
}

// arriving remembers why a body ended early, so that the caller's end is not
// taken for a fault of this site.
type arriving struct {
	body io.Reader
	err  error
}

func (a *arriving) Read(p []byte) (int, error) {
	n, err := a.body.Read(p)
	if err != nil && !errors.Is(err, io.EOF) {
		a.err = err
	}
	return n, err
}
