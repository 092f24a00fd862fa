package main

import (
	"strings"
	"testing"

	"sallyport/bridge"
)

// decisions releases one of the refused files, which is refused again, and
// rejects it then.
func (c *crossing) decisions(t *testing.T) {
	at := func(args ...string) []string { return append([]string{"-C", c.core.config, "quarantine"}, args...) }
	waiting := must[[]bridge.QuarantinedFile](t, at("list")...)
	if len(waiting) < 2 {
		t.Fatalf("refused so far: %+v", waiting)
	}
	first := waiting[0]
	for _, wrong := range [][]string{{"release", first.ID}, {"release", first.ID, "--reason", ""}, {"reject", first.ID, "--reason", "two\nlines"},
		{"reject", "nothing", "--reason", "a test"}, {"show", "01a20351-498a-7e70-a315-478c02f0c07c"}, {"release", "--reason", "a test"}} {
		if r := call(t, at(wrong...)...); r.code != 2 || r.stdout != "" || r.stderr == "" {
			t.Errorf("quarantine %q: exit code %d: %s%s", wrong, r.code, r.stdout, r.stderr)
		}
	}

	released := must[bridge.QuarantinedFile](t, at("release", first.ID, "--reason", "a person wants it judged again")...)
	if released.Decided != "released" || !strings.HasPrefix(released.DecidedBy, "cli:") || released.DecidedAt == nil {
		t.Errorf("released %+v", released)
	}
	if r := call(t, at("release", first.ID, "--reason", "twice")...); r.code != 16 || !strings.Contains(r.stderr, "released at") {
		t.Errorf("released twice: exit code %d: %s", r.code, r.stderr)
	}
	var second bridge.QuarantinedFile
	eventually(t, "the second judgement", func() bool {
		call(t, "-C", c.core.config, "bundle", "import") // the running site may have been quicker
		second = must[[]bridge.QuarantinedFile](t, at("list")...)[0]
		return second.SHA256 == first.SHA256 && second.ID != first.ID
	})

	r := call(t, at("reject", second.ID, "--reason", "nobody knows who made it")...)
	if r.code != 0 || !strings.Contains(r.stdout, second.ID) || !strings.Contains(r.stderr, "was deleted") {
		t.Errorf("rejected: exit code %d: %s%s", r.code, r.stdout, r.stderr)
	}
	if shown := must[bridge.QuarantinedFile](t, at("show", second.ID)...); shown.Decided != "rejected" || shown.NextStep == "" {
		t.Errorf("shown %+v", shown)
	}
	for _, q := range must[[]bridge.QuarantinedFile](t, at("list")...) {
		if q.Decided != "" || q.ID == first.ID || q.ID == second.ID {
			t.Errorf("waits for a decision: %+v", q)
		}
	}
	decided := map[string]string{}
	for _, q := range must[[]bridge.QuarantinedFile](t, at("list", "--all", "--peer", second.Peer)...) {
		decided[q.ID] = q.Decided
	}
	if decided[first.ID] != "released" || decided[second.ID] != "rejected" {
		t.Errorf("decided: %q", decided)
	}
	c.notStopped(t)
}
