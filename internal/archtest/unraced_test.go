package archtest

import (
	"bytes"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

var (
	unracedIn = regexp.MustCompile(`(?m)-run '\$\(UNRACED\)' (.+?) \|\|`)
	unraced   = regexp.MustCompile(`(?m)^UNRACED\s*:= (.+)$`)
	testNames = regexp.MustCompile(`(?m)^func (Test\w+)\(t \*testing\.T\)`)
	notRaced  = []byte("//go:build !race\n")
)

// TestWhatIsNotRacedIsRun: `make test` runs by name what is not built with the
// race detector.
func TestWhatIsNotRacedIsRun(t *testing.T) {
	t.Parallel()
	makefile, err := os.ReadFile(filepath.Join("..", "..", "Makefile"))
	if err != nil {
		t.Fatal(err)
	}
	named := unraced.FindSubmatch(makefile)
	if named == nil {
		t.Fatal("the Makefile does not say what is run without the race detector")
	}
	run, err := regexp.Compile(string(named[1]))
	where := unracedIn.FindSubmatch(makefile)
	if err != nil || where == nil {
		t.Fatal("the Makefile does not say how it is run:", err)
	}
	places := strings.Fields(string(where[1]))
	found := 0
	for _, p := range packages(t) {
		for _, name := range slices.Concat(p.TestGoFiles, p.XTestGoFiles) {
			text := p.read(t, name)
			if !bytes.HasPrefix(text, notRaced) {
				continue
			}
			for _, test := range testNames.FindAllSubmatch(text, -1) {
				found++
				if !run.Match(test[1]) {
					t.Errorf("%s/%s: %s is never run: add it to UNRACED in the Makefile", p.at(), name, test[1])
				}
				within := func(place string) bool {
					above, all := strings.CutSuffix(strings.TrimPrefix(place, "./"), "/...")
					return p.at() == above || all && below(above, p.at())
				}
				if !slices.ContainsFunc(places, within) {
					t.Errorf("%s/%s: %s is never run: add the package to those of UNRACED in the Makefile", p.at(), name, test[1])
				}
			}
		}
	}
	if found == 0 {
		t.Error("no such test was found")
	}
}
