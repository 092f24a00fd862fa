package link

import (
	"slices"
	"time"

	"sallyport/bridge/bundle"
)

// Telling is what a manifest tells the peer of its own bundles.
type Telling struct {
	Position int64              `json:"position"` // the last position applied
	Missing  []int64            `json:"missing"`
	Rejected []bundle.Rejection `json:"rejected"`
}

func (t Telling) equal(other Telling) bool {
	return t.Position == other.Position && slices.Equal(t.Missing, other.Missing) && slices.Equal(t.Rejected, other.Rejected)
}

// wants reports whether the telling asks for bundles to be made again.
func (t Telling) wants() bool {
	return len(t.Missing) > 0 || slices.ContainsFunc(t.Rejected, func(r bundle.Rejection) bool { return damaged(r.Code) })
}

// Told is the telling of the newest published manifest.
type Told struct {
	Telling
	No    int64 `json:"no"`    // that manifest's number
	Since int64 `json:"since"` // the number of the first one that said the same and all that is owed
	Heard int64 `json:"heard"` // the number of the peer's manifest that it had seen
}

// NextAck numbers the next manifest and returns its ack. The number must be
// stored before the manifest is written: it is never used twice.
func (e *End) NextAck(t Telling, understands []string) *bundle.Ack {
	e.Self.No++
	a := &bundle.Ack{Epoch: e.In.Epoch, Incarnation: e.Self.Incarnation, No: e.Self.No, Seq: e.In.Seq, Position: e.In.Through, Chain: e.In.Chain,
		Missing: t.Missing, Rejected: t.Rejected, Understands: understands}
	if e.Heard.No > 0 {
		a.Seen = &bundle.Seen{Incarnation: e.Heard.Incarnation, No: e.Heard.No}
	}
	return a
}

// Tell notes that the manifest of an ack was published. One that is older than
// what was told since, or than what is owed, changes nothing: it is told again.
func (e *End) Tell(a *bundle.Ack, t Telling) {
	if a.Incarnation != e.Self.Incarnation || a.No < e.Owes || a.No <= e.Told.No {
		return
	}
	since := a.No // a debt that is paid is news, like content that changed
	if e.Told.Since > 0 && e.Told.No >= e.Owes && e.Told.equal(t) {
		since = e.Told.Since
	}
	e.Told = Told{Telling: t, No: a.No, Since: since}
	if a.Seen != nil {
		e.Told.Heard = a.Seen.No
	}
}

// Pressure is what makes an end look for something to send.
type Pressure int

const (
	// Turn is the usual look.
	Turn Pressure = iota
	// Overdue says that nothing was sent for [Patience].
	Overdue
	// ByHand says that a person asked.
	ByHand
)

// BeaconDue tells why a beacon is due, empty if none is. Whatever else was sent
// at this turn has told the peer already, so that none is due then.
//
// Content is told when it changed, and again when the peer shows, by a newer
// manifest, that it may not know it. So a beacon leads to another only when it
// brings to light that something is missing or was not heard.
func (e *End) BeaconDue(t Telling, p Pressure) string {
	newer := e.Heard.No > e.Told.Heard
	switch {
	case !t.equal(e.Told.Telling):
		return "what arrived or is missing was not told yet"
	case e.Told.No < e.Owes:
		return "the peer must learn something new of this site: a key, or that one of the two was restored"
	case newer && t.wants():
		return "bundles are still missing"
	case newer && e.Told.Since > e.Seen.No:
		return "the peer does not seem to know what was told"
	case e.Announcing && p != Turn:
		return "the peer has not shown to know this site's new key"
	case p == Turn || e.Stopped != "":
		return ""
	case e.Unacknowledged():
		return "what was sent is not acknowledged"
	case e.Unconfirmed:
		return "the peer has not shown to know that this site was restored"
	default:
		return ""
	}
}

// Unacknowledged reports whether something published is not applied there, as
// far as is known.
func (e *End) Unacknowledged() bool { return e.Out.AckedThrough < e.Out.Through }

// Patience is how long an end waits before it sends a beacon because nothing
// was heard: resendAfter, doubled for each one that was sent in vain, up to a
// day. A courier who is away for a week finds a dozen of them, not a thousand.
func (e *End) Patience(resendAfter time.Duration) time.Duration {
	wait := resendAfter
	for range e.Resends {
		if wait >= 24*time.Hour {
			break
		}
		wait *= 2
	}
	return max(resendAfter, min(wait, 24*time.Hour))
}
