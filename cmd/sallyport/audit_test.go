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
	if table := field.must(t, "audit", "log", "--to", "3", "-o", "table").stdout; strings.Count(table, "\n") != 4 || !strings.Contains(table, all[1].Stream) {
		t.Errorf("printed\n%s", table)
	}
	var then struct {
		Ver   int64
		State struct{ Status string }
	}
	decodeInto(t, field.must(t, "audit", "state", all[3].Stream, "--as-of", fmt.Sprint(all[3].Seq)).stdout, &then)
	if then.Ver != 1 || then.State.Status != "pending" {
		t.Errorf("it stood as %+v", then)
	}
	for _, wrong := range [][]string{{all[3].Stream, "--as-of", "1"}, {"x"}, {all[3].Stream, "--as-of", "x"}, {"user-nobody"}} {
		if r := field.try(t, append([]string{"audit", "state"}, wrong...)...); r.code != 2 || r.stderr == "" {
			t.Errorf("audit state %v: exit code %d: %s%s", wrong, r.code, r.stdout, r.stderr)
		}
	}
	id := strings.TrimPrefix(all[3].Stream, "request-")
	file, card := filepath.Join(t.TempDir(), "evidence.txt"), writeFile(t, t.TempDir(), "card.json", field.card.Encode())
	field.must(t, "audit", "evidence", id, "--out", file)
	var proved shownEvidence
	decodeInto(t, field.must(t, "audit", "evidence", "--check", file, "--card", card).stdout, &proved)
	if !proved.OK || len(proved.Events) != 1 || proved.Events[0].Stream != all[3].Stream {
		t.Errorf("proved %+v", proved)
	}
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	text[len(text)/2] ^= 1
	altered := writeFile(t, t.TempDir(), "evidence.txt", text)
	for code, args := range map[int][]string{15: {"--check", altered, "--card", card}, 2: {"--check", file}, 1: {id, "--out", file}} {
		if r := field.try(t, append([]string{"audit", "evidence"}, args...)...); r.code != code || r.stderr == "" {
			t.Errorf("audit evidence %v: exit code %d: %s%s", args, r.code, r.stdout, r.stderr)
		}
	}
	for _, wrong := range [][]string{{"--type", "x"}, {"--from", "yesterday"}, {"--to", "0"}, {"--limit", "-1"}, {"--follow", "--to", "3"}, {"--follow"}, {"x"}} {
		if r := field.try(t, append([]string{"audit", "log"}, wrong...)...); r.code != 2 || r.stderr == "" {
			t.Errorf("audit log %v: exit code %d: %s%s", wrong, r.code, r.stdout, r.stderr)
		}
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
