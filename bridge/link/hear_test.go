package link_test

import (
	"testing"

	"pgregory.net/rapid"

	"sallyport/bridge/bundle"
	"sallyport/bridge/link"
)

const (
	ourLife, ourNewLife = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"
	life, newLife       = "11111111111111111111111111111111", "22222222222222222222222222222222"
)

// running is an end in the middle of its life: nine bundles out, four acknowledged.
func running() link.End {
	return link.End{
		Out:  link.Outbound{Epoch: epoch, Seq: 9, Through: 90, Chain: chainAt(0, 0, 90), AckedSeq: 4, AckedThrough: 40},
		In:   link.Inbound{Epoch: otherEpoch, Seq: 3, Through: 30, PeerSeq: 3, PeerHead: 30},
		Self: link.Mark{Incarnation: ourLife, No: 20}, Heard: link.Mark{Incarnation: life, No: 7}, Seen: link.Mark{Incarnation: ourLife, No: 10},
		Told: link.Told{Telling: link.Telling{Position: 30}, No: 20, Since: 20, Heard: 7},
	}
}

func oursAt(pos int64) link.Ours {
	return link.Ours{Head: 100, Seq: 9, Chain: chainAt(0, 0, pos), Fresh: ourNewLife}
}

func saying(a bundle.Ack) bundle.Manifest {
	if a.Epoch == "" {
		a.Epoch = epoch
	}
	a.Chain = chainAt(0, 0, a.Position)
	return bundle.Manifest{Ack: &a}
}

func TestHear(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name    string
		ack     bundle.Ack
		through int64
		counts  bool
	}{
		{"a newer one", bundle.Ack{Incarnation: life, No: 8, Seq: 5, Position: 50}, 50, true},
		{"much newer", bundle.Ack{Incarnation: life, No: 80, Seq: 9, Position: 90}, 90, true},
		{"the same again", bundle.Ack{Incarnation: life, No: 7, Seq: 9, Position: 90}, 40, false},
		{"an older one", bundle.Ack{Incarnation: life, No: 6, Seq: 9, Position: 90}, 40, false},
		{"of another log", bundle.Ack{Epoch: otherEpoch, Incarnation: life, No: 8, Seq: 5, Position: 50}, 40, false},
		{"newer, and sinking without a new life", bundle.Ack{Incarnation: life, No: 8, Seq: 2, Position: 20}, 40, true},
		{"a restored peer, lower in all", bundle.Ack{Incarnation: newLife, No: 8, Seq: 2, Position: 20}, 20, true},
		{"a restored peer that forgot its numbers", bundle.Ack{Incarnation: newLife, No: 2, Seq: 2, Position: 20}, 40, false},
	} {
		e := running()
		if alarm := e.Hear(saying(c.ack), oursAt(c.ack.Position)); alarm != nil {
			t.Errorf("%s: %v", c.name, alarm)
		}
		if e.Out.AckedThrough != c.through || (e.Heard.No == c.ack.No) != (c.counts || c.ack.No == 7) {
			t.Errorf("%s: through %d, heard %+v; want %d, counts %v", c.name, e.Out.AckedThrough, e.Heard, c.through, c.counts)
		}
	}
}

func TestAPeerThatHoldsMoreThanWeDoStopsUs(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name     string
		position int64
		chain    bundle.Hash
		replaced bool
	}{
		{"beyond our head", 101, chainAt(0, 0, 101), false},
		{"another history", 50, chainAt(1, 0, 50), true},
	} {
		for _, no := range []int64{2, 8} { // an old word proves it as well as a new one
			e := running()
			m := saying(bundle.Ack{Incarnation: life, No: no, Seq: 5, Position: c.position})
			m.Ack.Chain = c.chain
			alarm := e.Hear(m, oursAt(50))
			if alarm == nil || alarm.Replaced != c.replaced || alarm.Position != c.position {
				t.Errorf("%s, no %d: %+v", c.name, no, alarm)
			}
			if e.Out.AckedThrough != 40 || e.Heard.No != 7 {
				t.Errorf("%s: it changed %+v", c.name, e)
			}
		}
	}
}

// A restored peer loses what it had acknowledged: it is made again once, and
// once more only if the peer asks.
func TestARestoredPeerGetsAgainWhatItLost(t *testing.T) {
	t.Parallel()
	e := running()
	e.Hear(saying(bundle.Ack{Incarnation: newLife, No: 8, Seq: 1, Position: 10, Seen: &bundle.Seen{Incarnation: ourLife, No: 5}}), oursAt(10))
	makings := map[int64]link.Making{2: {No: 6}, 3: {No: 7}, 4: {No: 8}, 5: {No: 9}}
	if got := e.Again(makings); len(got) != 3 || got[0] != 2 || got[2] != 4 {
		t.Fatalf("made again: %v, want 2 to 4", got)
	}
	for n := range makings {
		makings[n] = link.Making{No: 21}
	}
	if got := e.Again(makings); len(got) != 0 {
		t.Errorf("made a third time: %v", got)
	}
	if why := e.BeaconDue(link.Telling{Position: 30}, link.Turn); why == "" {
		t.Error("a new incarnation is not answered")
	}
}

// Both ends of a restored site's link find each other by one manifest each way.
func TestForgottenNumbersAreFoundAgain(t *testing.T) {
	t.Parallel()
	e := running()
	e.Restore(ourNewLife, 0)
	e.Self.No = 2 // as an old backup has it
	a := e.NextAck(link.Telling{Position: 30}, nil)
	if a.No != 3 || a.Incarnation != ourNewLife {
		t.Fatalf("says %+v", a)
	}
	e.Tell(a, link.Telling{Position: 30})
	e.Hear(saying(bundle.Ack{Incarnation: life, No: 8, Seq: 4, Position: 40, Seen: &bundle.Seen{Incarnation: ourLife, No: 20}}), oursAt(40))
	if why := e.BeaconDue(link.Telling{Position: 30}, link.Turn); e.Self.No != 20 || why == "" {
		t.Errorf("it goes on from %d, due: %q", e.Self.No, why)
	}
	again := e.NextAck(link.Telling{Position: 30}, nil)
	e.Tell(again, link.Telling{Position: 30})
	if why := e.BeaconDue(link.Telling{Position: 30}, link.Turn); again.No != 21 || why != "" {
		t.Errorf("after number %d still due: %q", again.No, why)
	}
	if e.BeaconDue(link.Telling{Position: 30}, link.Overdue) == "" {
		t.Error("it is not said again while the peer has not shown to know it")
	}
	e.Hear(saying(bundle.Ack{Incarnation: life, No: 9, Seq: 9, Position: 90, Seen: &bundle.Seen{Incarnation: ourNewLife, No: 21}}), oursAt(90))
	if e.Unconfirmed {
		t.Error("the peer has seen it, and it is still unconfirmed")
	}
}

// One who reads of words that it does not remember was restored.
func TestWhoReadsOfLaterWordsWasRestored(t *testing.T) {
	t.Parallel()
	e := running()
	e.Hear(saying(bundle.Ack{Incarnation: life, No: 8, Seq: 4, Position: 40, Seen: &bundle.Seen{Incarnation: ourLife, No: 21}}), oursAt(40))
	if e.Self.Incarnation != ourNewLife || e.Self.No != 21 || !e.Unconfirmed {
		t.Errorf("it lives on as %+v", e.Self)
	}
}

// A site that forgot a plan whose bundle was carried goes on behind it.
func TestForgottenPlansAreAdopted(t *testing.T) {
	t.Parallel()
	e := running()
	e.Hear(saying(bundle.Ack{Incarnation: life, No: 8, Seq: 10, Position: 95}), oursAt(95))
	if e.Out.Seq != 10 || e.Out.Through != 95 || e.Out.Chain != chainAt(0, 0, 95) {
		t.Errorf("it goes on from %+v", e.Out)
	}
}

// Acks are cumulative: lost, doubled and in any order, the one with the highest
// number is what remains.
func TestTheHighestAckRemains(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(1, 9).Draw(t, "acks")
		order := rapid.SliceOfN(rapid.IntRange(1, n), 1, 30).Draw(t, "arriving")
		e := link.End{Out: link.Outbound{Epoch: epoch, Seq: 9, Through: 90}}
		highest := 0
		for _, no := range order {
			highest = max(highest, no)
			pos := int64(no * 10)
			if alarm := e.Hear(saying(bundle.Ack{Incarnation: life, No: int64(no), Seq: int64(no), Position: pos}), oursAt(pos)); alarm != nil {
				t.Fatal(alarm)
			}
			if e.Heard.No != int64(highest) || e.Out.AckedThrough != int64(highest*10) || e.Out.AckedSeq != int64(highest) {
				t.Fatalf("after %v: %+v, want ack %d", order, e.Out, highest)
			}
		}
	})
}
