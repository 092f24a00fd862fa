package link

import (
	"fmt"

	"sallyport/bridge/bundle"
)

// Ours is what a site knows of its own log, to hold a peer's ack against.
type Ours struct {
	Head int64 // its last position
	// Seq is the last number planned for the peer: its bundle may have been carried
	// before it was noted as published.
	Seq int64
	// Chain is our chain at the ack's position; not looked at beyond Head.
	Chain bundle.Hash
	// Fresh is a new random incarnation, for an end that learns that it was restored.
	Fresh string
}

// Alarm is a peer's proof that this site's log is not what it was: it lost
// events, or they were replaced. The link must stop.
type Alarm struct {
	Position int64 // of our log, that the peer has applied
	Seq      int64 // of our bundles
	Replaced bool  // the peer has another history, else we have lost its end
}

func (a *Alarm) Error() string {
	if a.Replaced {
		return fmt.Sprintf("this site's log is another than the one that the peer has applied through position %d: this site was copied, or restored from an old backup and written to since; nothing more is sent", a.Position)
	}
	return fmt.Sprintf("the peer has applied our log through position %d (bundle %d), which is more than there is here: this site was restored from an old backup and its log has lost events; nothing more is sent", a.Position, a.Seq)
}

// Hear takes over what a verified manifest says: how far the peer has got with
// our log, which of our manifests it saw, how long its own log is. Any manifest
// may be heard in any order and any number of times; only one whose number is
// higher than all that counted before may change what is known of the peer. An
// [Alarm] leaves that as it was.
func (e *End) Hear(m bundle.Manifest, ours Ours) *Alarm {
	e.In.PeerSeq, e.In.PeerHead = max(e.In.PeerSeq, m.Head.Seq), max(e.In.PeerHead, m.Head.Position)
	a := m.Ack
	if a == nil || a.Epoch != e.Out.Epoch {
		return nil
	}
	e.compare(a.Seen, ours.Fresh)
	if alarm := ours.contradicted(a); alarm != nil {
		return alarm
	}
	if a.Incarnation != e.Heard.Incarnation && (e.Heard.No > 0 || a.No > 1) {
		e.Owes = e.Self.No + 1 // it must learn how far its numbers had got
	}
	if a.No <= e.Heard.No {
		return nil
	}
	e.takeOver(a)
	if a.Seq > ours.Seq {
		e.adopt(a)
	}
	return nil
}

// adopt goes on after numbers that this site gave out and then forgot, though
// its log lost nothing: it was restored to before a plan whose bundle had been
// carried already.
func (e *End) adopt(a *bundle.Ack) {
	e.Out.Seq = a.Seq
	if a.Position > e.Out.Through {
		e.Out.Through, e.Out.Chain = a.Position, a.Chain
	}
}

// contradicted holds an ack against the log. It counts however old it is: what
// was once signed and applied must still be here.
func (o Ours) contradicted(a *bundle.Ack) *Alarm {
	switch {
	case a.Position > o.Head || a.Seq > o.Seq+1: // of a log that is whole, one plan at most can be forgotten
		return &Alarm{Position: a.Position, Seq: a.Seq}
	case a.Position > 0 && a.Chain != o.Chain:
		return &Alarm{Position: a.Position, Seq: a.Seq, Replaced: true}
	}
	return nil
}

// compare learns from what the peer has seen of us how far our numbers had got
// in a life that we may have forgotten.
func (e *End) compare(seen *bundle.Seen, fresh string) {
	switch {
	case seen == nil:
	case seen.Incarnation == e.Self.Incarnation && seen.No > e.Self.No:
		e.Restore(fresh, seen.No)
	case seen.Incarnation != e.Self.Incarnation && seen.No >= e.Self.No:
		e.Self.No = seen.No
		e.Told, e.Owes = Told{}, e.Self.No+1
	}
}

// takeOver makes a manifest the newest that counted.
func (e *End) takeOver(a *bundle.Ack) {
	reborn := a.Incarnation != e.Heard.Incarnation
	e.Heard, e.Seen, e.Resends = Mark{a.Incarnation, a.No}, Mark{}, 0
	if a.Seen != nil {
		e.Seen = Mark{a.Seen.Incarnation, a.Seen.No}
	}
	if e.Seen.Incarnation == e.Self.Incarnation {
		e.Unconfirmed = false
	}
	if reborn && a.Seq < e.Out.AckedSeq {
		e.Out.RewindSeq, e.Out.RewindNo = max(e.Out.RewindSeq, e.Out.AckedSeq), e.Self.No
	}
	if reborn || a.Position >= e.Out.AckedThrough {
		e.Out.AckedSeq, e.Out.AckedThrough = a.Seq, a.Position
	}
	e.Out.Missing, e.Out.Rejected = a.Missing, a.Rejected
}
