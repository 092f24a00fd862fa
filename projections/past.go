package projections

import (
	"context"
	"iter"

	"sallyport/domain"
	"sallyport/eventstore"
)

// Then is what a stream amounted to at a moment.
type Then struct {
	Stream   string `json:"stream"`
	Position int64  `json:"position"` // seq: what was stored up to it counts
	// Seq, Ver, Origin and At are of the last event that counts.
	Seq    int64            `json:"seq"`
	Ver    int64            `json:"ver"`
	Origin string           `json:"origin"`
	At     domain.Timestamp `json:"at"`
	State  any              `json:"state"`
}

// History is where events of the past are found: the log, or an archive of it.
type History interface {
	// Resolve returns the seq that a moment means.
	Resolve(ctx context.Context, m eventstore.Moment) (int64, error)
	// Search gives the events that a filter seeks, in the order in which the site
	// stored them.
	Search(ctx context.Context, f eventstore.Filter) iter.Seq2[eventstore.Stored, error]
}

// StateAt folds what this site had stored of a stream by a moment: no read
// model is asked, and what happened since does not show. A request's state has
// its answer in it, and an answer's its request. [ErrNotFound]: the stream had
// no event by then.
func StateAt(ctx context.Context, log History, stream string, m eventstore.Moment) (Then, error) {
	position, err := log.Resolve(ctx, m)
	if err != nil {
		return Then{}, err
	}
	if position == 0 { // for a filter, 0 is no bound
		return Then{}, ErrNotFound
	}
	then, past := Then{Stream: stream, Position: position}, domain.NewPast(stream)
	for _, s := range together(stream) {
		for stored, err := range log.Search(ctx, eventstore.Filter{Stream: s, Through: position}) {
			if err != nil {
				return Then{}, err
			}
			e, err := stored.Event()
			if err == nil {
				err = past.Apply(e)
			}
			if err != nil {
				return Then{}, err
			}
			if s == stream {
				then.Seq, then.Ver, then.Origin, then.At = stored.Seq, e.Ver, stored.Origin, domain.Timestamp(e.At)
			}
		}
	}
	if then.Seq == 0 {
		return Then{}, ErrNotFound
	}
	then.State = past.State()
	return then, nil
}

// together are the streams whose events make one state.
func together(stream string) []string {
	if id, ok := domain.RequestOf(stream); ok {
		return []string{domain.RequestStream(id), domain.ResponseStream(id)}
	}
	return []string{stream}
}
