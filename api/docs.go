package api

import (
	"bytes"
	"compress/gzip"
	"context"
	"embed"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"strings"
	"sync"

	"github.com/gorilla/mux"
	swagger "github.com/swaggest/swgui/v5/static"
)

// page is the documentation's own part; the rest of it is Swagger UI.
//
//go:embed docs
var page embed.FS

// pagePolicy lets the page load what this site serves, and its icons, which
// are data; nothing is inline, nothing comes from elsewhere.
const pagePolicy = "default-src 'self'; img-src 'self' data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

// pageFile is a file of the documentation, as it is sent.
type pageFile struct {
	document
	media  string
	zipped bool // by gzip
}

// documentation is what all sites that a process serves show of it.
var documentation = sync.OnceValues(loadPage)

// loadPage gathers the files of the page by their names; the page itself has
// none.
func loadPage() (map[string]pageFile, error) {
	files := map[string]pageFile{}
	for _, f := range []struct {
		name  string
		from  fs.FS
		path  string
		media string
	}{
		{"", page, "docs/index.html", "text/html; charset=utf-8"},
		{"start.js", page, "docs/start.js", "text/javascript; charset=utf-8"},
		{"swagger-ui.css", swagger.FS, "swagger-ui.css.gz", "text/css; charset=utf-8"},
		{"swagger-ui-bundle.js", swagger.FS, "swagger-ui-bundle.js.gz", "text/javascript; charset=utf-8"},
		{"favicon-32x32.png", swagger.FS, "favicon-32x32.png", "image/png"},
	} {
		data, err := fs.ReadFile(f.from, f.path)
		if err != nil {
			return nil, fmt.Errorf("the documentation: %w", err)
		}
		files[f.name] = pageFile{document: newDocument(data), media: f.media, zipped: strings.HasSuffix(f.path, ".gz")}
	}
	return files, nil
}

// docs gives the page that shows the description, and its files.
func (s *server) docs(_ context.Context, c *call) (answer, error) {
	f, ok := s.page[mux.Vars(c.Request)["file"]]
	if !ok {
		return answer{}, errNotFound
	}
	a := answer{raw: f.body, etag: f.tag, media: f.media, policy: pagePolicy}
	zipped := f.zipped && strings.Contains(c.Header.Get("Accept-Encoding"), "gzip")
	if zipped {
		a.encoding, a.etag = "gzip", strings.TrimSuffix(f.tag, `"`)+`-gzip"`
	}
	if known(c.Header["If-None-Match"], a.etag) {
		a.status, a.raw = http.StatusNotModified, nil
		return a, nil
	}
	if !f.zipped || zipped {
		return a, nil
	}
	r, err := gzip.NewReader(bytes.NewReader(f.body))
	if err == nil {
		a.raw, err = io.ReadAll(r)
	}
	return a, err
}
