package api

import (
	"fmt"
	"mime"
	"net/http"
	"strings"

	"github.com/klauspost/compress/gzhttp"
)

// minCompressed is the size from which on compressing pays.
const minCompressed = 1024

var variesByEncoding = []string{"Accept-Encoding"}

// compressing answers those who can read it in zstd or gzip. What is compressed
// already, such as a bundle, stays as it is; nothing is held back to compress
// it whole. A tag names the encoding too, as another encoding is other bytes.
func compressing(h http.Handler) (http.Handler, error) {
	wrap, err := gzhttp.NewWrapper(gzhttp.MinSize(minCompressed), gzhttp.ContentTypeFilter(compressible),
		gzhttp.SuffixETag("-gzip"), gzhttp.SetContentType(false))
	if err != nil {
		return nil, fmt.Errorf("prepare the compression of answers: %w", err)
	}
	compressed := wrap(h)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		for i, tags := range r.Header["If-Match"] {
			r.Header["If-Match"][i] = anyEncoding.Replace(tags)
		}
		if len(r.Header["Accept-Encoding"]) > 0 {
			compressed(w, r)
			return
		}
		w.Header()["Vary"] = variesByEncoding
		h.ServeHTTP(w, r)
	}), nil
}

// anyEncoding takes out of tags which encoding they were given for.
var anyEncoding = strings.NewReplacer(`-gzip"`, `"`, `-zstd"`, `"`)

func compressible(contentType string) bool {
	media, _, err := mime.ParseMediaType(contentType)
	if err != nil {
		return false
	}
	switch media {
	case "application/json", "application/problem+json", "application/jsonl", "application/x-ndjson", "application/yaml":
		return true
	}
	return strings.HasPrefix(media, "text/")
}
