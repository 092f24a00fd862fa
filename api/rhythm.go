package api

import (
	"time"

	"sallyport/domain"
	"sallyport/projections"
	"sallyport/projections/tally"
)

// Crossing is the state of the link that requests leave by. The zero value
// means that nothing has crossed and nothing is known of its rhythm.
type Crossing struct {
	Peer            string
	ExportedThrough int64 // position in this site's own log
	AckedThrough    int64
	// ExportEvery is how often bundles are written; 0: not known.
	ExportEvery time.Duration
	// RoundTrip is how long answers took of late, from the submission until they
	// were here; the zero value: not known.
	RoundTrip projections.RoundTrip
}

// counted is the link as the tally knows it.
func (link Crossing) counted() tally.Link {
	return tally.Link{ExportedThrough: link.ExportedThrough, AckedThrough: link.AckedThrough}
}

// expectedCrossing is when a request is likely gone, and when its answer is
// likely here. Null means that it is past, or that the rhythm is not known.
type expectedCrossing struct {
	Out  *domain.Timestamp `json:"out"`
	Back *domain.Timestamp `json:"back"`
}

// expect tells what follows from the link's rhythm. Bundles are written at
// least every so often, so a request is gone after that while; an answer takes
// what half of the latest took, and once that is past, what nine of ten took.
func (link Crossing) expect(q projections.Request, status domain.Status, now time.Time) expectedCrossing {
	var e expectedCrossing
	switch status {
	case domain.StatusPending:
		e.Out = next(q.CreatedAt, now, link.ExportEvery)
	case domain.StatusExported, domain.StatusDelivered, domain.StatusProcessing:
	default:
		return e
	}
	if q.AskedPos != q.Pos {
		return e // asked again: how long that takes is not measured
	}
	for _, took := range []time.Duration{link.RoundTrip.Half, link.RoundTrip.Most} {
		if back := q.CreatedAt.Add(took); took > 0 && back.After(now) {
			e.Back = stamp(back)
			return e
		}
	}
	return e
}

// next is the first moment after now of those that follow a beginning at a
// steady pace; nil if there is no pace.
func next(begin, now time.Time, every time.Duration) *domain.Timestamp {
	if every <= 0 {
		return nil
	}
	turns := max(now.Sub(begin)/every, 0) + 1
	return stamp(begin.Add(turns * every))
}

// stamp is a time to the second: more than that nobody can expect.
func stamp(t time.Time) *domain.Timestamp {
	out := domain.Timestamp(t.UTC().Truncate(time.Second))
	return &out
}

// lookAgain follows the link's rhythm within reason.
func lookAgain(every time.Duration) time.Duration {
	if every <= 0 {
		return 5 * time.Second
	}
	return min(max(every, time.Second), 5*time.Minute)
}
