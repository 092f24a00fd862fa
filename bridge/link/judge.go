package link

import (
	"slices"

	"sallyport/bridge/bundle"
)

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

// Applied moves the cursor over a bundle, or over a part of it that ends at
// through; whole says that it was its last part.
func (in *Inbound) Applied(core bundle.Core, through int64, chain bundle.Hash, whole bool) {
	in.Through, in.Chain = through, chain
	if whole {
		in.Seq = max(in.Seq, core.Seq)
	}
}

// MaxMissing bounds the list of missing numbers in a manifest: what is left
// out is asked for when the first of it have come.
const MaxMissing = 1000

// Missing returns the numbers that the peer gave out and that are neither
// applied nor here, ascending, at most [MaxMissing]. here are the numbers that
// are held or were rejected, in any order.
func (in Inbound) Missing(here ...int64) []int64 {
	last, known := in.PeerSeq, make(map[int64]bool, len(here))
	for _, n := range here {
		last, known[n] = max(last, n), true
	}
	missing := []int64{}
	for n := in.Seq + 1; n <= last && len(missing) < MaxMissing; n++ {
		if !known[n] {
			missing = append(missing, n)
		}
	}
	return missing
}

// Making tells of the last time that a number was made.
type Making struct {
	No    int64 // of its manifest
	Heard int64 // the number of the peer's newest manifest that had counted by then
}

// Asked returns the numbers that the peer may want made again, ascending.
func (e *End) Asked() []int64 {
	var asked []int64
	for n := e.Out.AckedSeq + 1; n <= e.Out.RewindSeq && len(asked) < MaxMissing; n++ {
		asked = append(asked, n)
	}
	asked = append(asked, e.Out.Missing...)
	for _, r := range e.Out.Rejected {
		if damaged(r.Code) {
			asked = append(asked, r.Seq)
		}
	}
	slices.Sort(asked)
	asked = slices.DeleteFunc(slices.Compact(asked), func(n int64) bool { return n > e.Out.Seq })
	return asked[:min(len(asked), MaxMissing)]
}

// Again returns which of the numbers of [End.Asked] are due to be made again:
// a missing one once for every ack which shows that something sent after its
// last making has arrived, a damaged one once for every ack that says so, and
// once what a restored peer has lost.
func (e *End) Again(makings map[int64]Making) []int64 {
	var again []int64
	for _, n := range e.Asked() {
		m, known := makings[n]
		if !known {
			continue
		}
		missing := slices.Contains(e.Out.Missing, n) && e.Seen.No > m.No
		rewound := n > e.Out.AckedSeq && n <= e.Out.RewindSeq && m.No <= e.Out.RewindNo
		if missing || rewound || e.Heard.No > m.Heard && damaged(e.rejection(n)) {
			again = append(again, n)
		}
	}
	return again
}

// Refused returns the first number that the peer refused for good, if it was
// not made otherwise since.
func (e *End) Refused(makings map[int64]Making) (seq int64, refused bool) {
	for _, r := range e.Out.Rejected {
		if m, known := makings[r.Seq]; known && !damaged(r.Code) && r.Code != bundle.Upgrade && e.Seen.No >= m.No {
			return r.Seq, true
		}
	}
	return 0, false
}

func (e *End) rejection(seq int64) bundle.Code {
	for _, r := range e.Out.Rejected {
		if r.Seq == seq {
			return r.Code
		}
	}
	return ""
}

// damaged reports whether making a bundle again helps.
func damaged(c bundle.Code) bool { return c == bundle.Damaged || c == bundle.Incomplete }
