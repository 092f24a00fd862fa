package commands

import (
	"context"

	"sallyport/domain"
	"sallyport/eventstore"
)

// defining is a command about one stream whose newest event says all of what
// it is about: a profile, a request type, a responder, a setting.
type defining[S state[S]] struct {
	stream string
	// valid says whether stream can be one. One that cannot is not looked up:
	// decide will refuse it.
	valid bool
	// at is the position of the newest event that the one who asks has seen; 0:
	// whatever it is. Another one is refused with [ErrStale].
	at     int64
	decide func(S) ([]domain.Fact, error)
}

// defined is what became of it.
type defined[S any] struct {
	before, after S
	// stored has a Seq of 0 when all was so already, and nothing was stored; its
	// Pos is that of the newest event even then.
	stored Stored
}

// define loads a definition's stream, decides, and appends.
func define[S state[S]](ctx context.Context, c *Commands, by By, d defining[S]) (defined[S], error) {
	var now folded[S]
	var out defined[S]
	if d.valid {
		var err error
		if now, err = fold[S](ctx, c.log, d.stream); err != nil {
			return out, err
		}
	}
	out.before, out.after, out.stored.Pos = now.state, now.state, now.at
	facts, err := d.decide(now.state)
	if err != nil {
		return out, err
	}
	if d.at != 0 && d.at != now.at {
		return out, ErrStale
	}
	if len(facts) == 0 {
		return out, nil
	}
	stored, err := c.append(ctx, by, eventstore.Write{Stream: d.stream, Expected: now.version, Facts: facts})
	if err != nil {
		return out, taken(err, map[string]*domain.Error{d.stream: ErrStale})
	}
	out.stored = stored
	for _, f := range facts {
		out.after = out.after.Apply(f)
	}
	return out, nil
}
