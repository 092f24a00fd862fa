package pgdev

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// MinVersion is the oldest major version of PostgreSQL that is used.
const MinVersion = 15

// findBinaries returns the folder of server programs to use: of the version of an existing cluster if want is not empty, else
// the first found that is new enough, else downloaded.
func findBinaries(ctx context.Context, cfg Config, who account, want string) (string, error) {
	folders := cfg.Search
	if folders == nil {
		folders = usualPlaces(ctx)
	}
	var seen []string
	for _, dir := range folders {
		if !complete(dir) || !who.canEnter(ctx, dir) {
			continue
		}
		major, err := version(ctx, dir)
		if err != nil {
			continue // not a program of this machine, or broken: as good as absent
		}
		if (want == "" && major >= MinVersion) || want == strconv.Itoa(major) {
			cfg.say("postgresql: using the PostgreSQL %d programs in %s", major, dir)
			return dir, nil
		}
		seen = append(seen, strconv.Itoa(major))
	}
	if want != "" && want != downloadMajor() {
		return "", fmt.Errorf("the cluster was made by PostgreSQL %s, the programs at hand are of version %s: install PostgreSQL %s, or remove the folder to start anew; nothing was changed",
			want, strings.Join(append(seen, downloadMajor()), ", "), want)
	}
	return download(ctx, cfg, who)
}

// usualPlaces lists folders that may hold server programs, best first.
func usualPlaces(ctx context.Context) []string {
	var dirs []string
	if p, err := exec.LookPath("postgres"); err == nil {
		if real, err := filepath.EvalSymlinks(p); err == nil {
			dirs = append(dirs, filepath.Dir(real))
		}
	}
	if out, err := exec.CommandContext(ctx, "pg_config", "--bindir").Output(); err == nil {
		dirs = append(dirs, strings.TrimSpace(string(out)))
	}
	for _, pattern := range []string{
		"/usr/lib/postgresql/*/bin", "/usr/pgsql-*/bin", "/usr/local/pgsql/bin", "/opt/homebrew/opt/postgresql*/bin",
		"/usr/local/opt/postgresql*/bin", "/Applications/Postgres.app/Contents/Versions/*/bin", "/usr/libexec/postgresql*", "/usr/bin",
	} {
		found, err := filepath.Glob(pattern)
		if err != nil {
			continue // a pattern above is wrong, which a test would show
		}
		slices.Sort(found)
		slices.Reverse(found) // newest first
		dirs = append(dirs, found...)
	}
	return dirs
}

// complete tells whether the folder holds the three programs we run; client packages bring some of them only.
func complete(dir string) bool {
	for _, name := range []string{"postgres", "initdb", "pg_ctl"} {
		info, err := os.Stat(filepath.Join(dir, name))
		if err != nil || info.IsDir() || info.Mode()&0o111 == 0 {
			return false
		}
	}
	return true
}

// version runs a harmless program of the folder and returns its major version.
func version(ctx context.Context, dir string) (int, error) {
	out, err := exec.CommandContext(ctx, filepath.Join(dir, "pg_ctl"), "--version").Output() // #nosec G204 -- chosen by us
	if err != nil {
		return 0, err
	}
	fields := strings.Fields(string(out)) // pg_ctl (PostgreSQL) 15.10 (Debian …)
	if len(fields) < 3 {
		return 0, errors.New("unknown answer of pg_ctl --version")
	}
	digits := strings.TrimRightFunc(strings.SplitN(fields[2], ".", 2)[0], func(r rune) bool { return r < '0' || r > '9' })
	if i := strings.IndexFunc(digits, func(r rune) bool { return r < '0' || r > '9' }); i >= 0 {
		digits = digits[:i] // 18beta1
	}
	return strconv.Atoi(digits)
}
