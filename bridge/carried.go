package bridge

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"sort"
	"time"

	"github.com/jackc/pgx/v5"

	"sallyport/bridge/bundle"
)

// Carrier is a bundle that carried an event: out to a peer, or in from one.
type Carrier struct {
	Direction string // out or in
	Peer      string
	Epoch     string
	Seq       int64
	ID        string // empty until its file is written
	State     string // of [BundleStates]
	// At is when it was published or applied; nil while it is only planned.
	At *time.Time
}

// Carriers returns the bundles that carried an event, given the site that wrote
// it and its position there: of this site's own events, those that they left
// in; of a peer's, the one that brought it. A range that withholds the event
// did not carry it.
func (b *Bridge) Carriers(ctx context.Context, origin string, pos int64) ([]Carrier, error) {
	find := b.carriersIn
	if origin == b.Log.Site() {
		find = b.carriersOut
	}
	found, err := find(ctx, origin, pos)
	if err != nil {
		return nil, fmt.Errorf("look which bundles carried position %d of %s: %w", pos, origin, err)
	}
	return found, nil
}

// A position belongs to one epoch of the log, and of each peer's bundles of one
// epoch the first that reaches it is the only one that may hold it.
const selectCarriersOut = `
	SELECT o.peer, o.epoch, o.seq, coalesce(o.id, ''), o.withheld, o.published_at,
	       CASE WHEN o.published_at IS NULL THEN 'planned'
	            WHEN o.epoch = $2 AND o.seq <= l.acked_seq THEN 'acknowledged' ELSE 'exported' END
	FROM (SELECT DISTINCT peer, epoch FROM outbound_bundles) AS k
	CROSS JOIN LATERAL (SELECT * FROM outbound_bundles AS o WHERE o.peer = k.peer AND o.epoch = k.epoch AND o.through >= $1
	                    ORDER BY o.through LIMIT 1) AS o
	LEFT JOIN links AS l ON l.peer = o.peer
	WHERE o."after" < $1 ORDER BY o.peer, o.seq`

func (b *Bridge) carriersOut(ctx context.Context, _ string, pos int64) ([]Carrier, error) {
	rows, err := b.Pool.Query(ctx, selectCarriersOut, pos, b.Log.Epoch())
	if err != nil {
		return nil, err
	}
	var found []Carrier
	c, withheld := Carrier{Direction: "out"}, []byte(nil)
	_, err = pgx.ForEachRow(rows, []any{&c.Peer, &c.Epoch, &c.Seq, &c.ID, &withheld, &c.At, &c.State}, func() error {
		var runs []run
		if err := json.Unmarshal(withheld, &runs); err != nil {
			return fmt.Errorf("what bundle %d for %s withholds: %w", c.Seq, c.Peer, err)
		}
		if !slices.ContainsFunc(runs, func(r run) bool { return r.After < pos && pos <= r.Through }) {
			found = append(found, c)
		}
		return nil
	})
	return found, err
}

// carriersIn looks through the applied bundles of the position's epoch by halves:
// their numbers and their ranges grow together, and the ranges are inside what is
// signed. The first bundle of a log that was founded anew passes over all earlier
// epochs, so that its range alone would not tell.
func (b *Bridge) carriersIn(ctx context.Context, peer string, pos int64) ([]Carrier, error) {
	e, err := b.epochAt(ctx, peer, pos)
	if errors.Is(err, errNotHeld) {
		return nil, nil
	}
	var most int64
	if err == nil {
		err = b.Pool.QueryRow(ctx, `SELECT coalesce(max(seq), 0) FROM inbound_bundles
			WHERE peer = $1 AND epoch = $2 AND applied_at IS NOT NULL`, peer, e.Epoch).Scan(&most)
	}
	if err != nil {
		return nil, err
	}
	var failed error
	at := sort.Search(int(most), func(i int) bool {
		_, through, _, err := b.appliedFrom(ctx, peer, e.Epoch, int64(i)+1)
		failed = errors.Join(failed, err)
		return err != nil || through >= pos
	})
	if failed != nil || int64(at) == most {
		return nil, failed
	}
	after, _, c, err := b.appliedFrom(ctx, peer, e.Epoch, int64(at)+1)
	if err != nil || after >= pos {
		return nil, err
	}
	return []Carrier{c}, nil
}

// appliedFrom returns the range of the first bundle that was applied from a
// number on.
func (b *Bridge) appliedFrom(ctx context.Context, peer, epoch string, seq int64) (after, through int64, c Carrier, err error) {
	c = Carrier{Direction: "in", Peer: peer, Epoch: epoch}
	var signed string
	err = b.Pool.QueryRow(ctx, `SELECT seq, id, state, applied_at, manifest FROM inbound_bundles
		WHERE peer = $1 AND epoch = $2 AND seq >= $3 AND applied_at IS NOT NULL ORDER BY seq, id LIMIT 1`, peer, epoch, seq).
		Scan(&c.Seq, &c.ID, &c.State, &c.At, &signed)
	if err != nil {
		return 0, 0, c, fmt.Errorf("read bundle %d of %s: %w", seq, peer, err)
	}
	m, err := bundle.ReadManifest([]byte(signed))
	return m.Core.Range.After, m.Core.Range.Through, c, err
}
