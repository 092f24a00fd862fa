package link

import "sallyport/bridge/bundle"

// Mark names one manifest of a site by its ack: the incarnation of the link's
// end that wrote it, and its number, which only ever grows.
type Mark struct {
	Incarnation string // 32 hex digits; empty: none
	No          int64
}

// End is all that decides what one end of a link does next. The zero value,
// with epochs, chain and [Mark.Incarnation] of Self filled in, is an end that
// has sent and heard nothing.
type End struct {
	Out Outbound
	In  Inbound
	// Self is this end's incarnation and the number of its newest manifest.
	Self Mark
	// Told is what the newest published manifest said.
	Told Told
	// Owes is the number from which on a manifest must still be told, whatever
	// it says; 0: none. The peer has to learn something that is no content.
	Owes int64
	// Heard is the newest of the peer's manifests that counted.
	Heard Mark
	// Seen is the newest of our manifests that the peer had counted by then.
	Seen Mark
	// Unconfirmed says that Self has a new incarnation since a restore, and that
	// the peer has not yet shown to know it.
	Unconfirmed bool
	// Resends counts the beacons written because time passed, since the peer was
	// last heard.
	Resends int
	// Announcing says that manifests tell the peer of a new key of this site, and
	// that it has not yet shown to know it. It is not stored: the bridge knows it.
	Announcing bool
	// Stopped is why no data is sent and none applied until people decide; empty:
	// the link runs.
	Stopped string
}

// Outbound is how far a peer has got with this site's log.
type Outbound struct {
	Epoch        string      // of this site's log
	Seq          int64       // the last number published
	Through      int64       // the last position published
	Chain        bundle.Hash // our chain at Through
	AckedSeq     int64       // the last number that the peer applied without a gap
	AckedThrough int64       // the last position that it applied
	// Missing and Rejected are what the peer's newest ack said.
	Missing  []int64
	Rejected []bundle.Rejection
	// The numbers after AckedSeq through RewindSeq were acknowledged once and are
	// wanted again by a restored peer: those made under RewindNo or before.
	RewindSeq int64
	RewindNo  int64
}

// Inbound is how far a site has got with a peer's log.
type Inbound struct {
	Epoch   string      // of the peer's log, from its card
	Seq     int64       // the last bundle applied without a gap
	Through int64       // the last position applied
	Chain   bundle.Hash // the peer's chain at Through
	// PeerSeq and PeerHead are the last number that the peer gave out on this link
	// and the last position of its log, as it last said.
	PeerSeq  int64
	PeerHead int64
}

// Restore gives the end a new incarnation, above every number that it may have
// used before: fresh is random, atLeast what is known from elsewhere. The peer
// hears of it, lets the rest sink, and sends again what was lost. It never
// begins with number 1: so a peer that heard of no other can tell it from a
// link's first word, and answers.
func (e *End) Restore(fresh string, atLeast int64) {
	e.Self = Mark{Incarnation: fresh, No: max(e.Self.No, atLeast, 1)}
	e.Told, e.Owes, e.Resends = Told{}, e.Self.No+1, 0
	e.Unconfirmed = true
}
