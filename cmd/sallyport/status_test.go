package main

import (
	"bytes"
	"flag"
	"os"
	"strings"
	"testing"
	"time"

	"sallyport/bridge"
	"sallyport/bridge/bundle"
	"sallyport/domain"
)

var update = flag.Bool("update", false, "write the golden files anew")

func text(s string) *string { return &s }

// The screen in every state, as it was looked at and found good.
func TestStatusScreen(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 24, 20, 45, 16, 0, time.UTC)
	recently, before := text("2026-11-24T20:42:10.123456Z"), text("2026-11-22T09:00:00.000000Z")
	file := func(seq int64, name string, beacon bool) bridge.Outgoing {
		return bridge.Outgoing{File: name, Seq: seq, Beacon: beacon, Bytes: 3100, Since: *recently}
	}
	var many []bridge.Outgoing
	for seq := range int64(12) {
		many = append(many, file(seq+1, "sp1_core-north_6e181966_000000000"+string(rune('a'+seq))+".jsonl.zst.age", false))
	}
	links := []bridge.Status{
		{Peer: "field", Role: domain.RequestSite, NextAction: "nothing to carry", ExportedSeq: 3, ExportedThrough: 40, AckedSeq: 3, AckedThrough: 40,
			AppliedSeq: 4, AppliedThrough: 11, LastContact: before, LastWritten: before, Prunable: 2},
		{Peer: "moon", Role: domain.RequestSite, NextAction: "carry 2 files to moon: copy from outbox/ here into inbox/ there", ExportedSeq: 9, ExportedThrough: 120,
			AckedSeq: 2, AckedThrough: 33, AppliedSeq: 4, AppliedThrough: 11, Missing: []int64{5, 6, 9}, Held: []int64{7, 8, 11},
			Rejected: []bundle.Rejection{{Seq: 10, Code: bundle.Damaged}, {Seq: 11, Code: bundle.Upgrade}}, PeerMissing: []int64{3},
			PeerRejected: []bundle.Rejection{{Seq: 4, Code: bundle.Incomplete}}, PeerUnread: []string{"user.access_granted.v2"}, Quarantined: 1, LastContact: recently, LastWritten: recently,
			Carry: []bridge.Outgoing{file(3, "sp1_core-moon_6e181966_0000000003.jsonl.zst.age", false), file(9, "sp1_core-moon_6e181966_0000000009.b3.jsonl.zst", true)}},
		{Peer: "north", Role: domain.RequestSite, NextAction: "ask north what it refused", Stopped: text("north refused bundle 12: look there at what it says (`sallyport quarantine list`)"),
			ExportedSeq: 12, ExportedThrough: 200, Held: []int64{1}, PeerRejected: []bundle.Rejection{{Seq: 12, Code: bundle.Refused}},
			LastWritten: recently, Carry: many},
	}
	for i := range links {
		links[i].QuarantinedInAll = 3
	}
	var out bytes.Buffer
	printStatus(&out, "core", now, links)
	const golden = "testdata/status.txt"
	if *update {
		if err := os.WriteFile(golden, out.Bytes(), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if want := readFile(t, golden); !bytes.Equal(out.Bytes(), want) {
		t.Errorf("%s", &out)
	}
	for line := range strings.Lines(out.String()) {
		if n := len(strings.TrimSuffix(line, "\n")); n > screenWidth {
			t.Errorf("%d columns: %s", n, line)
		}
	}
}

func TestStatusWithoutLinksSaysHowToBegin(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	printStatus(&out, "core", time.Now(), nil)
	if !strings.Contains(out.String(), "link add") {
		t.Errorf("%s", &out)
	}
}

func TestCheckTellsTheWorstLink(t *testing.T) {
	t.Parallel()
	fine := bridge.Status{Peer: "field", Carry: []bridge.Outgoing{{}}, Held: []int64{7}}
	stopped := bridge.Status{Peer: "moon", Stopped: text("people talk")}
	for _, c := range []struct {
		name  string
		links []bridge.Status
		want  int
	}{
		{"no links", nil, 0},
		{"on its way", []bridge.Status{fine}, 0},
		{"missing here", []bridge.Status{fine, {Missing: []int64{1}}}, 12},
		{"damaged here", []bridge.Status{{Rejected: []bundle.Rejection{{Seq: 1}}}, fine}, 12},
		{"missing there", []bridge.Status{{PeerMissing: []int64{1}}}, 12},
		{"refused there", []bridge.Status{{PeerRejected: []bundle.Rejection{{Seq: 1}}}}, 12},
		{"an upgrade is needed here", []bridge.Status{{Missing: []int64{1}}, {Rejected: []bundle.Rejection{{Seq: 1, Code: bundle.Upgrade}}}}, 17},
		{"an upgrade is needed there", []bridge.Status{{PeerRejected: []bundle.Rejection{{Seq: 1, Code: bundle.Upgrade}}}}, 12},
		{"stopped and too old", []bridge.Status{{Rejected: []bundle.Rejection{{Seq: 1, Code: bundle.Upgrade}}}, stopped}, 16},
		{"stopped", []bridge.Status{{Missing: []int64{1}}, stopped}, 16},
	} {
		if got := exitCode(checkLinks(c.links)); got != c.want {
			t.Errorf("%s: exit code %d, want %d", c.name, got, c.want)
		}
	}
}

func TestNumbersAreReadByRanges(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		words string
		want  string
	}{
		{"3", "3"}, {"3-7", "3-7"}, {"9 3-5 4", "3-5, 9"}, {"1-1000", "1-1000"},
		{"", ""}, {"0", "?"}, {"x", "?"}, {"3-", "?"}, {"-3", "?"}, {"7-3", "?"}, {"1-1001", "?"}, {"1-9999999999", "?"}, {"3--7", "?"},
	} {
		all, err := parseNumbers(strings.Fields(c.words))
		got := bridge.Runs(all)
		if err != nil {
			got = "?"
		}
		if got != c.want {
			t.Errorf("%q reads as %q, want %q (%v)", c.words, got, c.want, err)
		}
	}
}
