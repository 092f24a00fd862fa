package archtest

import (
	"encoding/json"
	"errors"
	"io"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

const module = "sallyport"

// pkg is what `go list` tells of a package. Test files are exempt: they may
// build whatever world they need.
type pkg struct {
	ImportPath   string
	Name         string
	Dir          string
	GoFiles      []string
	TestGoFiles  []string
	XTestGoFiles []string
	Imports      []string
	Error        *struct{ Err string }
}

// at is the package's place in the tree: "bridge/bundle", or "" for the root.
func (p pkg) at() string {
	return strings.TrimPrefix(strings.TrimPrefix(p.ImportPath, module), "/")
}

// ours lists the imports from this module, by their places.
func (p pkg) ours() (all []string) {
	for _, imported := range p.Imports {
		if at, ok := strings.CutPrefix(imported, module+"/"); ok {
			all = append(all, at)
		}
	}
	return all
}

func packages(t *testing.T) []pkg {
	t.Helper()
	root, err := filepath.Abs(filepath.Join("..", ".."))
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), "go", "list", "-e", "-json=ImportPath,Name,Dir,GoFiles,TestGoFiles,XTestGoFiles,Imports,Error", "./...")
	cmd.Dir = root
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	var all []pkg
	for dec := json.NewDecoder(strings.NewReader(string(out))); ; {
		var p pkg
		err := dec.Decode(&p)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		if p.Error != nil && len(p.GoFiles) > 0 {
			t.Errorf("%s: %s", p.ImportPath, p.Error.Err)
		}
		all = append(all, p)
	}
	if len(all) < 10 {
		t.Fatalf("go list found %d packages only: this test sees nothing", len(all))
	}
	return all
}

// rule says what the packages below a place may import of this module.
type rule struct {
	place string // a folder and all below it
	may   []string
	why   string
}

// rules is the direction of imports. The first rule whose place fits counts,
// so that a room may be held to less than its house.
func rules() []rule {
	low := []string{"bridge", "responders", "projections", "eventstore", "domain", "schema"}
	const apart = "bridge, responders and projections meet in the log, never each other"
	return []rule{
		{"domain", nil, "the rules are pure: the same on both sites, with nothing but the standard library"},
		{"bridge/bundle", nil, "the codec of the format can be taken out alone; what verifies a log shares nothing with what wrote it"},
		{"schema", []string{"domain"}, "schemas describe the domain's events"},
		{"eventstore", []string{"domain"}, "the log knows facts and not what is made of them"},
		{"bridge/wholefile", nil, "how a file is read and written safely knows nothing of what is in it"},
		{"bridge/media", []string{"bridge/bundle", "bridge/wholefile"}, "media are pure work on files: no database, no log"},
		{"bridge", []string{"bridge", "eventstore", "domain", "schema"}, apart},
		{"responders", []string{"responders", "eventstore", "domain", "schema", "internal/reach", "internal/fuse"}, apart},
		{"projections", []string{"projections", "eventstore", "domain", "schema"}, apart},
		{"internal/commands", slices.Concat(low, []string{"internal/password", "internal/apikey"}), "commands sit between the API and the log"},
		{"internal/tryout", []string{"responders", "projections", "domain", "schema"}, "to try out is to ask, and gives no commands"},
		{"internal/webhook", []string{"projections", "eventstore", "domain", "internal/reach"}, "webhooks follow from the log"},
		{"api/console", []string{"domain", "api/live", "api/console"}, "pages are made of the API's answers: a rule that they knew would be there twice"},
		{"api/live", []string{"eventstore"}, "what changes is told by the log alone"},
		{"api", slices.Concat(low, []string{"api", "internal/commands", "internal/password", "internal/apikey", "internal/periodic", "internal/tryout", "internal/webhook", "internal/fuse"}), "the API does not know who wires it"},
		{"internal/boot", slices.Concat(low, []string{"api", "internal"}), "boot wires what a site is made of"},
		{"internal/dev", slices.Concat(low, []string{"internal"}), "the development site goes in by boot"},
		{"internal/demo", slices.Concat(low, []string{"internal"}), "the demo goes in by HTTP, as anyone does"},
		{"internal/bench", slices.Concat(low, []string{"api", "internal"}), "a measurement may reach all it measures"},
		{"internal", []string{"domain", "internal"}, "what serves all knows nobody"},
		{"cmd", slices.Concat(low, []string{"cmd", "internal"}), "the API is wired in by boot"},
		{"deploy", nil, "deployment files have tests only"},
	}
}

func below(place, at string) bool { return at == place || strings.HasPrefix(at, place+"/") }

// forTests tells whether the package is a part of tests, as its name says.
func (p pkg) forTests() bool { return strings.HasSuffix(p.Name, "test") }

// TestTree holds all rules about packages to one list of them.
func TestTree(t *testing.T) {
	t.Parallel()
	all := packages(t)
	for name, check := range map[string]func(*testing.T, pkg){
		"imports point down":                importsPointDown,
		"few may import":                    fewMayImport,
		"domain is pure":                    domainIsPure,
		"packages are named for their work": namedForItsWork,
		"files are short":                   filesAreShort,
		"nothing is hidden":                 nothingIsHidden,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, p := range all {
				check(t, p)
			}
		})
	}
}

func importsPointDown(t *testing.T, p pkg) {
	if p.forTests() {
		return
	}
	i := slices.IndexFunc(rules(), func(r rule) bool { return below(r.place, p.at()) })
	if i < 0 {
		t.Errorf("%s lies in no room of the tree: give it a rule in this test, and ARCHITECTURE.md a line", p.ImportPath)
		return
	}
	for _, at := range p.ours() {
		if r := rules()[i]; !slices.ContainsFunc(r.may, func(m string) bool { return below(m, at) }) {
			t.Errorf("%s imports %s: %s", p.at(), at, r.why)
		}
	}
}

// ban keeps one place from being imported by any but a few.
type ban struct {
	imported string
	by       []string
	why      string
}

func bans() []ban {
	const private = "a private server is for development and tests; a site's own is given by its address"
	return []ban{
		{"internal/pgdev", []string{"internal/pgdev", "internal/boot", "internal/dev", "internal/bench", "cmd"}, private},
		{"internal/redisdev", []string{"internal/redisdev", "internal/boot", "internal/dev", "internal/bench", "cmd"}, private},
		{"internal/boot", []string{"internal/dev", "internal/demo", "internal/bench", "cmd"}, "whoever imports the wiring imports everything"},
		{"internal/commands", []string{"api", "internal/boot", "internal/dev", "internal/demo", "internal/bench", "cmd"}, "what is below the commands must not give any"},
		{"internal/dev", []string{"internal/demo", "internal/bench", "cmd"}, "a site never runs as a development site"},
		{"internal/bench", []string{"internal/bench", "cmd"}, "a measurement is no part of what is measured"},
	}
}

func fewMayImport(t *testing.T, p pkg) {
	if p.forTests() {
		return
	}
	for _, at := range p.ours() {
		if strings.HasSuffix(at, "test") && !below("internal/pgdev", p.at()) {
			t.Errorf("%s imports %s, which is for tests only", p.at(), at)
		}
		for _, b := range bans() {
			allowed := slices.ContainsFunc(b.by, func(place string) bool { return below(place, p.at()) })
			if below(b.imported, at) && !allowed {
				t.Errorf("%s imports %s: %s", p.at(), at, b.why)
			}
		}
	}
}

// domainIsPure: only the standard library, whose paths begin without a dot,
// and nothing of it that reaches for the world.
func domainIsPure(t *testing.T, p pkg) {
	if !below("domain", p.at()) {
		return
	}
	world := []string{"context", "database/sql", "net/http", "math/rand", "math/rand/v2", "crypto/rand", "os"}
	for _, imported := range p.Imports {
		first, _, _ := strings.Cut(imported, "/")
		if strings.Contains(first, ".") || slices.Contains(world, imported) {
			t.Errorf("%s imports %s: the rules are pure, without libraries, randomness or files", p.at(), imported)
		}
	}
}

func namedForItsWork(t *testing.T, p pkg) {
	empty := []string{"util", "utils", "common", "helper", "helpers", "model", "models", "misc", "shared", "base", "types"}
	for word := range strings.SplitSeq(p.at(), "/") {
		if slices.Contains(empty, word) {
			t.Errorf("%s says nothing about what it does", p.at())
		}
	}
}
