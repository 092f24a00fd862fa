// Package link is the state machine of one link between two sites: what to do
// with a bundle that arrives, what an acknowledgement changes, what is due. It
// is pure; the bridge drives it with a database row and files.
//
//	bundle verified ──▶ Judge ──▶ Apply      next in order, or the rest of it
//	                         ├──▶ Hold       its predecessor is missing
//	                         ├──▶ Duplicate  all of it is known already
//	                         └──▶ Fork       it contradicts what is known
package link

import (
	"sallyport/bridge/bundle"
)

// Inbound is how far a site has got with a peer's log.
type Inbound struct {
	Epoch   string      // of the peer's log, from its card
	Seq     int64       // the last bundle applied without a gap
	Through int64       // the last position applied
	Chain   bundle.Hash // the peer's chain at Through
}

// Verdict says what is to be done with a verified bundle.
type Verdict int

// The verdicts.
const (
	Apply Verdict = iota + 1
	Hold
	Duplicate
	Fork
)

func (v Verdict) String() string {
	return [...]string{"", "apply", "held", "duplicate", "fork"}[v]
}

// Judge says what is to be done with a bundle of the peer's log. Only
// positions and the chain count: numbers and names are for people. A bundle
// that reaches back before Through while it goes on after it is applied from
// Through on; whether its known part agrees shows when its lines are read.
func (in Inbound) Judge(core bundle.Core) Verdict {
	switch {
	case core.Epoch != in.Epoch:
		return Fork
	case core.Range.After > in.Through:
		return Hold
	case core.Range.After == in.Through && core.Chain.After != in.Chain:
		return Fork
	case core.Range.Through == in.Through && core.Chain.Through != in.Chain:
		return Fork
	case core.Range.Through <= in.Through:
		return Duplicate
	default:
		return Apply
	}
}

// Outbound is how far a peer has got with this site's log.
type Outbound struct {
	Epoch        string // of this site's log
	Head         int64  // its last position
	Seq          int64  // the last number given to a bundle
	Through      int64  // the last position in a bundle
	AckedSeq     int64
	AckedThrough int64
	Incarnation  string // of the peer, as its last ack said
	No           int64  // the number of the peer's last ack that counted
}

// Acknowledge returns the state after an ack. An ack counts only if its number
// is higher than the last one's, unless the peer has a new incarnation; it is
// cumulative, so older ones may be lost. ok is false when nothing changes.
func (out Outbound) Acknowledge(a bundle.Ack) (after Outbound, ok bool) {
	if a.Epoch != out.Epoch || a.Position > out.Head {
		return out, false
	}
	if a.Incarnation == out.Incarnation && a.No <= out.No {
		return out, false
	}
	out.Incarnation, out.No = a.Incarnation, a.No
	out.AckedSeq, out.AckedThrough = a.Seq, a.Position
	return out, true
}
