package link_test

import (
	"slices"
	"testing"
	"time"

	"sallyport/bridge/bundle"
	"sallyport/bridge/link"
)

func TestBeaconDue(t *testing.T) {
	t.Parallel()
	same := link.Telling{Position: 30}
	gap := link.Telling{Position: 30, Missing: []int64{4}}
	for _, c := range []struct {
		name   string
		change func(*link.End)
		t      link.Telling
		p      link.Pressure
		due    bool
	}{
		{"nothing happened", func(*link.End) {}, same, link.Turn, false},
		{"a bundle was applied", func(*link.End) {}, link.Telling{Position: 40}, link.Turn, true},
		{"a bundle is missing", func(*link.End) {}, gap, link.Turn, true},
		{"it was asked for", func(e *link.End) { e.Told.Telling = gap }, gap, link.Turn, false},
		{"it was asked for, and the peer speaks", func(e *link.End) { e.Told.Telling, e.Heard.No = gap, 8 }, gap, link.Turn, true},
		{"a bundle was refused", func(*link.End) {}, link.Telling{Position: 30, Rejected: []bundle.Rejection{{Seq: 4, Code: bundle.Refused}}}, link.Turn, true},
		{"a beacon came that knew what was told", func(e *link.End) { e.Heard.No, e.Seen.No = 8, 20 }, same, link.Turn, false},
		{"a beacon came that did not", func(e *link.End) { e.Heard.No, e.Seen.No = 8, 19 }, same, link.Turn, true},
		{"our tail is not acknowledged", func(*link.End) {}, same, link.Turn, false},
		{"for a long time", func(*link.End) {}, same, link.Overdue, true},
		{"and a person asks", func(*link.End) {}, same, link.ByHand, true},
		{"all is acknowledged and a person asks", func(e *link.End) { e.Out.AckedThrough = 90 }, same, link.ByHand, false},
		{"all is acknowledged for a long time", func(e *link.End) { e.Out.AckedThrough = 90 }, same, link.Overdue, false},
		{"the link is stopped", func(e *link.End) { e.Stopped = "x" }, same, link.ByHand, false},
		{"the link is stopped and something arrived", func(e *link.End) { e.Stopped = "x" }, gap, link.Turn, true},
		{"a new key is not known there", func(e *link.End) { e.Announcing, e.Out.AckedThrough = true, 90 }, same, link.Turn, false},
		{"for a long time", func(e *link.End) { e.Announcing, e.Out.AckedThrough = true, 90 }, same, link.Overdue, true},
		{"and the link is stopped", func(e *link.End) { e.Announcing, e.Out.AckedThrough, e.Stopped = true, 90, "x" }, same, link.Overdue, true},
		{"something is owed", func(e *link.End) { e.Owes = 21 }, same, link.Turn, true},
	} {
		e := running()
		c.change(&e)
		if why := e.BeaconDue(c.t, c.p); (why != "") != c.due {
			t.Errorf("%s: due %q, want %v", c.name, why, c.due)
		}
	}
}

func TestAFreshEndHasNothingToSay(t *testing.T) {
	t.Parallel()
	var e link.End
	for _, p := range []link.Pressure{link.Turn, link.Overdue, link.ByHand} {
		if why := e.BeaconDue(link.Telling{}, p); why != "" {
			t.Errorf("pressure %d: %s", p, why)
		}
	}
}

// What an exporter tells late, after it slept or after more was learnt, is not
// taken for told.
func TestTellLate(t *testing.T) {
	t.Parallel()
	e := running()
	slow := e.NextAck(link.Telling{Position: 30}, nil)
	quick := e.NextAck(link.Telling{Position: 40}, nil)
	e.Tell(quick, link.Telling{Position: 40})
	e.Tell(slow, link.Telling{Position: 30})
	if e.Told.Position != 40 || e.Told.No != quick.No {
		t.Errorf("an older manifest took the place of a newer: %+v", e.Told)
	}
	late := e.NextAck(link.Telling{Position: 40}, nil)
	e.Restore(ourNewLife, 0)
	if e.Tell(late, link.Telling{Position: 40}); e.Told.No != 0 {
		t.Errorf("a manifest of an earlier life counts as told: %+v", e.Told)
	}
}

func TestAgain(t *testing.T) {
	t.Parallel()
	e := running()
	e.Out.Missing, e.Out.Rejected = []int64{5, 6, 12}, []bundle.Rejection{{Seq: 7, Code: bundle.Damaged}, {Seq: 8, Code: bundle.Upgrade}, {Seq: 9, Code: bundle.Refused}}
	e.Seen.No, e.Heard.No = 10, 7
	for _, c := range []struct {
		name    string
		makings map[int64]link.Making
		want    []int64
	}{
		{"made before what the peer saw", map[int64]link.Making{5: {No: 9}, 6: {No: 4}}, []int64{5, 6}},
		{"made with it or since", map[int64]link.Making{5: {No: 10}, 6: {No: 11}}, nil},
		{"damaged, not made since the peer said so", map[int64]link.Making{7: {No: 12, Heard: 6}}, []int64{7}},
		{"damaged, made since", map[int64]link.Making{7: {No: 12, Heard: 7}}, nil},
		{"waits for an upgrade, or for people", map[int64]link.Making{8: {No: 1}, 9: {No: 1}}, nil},
		{"never made", map[int64]link.Making{12: {No: 1}}, nil},
	} {
		if got := e.Again(c.makings); !slices.Equal(got, c.want) {
			t.Errorf("%s: %v, want %v", c.name, got, c.want)
		}
	}
	if n, refused := e.Refused(map[int64]link.Making{9: {No: 10}}); !refused || n != 9 {
		t.Errorf("refused: %d, %v", n, refused)
	}
	if _, refused := e.Refused(map[int64]link.Making{9: {No: 11}}); refused {
		t.Error("what was made otherwise since is still refused")
	}
}

func TestMissing(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		seq, given int64
		here, want []int64
	}{
		{3, 3, nil, []int64{}},
		{3, 5, nil, []int64{4, 5}},
		{3, 5, []int64{5}, []int64{4}},
		{3, 3, []int64{7, 5}, []int64{4, 6}},
		{3, 6, []int64{4, 5, 6}, []int64{}},
	} {
		in := link.Inbound{Seq: c.seq, PeerSeq: c.given}
		if got := in.Missing(c.here...); !slices.Equal(got, c.want) {
			t.Errorf("%d applied, %d given, %v here: missing %v, want %v", c.seq, c.given, c.here, got, c.want)
		}
	}
	if got := (link.Inbound{PeerSeq: 1 << 40}).Missing(); len(got) != link.MaxMissing {
		t.Errorf("%d are listed", len(got))
	}
}

func TestPatience(t *testing.T) {
	t.Parallel()
	for resends, want := range map[int]time.Duration{0: 10 * time.Minute, 1: 20 * time.Minute, 3: 80 * time.Minute, 8: 24 * time.Hour, 1000: 24 * time.Hour} {
		e := link.End{Resends: resends}
		if got := e.Patience(10 * time.Minute); got != want {
			t.Errorf("after %d in vain: %v, want %v", resends, got, want)
		}
	}
	if got := (&link.End{}).Patience(48 * time.Hour); got != 48*time.Hour {
		t.Errorf("a long one: %v", got)
	}
}
