package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/uuid"

	"sallyport/bridge"
	"sallyport/bridge/bundle"
	"sallyport/domain"
	"sallyport/eventstore"
	"sallyport/eventstore/eventstoretest"
	"sallyport/internal/boot"
	"sallyport/projections"
)

// station is a site on whose folders and database the program is run as a
// process of its own, to be killed, stopped and starved.
type station struct {
	*eventstoretest.Site
	name, dir, config string
	keys              bridge.Keys
	card              bridge.Card
}

// newStation makes a site whose folders lie in dir.
func newStation(t *testing.T, name string, role domain.Role, dir string) *station {
	t.Helper()
	s := &station{name: name, dir: dir, config: filepath.Join(dir, "sallyport.yaml")}
	epoch := eventstore.Genesis("test", name).String()[:32]
	s.Site = eventstoretest.New(t, eventstoretest.Setup{Site: name, Role: role, Epoch: epoch, Inline: projections.Inline(), MaxConns: 4})
	var err error
	if s.keys, err = bridge.EnsureKeys(filepath.Join(dir, "keys")); err != nil {
		t.Fatal(err)
	}
	if s.card, err = s.keys.Card(name, role, epoch); err != nil {
		t.Fatal(err)
	}
	c := boot.Config{Site: name, Role: role, Listen: "127.0.0.1:0", Database: boot.Database{URL: s.AppURL, MaxConns: 4}}
	if err := c.Write(s.config); err != nil {
		t.Fatal(err)
	}
	return s
}

// newStations makes a request site and a response site that are linked.
func newStations(t *testing.T) (field, core *station) {
	t.Helper()
	return newStationsIn(t, t.TempDir(), t.TempDir())
}

func newStationsIn(t *testing.T, fieldDir, coreDir string) (field, core *station) {
	t.Helper()
	field = newStation(t, "field", domain.RequestSite, fieldDir)
	core = newStation(t, "core", domain.ResponseSite, coreDir)
	field.link(t, core.card)
	core.link(t, field.card)
	return field, core
}

func (s *station) link(t *testing.T, card bridge.Card) {
	t.Helper()
	s.must(t, "link", "add", writeFile(t, t.TempDir(), "card.json", card.Encode()))
}

// submit appends requests to the site's log.
func (s *station) submit(t *testing.T, n int) {
	t.Helper()
	writes := make([]eventstore.Write, n)
	for i := range writes {
		writes[i] = eventstore.Write{Stream: domain.RequestStream(uuid.NewString()), Facts: []domain.Fact{
			domain.RequestSubmitted{Type: "airport", TypeVersion: 1, Params: []byte(`{"iata":"AMS"}`), Priority: 5, User: uuid.NewString()}}}
	}
	if _, err := s.Store.Append(t.Context(), eventstore.Append{Actor: "cli:test", Writes: writes}); err != nil {
		t.Fatal(err)
	}
}

// command is the program on this site, not yet started; it is killed when ctx
// ends. Its output is JSON.
func (s *station) command(ctx context.Context, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, "sallyport", append([]string{"-C", s.config, "-o", "json"}, args...)...)
	cmd.Env = append(os.Environ(), "GORACE=atexit_sleep_ms=0") // else each ends a second late
	return cmd
}

// try runs the program to its end.
func (s *station) try(t *testing.T, args ...string) result {
	t.Helper()
	return ended(t, s.command(t.Context(), args...))
}

func ended(t *testing.T, cmd *exec.Cmd) result {
	t.Helper()
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) && !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	if strings.Contains(stderr.String(), "DATA RACE") {
		t.Errorf("a data race:\n%s", &stderr)
	}
	return result{cmd.ProcessState.ExitCode(), stdout.String(), stderr.String()}
}

// must runs the program, which must succeed.
func (s *station) must(t *testing.T, args ...string) result {
	t.Helper()
	r := s.try(t, args...)
	if r.code != 0 {
		t.Fatalf("%s: sallyport %v: exit code %d\n%s", s.name, args, r.code, r.stderr)
	}
	return r
}

func decodeInto(t *testing.T, text string, v any) {
	t.Helper()
	if err := json.Unmarshal([]byte(text), v); err != nil {
		t.Fatalf("%v in %q", err, text)
	}
}

// bundles lists the bundles in a folder of the site, by name.
func (s *station) bundles(t *testing.T, folder string) []string {
	t.Helper()
	return slices.DeleteFunc(s.names(t, folder), func(name string) bool {
		_, err := bundle.ParseName(name)
		return err != nil
	})
}

func (s *station) names(t *testing.T, folder string) (names []string) {
	t.Helper()
	entries, err := os.ReadDir(filepath.Join(s.dir, folder))
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}

// drop puts a file into the inbox, whole or not at all.
func (s *station) drop(t *testing.T, name string, data []byte) {
	t.Helper()
	if err := os.Rename(writeFile(t, s.dir, "coming", data), filepath.Join(s.dir, "inbox", name)); err != nil {
		t.Fatal(err)
	}
}
