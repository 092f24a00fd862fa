package archtest

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// heldBy is a test as docs/faults.md names it.
var heldBy = regexp.MustCompile(`\[(Test\w+)\]\(([^)]+_test\.go)\)`)

// TestFaultsAreHeld: each row of docs/faults.md names the tests that hold it,
// and each of them is where it says.
func TestFaultsAreHeld(t *testing.T) {
	t.Parallel()
	docs := filepath.Join("..", "..", "docs")
	text, err := os.ReadFile(filepath.Join(docs, "faults.md"))
	if err != nil {
		t.Fatal(err)
	}
	rows := 0
	for line := range strings.Lines(string(text)) {
		if !strings.HasPrefix(line, "| ") || strings.Contains(line, "| held by |") {
			continue
		}
		rows++
		tests := heldBy.FindAllStringSubmatch(line, -1)
		if len(tests) == 0 {
			t.Errorf("no test is named in: %s", line)
		}
		for _, test := range tests {
			file := filepath.Join(docs, filepath.FromSlash(test[2]))
			code, err := os.ReadFile(file) // #nosec G304 -- a file of this module
			if err != nil || !strings.Contains(string(code), "func "+test[1]+"(t *testing.T)") {
				t.Errorf("docs/faults.md names %s in %s, which is not there (%v)", test[1], test[2], err)
			}
		}
	}
	if rows < 40 {
		t.Errorf("only %d rows were found", rows)
	}
}
