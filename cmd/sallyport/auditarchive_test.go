package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"sallyport/domain"
	"sallyport/eventstore"
)

// Killed again and again, an archive is finished by the run after, and every audit
// command prints of it, without a database, what it prints of the log.
func TestAuditArchive(t *testing.T) {
	t.Parallel()
	field := newStation(t, "field", domain.RequestSite, t.TempDir())
	for range 3 {
		field.submit(t, 1000)
	}
	dir, card := filepath.Join(t.TempDir(), "archive"), writeFile(t, t.TempDir(), "card.json", field.card.Encode())
	args := []string{"audit", "archive", "--before", "3001", "--dir", dir, "--segment", "100"}
	for kills, had := 0, 0; kills < 2; kills++ {
		had = field.killedAt(t, had, dir, args)
	}
	var made archiveMade
	decodeInto(t, field.must(t, args...).stdout, &made)
	if len(made.Segments) != 30 || made.Through != 3000 || !made.Segments[29].Made && made.Segments[0].Made {
		t.Fatalf("made %+v", made)
	}
	if hidden, err := filepath.Glob(filepath.Join(dir, ".*")); err != nil || len(hidden) > 1 { // what a kill left half written
		t.Errorf("left %v, %v", hidden, err)
	}
	stream := field.streamAt(t, 1234)
	for _, command := range [][]string{
		{"audit", "log", "-o", "jsonl", "--to", "3000"}, {"audit", "log", "-o", "table", "--from", "90", "--to", "110"},
		{"audit", "log", "-o", "json", "--stream", stream, "--to", "3000"}, {"audit", "log", "--after", "2990", "--to", "3000", "--limit", "5", "-o", "jsonl"},
		{"audit", "log", "--reverse", "--before", "2950", "--limit", "120", "-o", "jsonl"}, {"audit", "log", "--last", "7", "--stream", stream, "--to", "3000", "-o", "jsonl"},
		{"audit", "log", "--last", "150", "--to", "2990", "-o", "json"},
		{"audit", "state", stream, "--as-of", "3000", "-o", "json"}, {"audit", "state", stream, "--as-of", "1234", "-o", "table"},
	} {
		want := field.here(t, command...)
		got := call(t, append(command, "--archive", dir, "--card", card)...)
		if got.code != 0 || got.stdout != want.stdout || want.stdout == "" {
			t.Errorf("%v: exit code %d: %.500s%s, want %.500s", command, got.code, got.stdout, got.stderr, want.stdout)
		}
	}
	field.here(t, "audit", "verify", "--archive", dir) // by the configured site's own keys
	var all []eventstore.Verified
	if r := call(t, "audit", "verify", "--archive", dir, "--card", card, "-o", "json"); r.code != 0 {
		t.Errorf("exit code %d: %s%s", r.code, r.stdout, r.stderr)
	} else if decodeInto(t, r.stdout, &all); len(all) != 1 || all[0].Events != 3000 || !all[0].OK {
		t.Errorf("verified %+v", all)
	}
	field.givesAway(t, dir, card, strings.TrimPrefix(stream, "request-"))
	refusesArchives(t, dir, card)
}

// givesAway makes evidence and an export of the archive: they prove what those of
// the log do.
func (s *station) givesAway(t *testing.T, archive, card, request string) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "evidence.txt")
	s.here(t, "audit", "evidence", request, "--archive", archive, "--out", file)
	if r := call(t, "audit", "evidence", "--check", file, "--card", card, "-o", "json"); r.code != 0 || !strings.Contains(r.stdout, `"proof": "signed"`) {
		t.Errorf("exit code %d: %s%s", r.code, r.stdout, r.stderr)
	}
	of := func(more ...string) string {
		file := filepath.Join(t.TempDir(), "export")
		s.here(t, append([]string{"audit", "export", "--from", "90", "--to", "2990", "--out", file}, more...)...)
		r := call(t, "bundle", "cat", file, "--card", card)
		if r.code != 0 {
			t.Errorf("exit code %d: %s", r.code, r.stderr)
		}
		return r.stdout
	}
	if log, archived := of(), of("--archive", archive); log != archived || strings.Count(log, "\n") != 2901 {
		t.Errorf("of the archive %d bytes were exported, of the log %d", len(archived), len(log))
	}
	for code, wrong := range map[int][]string{2: {"export", "--to", "3001"}, 3: {"export", "-C", card + ".none"}} {
		if r := call(t, append(append([]string{"-C", s.config, "audit"}, wrong...), "--archive", archive, "--card", card, "--out", file+"2")...); r.code != code {
			t.Errorf("%v: exit code %d: %s", wrong, r.code, r.stderr)
		}
	}
	if r := call(t, "-C", s.config, "audit", "evidence", "019aa1d4-11f3-7d02-8a47-6f1f5a3b9c0d", "--archive", archive); r.code != 2 {
		t.Errorf("of a request that is not there: exit code %d: %s", r.code, r.stderr)
	}
}

// killedAt runs a command and kills it once it has published more segments.
func (s *station) killedAt(t *testing.T, had int, dir string, args []string) (have int) {
	t.Helper()
	cmd := s.command(t.Context(), args...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	for tick := time.NewTicker(time.Millisecond); ; <-tick.C {
		files, err := filepath.Glob(filepath.Join(dir, "archive_*"))
		if err != nil {
			t.Fatal(err)
		}
		if have = len(files); have > had+2 || have == 30 {
			break
		}
	}
	_ = cmd.Process.Kill() // it may have ended by itself
	_ = cmd.Wait()
	return have
}

// here runs the program on this site, in this process; it must succeed.
func (s *station) here(t *testing.T, args ...string) result {
	t.Helper()
	r := call(t, append([]string{"-C", s.config}, args...)...)
	if r.code != 0 {
		t.Fatalf("%s: sallyport %v: exit code %d\n%s", s.name, args, r.code, r.stderr)
	}
	return r
}

// streamAt is the stream of an event.
func (s *station) streamAt(t *testing.T, seq int64) (stream string) {
	t.Helper()
	if err := s.Pool.QueryRow(t.Context(), `SELECT stream FROM events WHERE seq = $1`, seq).Scan(&stream); err != nil {
		t.Fatal(err)
	}
	return stream
}

// refusesArchives damages an archive: each command says where.
func refusesArchives(t *testing.T, dir, card string) {
	t.Helper()
	path := filepath.Join(dir, "archive_field_0000001201-0000001300.jsonl.zst")
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	altered := bytes.Clone(text)
	altered[len(text)/2] ^= 1
	for code, with := range map[int][]byte{10: altered, 11: text[:len(text)-1], 12: nil} {
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
		if with != nil {
			writeFile(t, dir, filepath.Base(path), with)
		}
		for _, command := range [][]string{{"verify"}, {"log"}, {"state", "site-field"}} {
			r := call(t, append(append([]string{"audit"}, command...), "--archive", dir, "--card", card, "-o", "jsonl")...)
			if r.code != code || !strings.Contains(r.stderr, "seq 1201 to 1300") {
				t.Errorf("%v: exit code %d, want %d: %s", command, r.code, code, r.stderr)
			}
		}
		writeFile(t, dir, filepath.Base(path), text)
	}
	for _, wrong := range [][]string{{"--archive", dir, "--card", path}, {"--archive", dir + "x", "--card", card}, {"--archive", t.TempDir(), "--card", card}, {"--card", card},
		{"--archive", dir, "--card", card, "--to", "3001"}, {"--archive", dir, "--card", card, "--follow"}} {
		if r := call(t, append([]string{"audit", "log", "-o", "jsonl"}, wrong...)...); r.code != 2 || r.stderr == "" {
			t.Errorf("%v: exit code %d: %s", wrong, r.code, r.stderr)
		}
	}
	if r := call(t, "audit", "log", "--archive", dir, "-C", filepath.Join(dir, "none")); r.code != 3 {
		t.Errorf("with no card: exit code %d: %s", r.code, r.stderr)
	}
	for _, wrong := range [][]string{{}, {"--before", "x", "--dir", dir}, {"--before", "5"}, {"--before", "5", "--dir", dir, "--segment", strconv.Itoa(0)}} {
		if r := call(t, append([]string{"audit", "archive"}, wrong...)...); r.code != 2 {
			t.Errorf("audit archive %v: exit code %d: %s", wrong, r.code, r.stderr)
		}
	}
}
