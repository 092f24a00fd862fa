package archtest

import (
	"bytes"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"testing"
)

// maxLines bounds a file: what is longer has more than one idea.
const maxLines = 500

// generated is what the Go tools take for the mark of generated code.
var generated = regexp.MustCompile(`(?m)^// Code generated .* DO NOT EDIT\.$`)

func filesAreShort(t *testing.T, p pkg) {
	for _, name := range slices.Concat(p.GoFiles, p.TestGoFiles, p.XTestGoFiles) {
		text := p.read(t, name)
		if n := bytes.Count(text, []byte("\n")); n > maxLines && !generated.Match(text) {
			t.Errorf("%s/%s has %d lines, more than %d: split it by ideas", p.at(), name, n, maxLines)
		}
	}
}

func (p pkg) read(t *testing.T, name string) []byte {
	text, err := os.ReadFile(filepath.Join(p.Dir, name)) // #nosec G304 -- a file of this module
	if err != nil {
		t.Error(err)
	}
	return text
}

// hiding is code that hides where a program gets its world from.
type hiding struct {
	pattern *regexp.Regexp
	except  []string
	why     string
}

func hidings() []hiding {
	return []hiding{
		{regexp.MustCompile(`(?m)^func init\(\)`), nil, "what runs before main has no owner"},
		{regexp.MustCompile(`\bos\.(Getenv|LookupEnv|Environ)\(`), []string{"cmd", "internal/pgdev", "internal/redisdev"}, "the environment is read once, at the top"},
		{regexp.MustCompile(`\btime\.Sleep\(`), nil, "wait for a signal, or for a ticker that a context ends"},
	}
}

func nothingIsHidden(t *testing.T, p pkg) {
	for _, name := range p.GoFiles {
		text := p.read(t, name)
		for _, h := range hidings() {
			exempt := slices.ContainsFunc(h.except, func(place string) bool { return below(place, p.at()) })
			if found := h.pattern.Find(text); found != nil && !exempt {
				t.Errorf("%s/%s: %s: %s", p.at(), name, found, h.why)
			}
		}
	}
}
