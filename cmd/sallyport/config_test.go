package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"sallyport/bridge"
	"sallyport/bridge/bundle"
	"sallyport/domain"
	"sallyport/eventstore"
	"sallyport/internal/boot"
)

const someConfig = `site: field
role: request
listen: 127.0.0.1:8001
database:
  url: postgres://sallyport:hunter2@localhost/field
  max_conns: 5
bridge:
  encrypt: when-needed
  export_every: 90s
responders:
  sources:
    airports:
      url_file: /run/secrets/airports
  searches:
    library:
      nodes: ["https://search-1.example:9200", "https://search-2.example:9200"]
      username: reader
      password: hunter2
    papers:
      nodes: ["https://papers.example:9200"]
      api_key: hunter2
`

func writeConfig(t *testing.T, text string) string {
	t.Helper()
	return writeFile(t, t.TempDir(), "sallyport.yaml", []byte(text))
}

func TestConfigFromFile(t *testing.T) {
	t.Parallel()
	path := writeConfig(t, someConfig)
	l, err := load(path)
	if err != nil {
		t.Fatal(err)
	}
	want := boot.Config{Site: "field", Role: domain.RequestSite, Listen: "127.0.0.1:8001", Data: filepath.Dir(path),
		Database: boot.Database{URL: "postgres://sallyport:hunter2@localhost/field", MaxConns: 5},
		Bridge:   boot.Bridge{Encrypt: "when-needed", ExportEvery: 90 * time.Second},
		Responders: boot.Responders{Sources: map[string]boot.Source{"airports": {URLFile: "/run/secrets/airports"}}, Searches: map[string]boot.Search{
			"library": {Nodes: []string{"https://search-1.example:9200", "https://search-2.example:9200"}, Username: "reader", Password: "hunter2"},
			"papers":  {Nodes: []string{"https://papers.example:9200"}, APIKey: "hunter2"}}}}
	if d := cmp.Diff(want, l.Config); d != "" {
		t.Error(d)
	}
	if l.from["bridge.export_every"] != path {
		t.Errorf("export_every is from %q", l.from["bridge.export_every"])
	}
}

// The environment is stronger than the file; it may name a secret's file.
func TestConfigFromEnvironment(t *testing.T) {
	path := writeConfig(t, someConfig)
	for name, value := range map[string]string{"SALLYPORT_LISTEN": "0.0.0.0:80", "SALLYPORT_BRIDGE_EXPORT_EVERY": "3m",
		"SALLYPORT_CORS_ORIGINS": "https://a.example,https://b.example", "SALLYPORT_DATABASE_MAX_CONNS": "7", "SALLYPORT_DATABASE_URL_FILE": "/run/secrets/url", "SALLYPORT_LOG_LEVEL": "debug"} {
		t.Setenv(name, value)
	}
	l, err := load(path)
	if err != nil {
		t.Fatal(err)
	}
	if l.Listen != "0.0.0.0:80" || l.Bridge.ExportEvery != 3*time.Minute || l.Database.MaxConns != 7 ||
		l.Database.URLFile != "/run/secrets/url" || l.Log.Level != "debug" || l.Site != "field" || len(l.CORS.Origins) != 2 {
		t.Errorf("%+v", l.Config)
	}
	if l.from["listen"] != "environment SALLYPORT_LISTEN" || l.from["site"] != path {
		t.Errorf("from %v", l.from)
	}
}

// A misspelt variable must not be as good as none.
func TestUnknownVariableIsRefused(t *testing.T) {
	t.Setenv("SALLYPORT_DATABASE_MAX_CONN", "5")
	t.Setenv("SALLYPORT_TEST_ANYTHING", "1")
	r := call(t, "-C", writeConfig(t, someConfig), "config", "validate")
	if r.code != 3 || !strings.Contains(r.stderr, "SALLYPORT_DATABASE_MAX_CONN,") || strings.Contains(r.stderr, "ANYTHING") {
		t.Errorf("exit code %d: %s", r.code, r.stderr)
	}
}

// Each setting that the environment can give has its key in the configuration.
func TestSettingsFromEnvironmentAllFit(t *testing.T) {
	var directly, byFile []string
	for _, key := range settings {
		if !strings.HasSuffix(key, "url") {
			byFile = append(byFile, key)
		}
		if !strings.HasSuffix(key, "url_file") {
			directly = append(directly, key)
		}
	}
	t.Run("directly", func(t *testing.T) { settingsFit(t, directly) })
	t.Run("by file", func(t *testing.T) { settingsFit(t, byFile) })
}

func settingsFit(t *testing.T, keys []string) {
	for _, key := range keys {
		value := "1"
		switch {
		case key == "listen":
			value = ":1"
		case key == "log.level":
			value = "debug"
		case key == "log.format":
			value = "text"
		case strings.HasSuffix(key, "_every"), key == "bridge.resend_after", key == "drain_notice", key == "retention.requests":
			value = "1m"
		case key == "bridge.keep":
			value = "1h"
		case strings.HasSuffix(key, "url"):
			value = "postgres://localhost/x"
		case key == "role":
			value = "request"
		case key == "trusted_proxies", key == "webhooks.allow":
			value = "10.0.0.0/8,127.0.0.1"
		case key == "cors.origins":
			value = "https://portal.example"
		case key == "bridge.encrypt":
			value = "always"
		}
		t.Setenv(envName(key), value)
	}
	l, err := load(writeConfig(t, ""))
	if err != nil {
		t.Fatal(err)
	}
	for _, key := range keys {
		if l.from[key] != "environment "+envName(key) {
			t.Errorf("%s is from %q", key, l.from[key])
		}
	}
}

func TestConfigRefused(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ text, says string }{
		"unknown key":           {someConfig + "colour: red\n", "colour"},
		"unknown key deeper":    {strings.Replace(someConfig, "max_conns", "max_cons", 1), "max_cons"},
		"no YAML":               {"site: [", "read the configuration"},
		"no number":             {strings.Replace(someConfig, "max_conns: 5", "max_conns: many", 1), "max_conns"},
		"no duration":           {strings.Replace(someConfig, "90s", "ninety", 1), "bridge.export_every"},
		"negative duration":     {strings.Replace(someConfig, "90s", "-90s", 1), "negative"},
		"unknown role":          {strings.Replace(someConfig, "role: request", "role: boss", 1), "role"},
		"site of another kind":  {strings.Replace(someConfig, "site: field", "site: Field", 1), "site"},
		"no database URL":       {strings.Replace(someConfig, "@localhost", "@localhost:port", 1), "database.url"},
		"encrypt never":         {strings.Replace(someConfig, "when-needed", "never", 1), "encrypt"},
		"empty":                 {"", "SALLYPORT_DATABASE_URL"},
		"listen on a word":      {strings.Replace(someConfig, "127.0.0.1:8001", "localhost", 1), "listen"},
		"listen on no port":     {strings.Replace(someConfig, ":8001", ":http!", 1), "listen"},
		"too many connections":  {strings.Replace(someConfig, "max_conns: 5", "max_conns: 1001", 1), "max_conns"},
		"a URL and its file":    {strings.Replace(someConfig, "  max_conns", "  url_file: /x\n  max_conns", 1), "not both"},
		"unknown log level":     {someConfig + "log:\n  level: loud\n", "log.level"},
		"unknown log format":    {someConfig + "log:\n  format: xml\n", "log.format"},
		"no source URL":         {strings.Replace(someConfig, "url_file: /run/secrets/airports", "url: postgres://u:hunter2@h:port/x", 1), "responders.sources.airports.url"},
		"a search nowhere":      {strings.Replace(someConfig, `nodes: ["https://papers.example:9200"]`, "nodes: []", 1), "responders.searches.papers: nodes"},
		"a login in a node":     {strings.Replace(someConfig, "https://papers", "https://u:hunter2@papers", 1), "holds a login"},
		"a login without TLS":   {strings.Replace(someConfig, "https://papers", "http://papers", 1), "without TLS"},
		"a node of nothing":     {strings.Replace(someConfig, "https://papers", "papers", 1), "no address"},
		"a password to nobody":  {strings.Replace(someConfig, "username: reader", "ca_file: /x", 1), "go together"},
		"a key and a password":  {strings.Replace(someConfig, "username: reader", "api_key_file: /x", 1), "not both"},
		"a password and a file": {strings.Replace(someConfig, "username: reader", "username: reader\n      password_file: /x", 1), "not both"},
		"a search of no name":   {strings.Replace(someConfig, "papers:", "Papers:", 1), "2 to 64"},
		"a source of nothing":   {strings.Replace(someConfig, "airports:\n      url_file: /run/secrets/airports", "airports: {}", 1), "responders.sources.airports"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			path := writeConfig(t, c.text)
			r := call(t, "-C", path, "config", "validate")
			if r.code != 3 || !strings.Contains(r.stderr, c.says) || !strings.Contains(r.stderr, path) {
				t.Errorf("exit code %d: %s", r.code, r.stderr)
			}
			if strings.Contains(r.stderr, "hunter2") {
				t.Errorf("the password is shown: %s", r.stderr)
			}
		})
	}
}

// Paths in a file mean the folder of that file, whatever folder we are in.
func TestDataFolderIsTheFilesOwn(t *testing.T) {
	dir := t.TempDir()
	t.Chdir(dir)
	if err := os.Mkdir("site", 0o700); err != nil {
		t.Fatal(err)
	}
	for text, want := range map[string]string{someConfig: "site", someConfig + "data: inner\n": filepath.Join("site", "inner"), someConfig + "data: /elsewhere\n": "/elsewhere"} {
		l, err := load(writeFile(t, "site", "sallyport.yaml", []byte(text)))
		if err != nil {
			t.Fatal(err)
		}
		if l.Data != want {
			t.Errorf("data is %q, want %q", l.Data, want)
		}
	}
}

func TestConfigShowHidesSecrets(t *testing.T) {
	t.Setenv("SALLYPORT_REDIS_URL", "redis://:hunter2@localhost")
	path := writeConfig(t, someConfig)
	for _, format := range []string{"table", "json", "jsonl"} {
		r := call(t, "-C", path, "config", "show", "-o", format)
		if r.code != 0 || strings.Contains(r.stdout+r.stderr, "hunter2") {
			t.Errorf("%s: exit code %d: %s%s", format, r.code, r.stdout, r.stderr)
		}
		if !strings.Contains(r.stdout, "environment SALLYPORT_REDIS_URL") || !strings.Contains(r.stdout, "max_conns") {
			t.Errorf("%s: %s", format, r.stdout)
		}
	}
}

func TestFirstConfigIsClosedAndKept(t *testing.T) {
	t.Setenv("SALLYPORT_DATABASE_URL", "postgres://u:hunter2@localhost/x")
	t.Setenv("SALLYPORT_DATABASE_MIGRATE_URL_FILE", "/run/owner/url")
	t.Setenv("SALLYPORT_SITE", "meadow")
	path := filepath.Join(t.TempDir(), "new", "sallyport.yaml")
	p := &program{}
	if err := p.firstConfig(path, boot.Config{Site: "core", Role: domain.ResponseSite, Data: filepath.Dir(path)}); err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Fatalf("%v, %v", info, err)
	}
	if text := readFile(t, path); strings.Contains(string(text), "migrate") || strings.Contains(string(text), "meadow") {
		t.Errorf("it tells of the database's owner, or the environment was stronger than the flags:\n%s", text)
	}
	if err := os.Unsetenv("SALLYPORT_SITE"); err != nil {
		t.Fatal(err)
	}
	l, err := load(path)
	if err != nil || l.Listen != "127.0.0.1:8000" || l.Data != filepath.Dir(path) || l.Database.URL == "" {
		t.Errorf("%+v, %v", l.Config, err)
	}
	if err := p.firstConfig(path, boot.Config{Site: "other", Role: domain.ResponseSite, Data: filepath.Dir(path)}); err != nil {
		t.Fatal(err)
	}
	if again, err := load(path); err != nil || again.Site != "core" {
		t.Errorf("it was written over: %+v, %v", again.Config, err)
	}
}

// TestAnImportEndsAsItsWorstFile: what is refused before what waits for an
// upgrade, and what only waits for another file is no failure.
func TestAnImportEndsAsItsWorstFile(t *testing.T) {
	t.Parallel()
	early := bridge.Outcome{File: "2", State: bridge.Held, Reason: "waits"}
	newer := bridge.Outcome{File: "1", State: bridge.Held, Err: &bundle.Error{Code: bundle.Upgrade, Msg: "upgrade this site first"}}
	broken := bridge.Outcome{File: "3", State: bridge.Quarantined, Err: &bundle.Error{Code: bundle.Damaged}}
	for want, outcomes := range map[int][]bridge.Outcome{0: {early}, 17: {early, newer}, 10: {newer, broken}} {
		if got := unwelcome(outcomes, false); exitCode(got) != want {
			t.Errorf("%+v exits %d by %v, want %d", outcomes, exitCode(got), got, want)
		}
	}
}

func TestExitCodes(t *testing.T) {
	t.Parallel()
	if got := exitCode(errors.New("something")); got != 1 {
		t.Errorf("anything else exits %d", got)
	}
	if got := exitCode(fmt.Errorf("append: %w", &eventstore.ReadOnlyError{Reason: "it lost events"})); got != 16 {
		t.Errorf("a read-only site exits %d", got)
	}
	want := map[int]bool{0: true, 1: true, 2: true, 3: true, 4: true, 10: true, 11: true, 12: true, 13: true, 14: true, 15: true, 16: true, 17: true}
	for _, e := range exits {
		if !want[e.code] || e.meaning == "" {
			t.Errorf("exit code %d %q is not one of the contract, or is there twice", e.code, e.meaning)
		}
		delete(want, e.code)
	}
	if len(want) > 0 {
		t.Errorf("no exit codes %v", want)
	}
}
