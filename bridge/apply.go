package bridge

import (
	"context"
	"errors"
	"fmt"
	"iter"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"sallyport/bridge/bundle"
	"sallyport/eventstore"
)

const (
	// applyChunk is the most events, and the most withheld runs, of one
	// transaction: the log's head is locked meanwhile, and others want to append.
	applyChunk = 1000
	// chunkBytes ends a transaction early that has long lines: a peer may send a
	// thousand of the longest, and their bytes are in memory several times.
	chunkBytes = 2 << 20
	// keepBytes is how much of a bundle is kept in memory between checking and
	// applying it; a larger one is read twice.
	keepBytes = 4 << 20
)

// chunk is a run of lines that is stored in one transaction.
type chunk struct {
	after   int64       // the cursor before
	before  bundle.Hash // the chain there
	through int64
	chain   bundle.Hash
	start   int64 // where a log that was founded anew begins; 0: not in this chunk
	bytes   int
	m       eventstore.Mirrored
}

func (c *chunk) empty() bool { return c.through == c.after }

func (c *chunk) full() bool {
	return max(len(c.m.Events), len(c.m.Withheld)) >= applyChunk || c.bytes >= chunkBytes
}

// apply stores what the bundle adds to the mirror. All of it is read and
// checked before any of it is stored.
func (a *arrival) apply(ctx context.Context) error {
	var kept []*chunk
	size := 0
	err := a.chunks(ctx, func(c *chunk) error {
		size += c.bytes
		if kept = append(kept, c); size > keepBytes {
			kept = nil
		}
		return a.bridge.owned(ctx, a.core.From, c.m.Events)
	})
	if err != nil {
		return a.heldForUpgrade(ctx, err)
	}
	if err := a.readFirst(ctx); err != nil {
		return err
	}
	if size > keepBytes {
		err = a.chunks(ctx, func(c *chunk) error { return a.store(ctx, c) })
	}
	for _, c := range kept {
		if err == nil {
			err = a.store(ctx, c)
		}
	}
	if err != nil {
		return err
	}
	return a.finish(ctx)
}

// heldForUpgrade keeps a bundle that a newer program wrote until this one was
// upgraded: nothing in it is skipped.
func (a *arrival) heldForUpgrade(ctx context.Context, err error) error {
	if bundle.CodeOf(err) != bundle.Upgrade {
		return err
	}
	a.outcome.Err = err
	return a.hold(ctx, bundle.Upgrade, err.Error())
}

// chunks reads all lines after the cursor, checks each, and hands them on in
// the portions of one transaction.
func (a *arrival) chunks(ctx context.Context, handle func(*chunk) error) error {
	if err := a.findEarlier(ctx); err != nil {
		return err
	}
	check := Checker{From: a.core.From, Role: a.link.Card.Role, Schemas: a.bridge.Schemas}
	c := a.chunkFrom(a.link.In.Through, a.link.In.Chain)
	for line, err := range check.all(a.news(ctx)) {
		if err != nil {
			return err
		}
		if line.Number == 2 && a.earlier != nil {
			if err := a.beginsAnew(c, line.Line); err != nil {
				return atLine(err, line.Number)
			}
			continue
		}
		if err := c.add(line); err != nil {
			return err
		}
		if line.Number == 3 && a.earlier != nil {
			if err := a.refounds(c.m.Facts); err != nil {
				return atLine(err, line.Number)
			}
		}
		if c.full() {
			if err := handle(c); err != nil {
				return err
			}
			c = a.chunkFrom(c.through, c.chain)
		}
	}
	if c.empty() {
		return nil
	}
	return handle(c)
}

// news gives the lines after the cursor. What the cursor has passed must agree
// with the chain that is known.
func (a *arrival) news(ctx context.Context) iter.Seq2[bundle.Line, error] {
	return func(yield func(bundle.Line, error) bool) {
		for line, err := range a.bundle.Lines(ctx, a.bridge.Keys.Identity) {
			if through := line.Through(); err == nil && through <= a.link.In.Through {
				if through < a.link.In.Through || line.Chain == a.link.In.Chain {
					continue
				}
				err = &bundle.Error{Code: bundle.Fork, Position: through, Msg: "its chain contradicts what is already known of that log"}
			}
			if !yield(line, err) || err != nil {
				return
			}
		}
	}
}

// atLine tells where in the payload it was that a check failed.
func atLine(err error, number int) error {
	var bad *bundle.Error
	if errors.As(err, &bad) && bad.Line == 0 {
		bad.Line = number
	}
	return err
}

func (a *arrival) chunkFrom(after int64, chain bundle.Hash) *chunk {
	return &chunk{after: after, before: chain, through: after, chain: chain, m: eventstore.Mirrored{Origin: a.core.From}}
}

func (c *chunk) add(line checked) error {
	c.bytes += len(line.Raw)
	if w := line.Withheld; w != nil {
		// Of a run that begins in what is known, the rest is news: its end is signed.
		c.m.Withheld = append(c.m.Withheld, eventstore.Withheld{After: max(w.After, c.through), Through: w.Through, Chain: eventstore.Hash(w.Chain)})
	} else {
		c.m.Events = append(c.m.Events, line.event)
		c.m.Facts = append(c.m.Facts, line.fact)
		c.m.Lines = append(c.m.Lines, line.Raw)
	}
	c.through, c.chain = line.Through(), line.Chain
	return nil
}

// store moves the cursor over a chunk in the transaction that stores it.
func (a *arrival) store(ctx context.Context, c *chunk) error {
	last := c.through == a.core.Range.Through
	c.m.With = func(ctx context.Context, tx pgx.Tx) error {
		_, err := a.bridge.changeLink(ctx, tx, a.core.From, func(l *Link) error {
			if l.Card != a.link.Card {
				return errNewCard
			}
			if l.In.Through != c.after || l.In.Chain != c.before {
				return fmt.Errorf("the cursor of %s is at %d, expected %d: another program imports", a.core.From, l.In.Through, c.after)
			}
			l.In.Applied(a.core, c.through, c.chain, last)
			l.Start = max(l.Start, c.start)
			return nil
		})
		if err == nil && last {
			err = errors.Join(a.set(ctx, tx, "applied", "", ""), a.keepFirst(ctx, tx))
		}
		if err != nil || a.bridge.Enqueue == nil {
			return err
		}
		return a.bridge.Enqueue(ctx, tx, c.m.Events, c.m.Facts)
	}
	if err := doubled(a.bridge.Log.Mirror(ctx, c.m)); err != nil {
		return err
	}
	a.stored = c.through
	return nil
}

// doubled tells a peer that used an event's id or a stream's version twice from
// a database that failed: the first would fail again for ever.
func doubled(err error) error {
	var pg *pgconn.PgError
	if !errors.As(err, &pg) || (pg.ConstraintName != "events_stream_ver" && pg.ConstraintName != "events_origin_id") {
		return err
	}
	return &bundle.Error{Code: bundle.Refused, Msg: "an event's id, or its version in its stream, was used before by the same site"}
}
