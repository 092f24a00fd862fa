package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"sallyport/bridge"
	"sallyport/domain"
)

func TestAuditLog(t *testing.T) {
	t.Parallel()
	field := newStation(t, "field", domain.RequestSite, t.TempDir())
	field.submit(t, 5)
	type event struct {
		Seq          int64
		Type, Stream string
		Data         map[string]any
	}
	list := func(args ...string) (all []event) {
		t.Helper()
		decodeInto(t, field.must(t, append([]string{"audit", "log"}, args...)...).stdout, &all)
		return all
	}
	all := list("--type", "request.submitted")
	if len(all) != 5 || all[0].Seq != 2 {
		t.Fatalf("listed %+v", all)
	}
	if views := list("--type", "audit.viewed", "--limit", "1"); len(views) != 1 || views[0].Data["what"] != "sallyport audit log --type request.submitted" {
		t.Errorf("recorded %+v", views)
	}
	for want, args := range map[int][]string{
		1: {"--stream", all[3].Stream},
		2: {"--from", "3", "--to", "4"},
		3: {"--after", "3", "--type", "request.submitted"},
		0: {"--to", "2001-01-01T00:00:00Z"},
		4: {"--actor", "cli:test", "--origin", "field", "--to", "6", "--limit", "4"},
	} {
		if got := list(args...); len(got) != want {
			t.Errorf("audit log %v: %d events, want %d", args, len(got), want)
		}
	}
	for want, args := range map[string][]string{
		"6 5":     {"--reverse", "--type", "request.submitted", "--limit", "2"},
		"4 3":     {"--reverse", "--before", "5", "--after", "2"},
		"5 6":     {"--last", "2", "--type", "request.submitted"},
		"2 3":     {"--last", "2", "--before", "4"},
		"1 2 3 4": {"--last", "9", "--to", "4"},
		"4":       {"--last", "1", "--stream", all[2].Stream},
		"":        {"--last", "3", "--type", "user.deactivated"},
	} {
		var got []string
		for _, e := range list(args...) {
			got = append(got, fmt.Sprint(e.Seq))
		}
		if strings.Join(got, " ") != want {
			t.Errorf("audit log %v: %v, want %s", args, got, want)
		}
	}
	if table := field.must(t, "audit", "log", "--to", "3", "-o", "table").stdout; strings.Count(table, "\n") != 4 || !strings.Contains(table, all[1].Stream) {
		t.Errorf("printed\n%s", table)
	}
	field.stood(t, all[3].Stream, all[3].Seq)
	card := writeFile(t, t.TempDir(), "card.json", field.card.Encode())
	field.proves(t, all[3].Stream, card)
	field.exports(t, card)
	for _, wrong := range [][]string{{"--type", "x"}, {"--from", "yesterday"}, {"--to", "0"}, {"--limit", "-1"}, {"--follow", "--to", "3"}, {"--follow"}, {"x"},
		{"--last", "-1"}, {"--last", "2", "--reverse"}, {"--last", "2", "--limit", "2"}, {"--follow", "--reverse", "-o", "jsonl"}, {"--before", "-1"}} {
		if r := field.try(t, append([]string{"audit", "log"}, wrong...)...); r.code != 2 || r.stderr == "" {
			t.Errorf("audit log %v: exit code %d: %s%s", wrong, r.code, r.stdout, r.stderr)
		}
	}
}

// stood looks how a request stood when it was asked, and asks for what cannot be.
func (s *station) stood(t *testing.T, stream string, seq int64) {
	t.Helper()
	var then struct {
		Ver   int64
		State struct{ Status string }
	}
	decodeInto(t, s.must(t, "audit", "state", stream, "--as-of", fmt.Sprint(seq)).stdout, &then)
	if then.Ver != 1 || then.State.Status != "pending" {
		t.Errorf("it stood as %+v", then)
	}
	for _, wrong := range [][]string{{stream, "--as-of", "1"}, {"x"}, {stream, "--as-of", "x"}, {"user-nobody"}} {
		if r := s.try(t, append([]string{"audit", "state"}, wrong...)...); r.code != 2 || r.stderr == "" {
			t.Errorf("audit state %v: exit code %d: %s%s", wrong, r.code, r.stdout, r.stderr)
		}
	}
}

// proves makes evidence of a request, and checks it by a card, whole and altered.
func (s *station) proves(t *testing.T, stream, card string) {
	t.Helper()
	id := strings.TrimPrefix(stream, "request-")
	file := filepath.Join(t.TempDir(), "evidence.txt")
	s.must(t, "audit", "evidence", id, "--out", file)
	var proved shownEvidence
	decodeInto(t, s.must(t, "audit", "evidence", "--check", file, "--card", card).stdout, &proved)
	if !proved.OK || len(proved.Events) != 1 || proved.Events[0].Stream != stream {
		t.Errorf("proved %+v", proved)
	}
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	text[len(text)/2] ^= 1
	altered := writeFile(t, t.TempDir(), "evidence.txt", text)
	for code, args := range map[int][]string{15: {"--check", altered, "--card", card}, 2: {"--check", file}, 1: {id, "--out", file}} {
		if r := s.try(t, append([]string{"audit", "evidence"}, args...)...); r.code != code || r.stderr == "" {
			t.Errorf("audit evidence %v: exit code %d: %s%s", args, r.code, r.stdout, r.stderr)
		}
	}
}

// exports takes the log away and reads it as somebody who has nothing but the
// file and the card.
func (s *station) exports(t *testing.T, card string) {
	t.Helper()
	dir := t.TempDir()
	file := filepath.Join(dir, "log.jsonl.zst")
	var made []bridge.AuditExported
	decodeInto(t, s.must(t, "audit", "export", "--from", "2", "--to", "4", "--out", file).stdout, &made)
	if len(made) != 1 || made[0].File != file || made[0].Events != 3 || made[0].Encrypted {
		t.Fatalf("made %+v", made)
	}
	s.here(t, "audit", "export", "--out", dir+"/")
	s.here(t, "audit", "export", "--out", dir, "--for", card)
	piped := writeFile(t, t.TempDir(), "piped", []byte(s.here(t, "audit", "export", "--to", "3").stdout))
	files, err := filepath.Glob(filepath.Join(dir, "*"))
	if files = append(files, piped); err != nil || len(files) != 4 {
		t.Errorf("made %v", files)
	}
	for _, path := range []string{file, files[0], piped} {
		if r := call(t, "bundle", "verify", path, "--card", card); r.code != 0 || !strings.Contains(r.stdout, "audit") {
			t.Errorf("%s: exit code %d: %s%s", path, r.code, r.stdout, r.stderr)
		}
	}
	if r := call(t, "bundle", "cat", file, "--card", card); strings.Count(r.stdout, `"type":"request.submitted"`) != 3 {
		t.Errorf("printed %s%s", r.stdout, r.stderr)
	}
	if r := s.try(t, "bundle", "import", file); r.code != 16 || !strings.Contains(r.stderr, "no site takes it in") {
		t.Errorf("it was taken in: exit code %d: %s%s", r.code, r.stdout, r.stderr)
	}
	for _, wrong := range [][]string{{"--from", "0"}, {"--from", "4", "--to", "3"}, {"--to", "100000"}, {"--for", file}, {"--for", "age1x"}, {"--for", ""}, {"x"}} {
		if r := call(t, append([]string{"-C", s.config, "audit", "export", "--out", filepath.Join(dir, "none")}, wrong...)...); r.code != 2 || r.stderr == "" {
			t.Errorf("audit export %v: exit code %d: %s%s", wrong, r.code, r.stdout, r.stderr)
		}
	}
	if r := s.try(t, "audit", "export", "--out", file); r.code != 1 || !strings.Contains(r.stderr, "is there already") {
		t.Errorf("a file was written over: exit code %d: %s", r.code, r.stderr)
	}
}

// What is stored while somebody follows the log comes without being asked for.
func TestAuditLogFollows(t *testing.T) {
	t.Parallel()
	field := newStation(t, "field", domain.RequestSite, t.TempDir())
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	cmd := field.command(ctx, "audit", "log", "--follow", "-o", "jsonl", "--type", "request.submitted", "--limit", "3")
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines := json.NewDecoder(out)
	for i := range 3 {
		field.submit(t, 1)
		var e struct{ Type string }
		if err := lines.Decode(&e); err != nil || e.Type != "request.submitted" {
			t.Fatalf("event %d: %v, %v", i, e, err)
		}
	}
	if err := cmd.Wait(); err != nil {
		t.Error(fmt.Errorf("after the limit it ends: %w", err))
	}
}
