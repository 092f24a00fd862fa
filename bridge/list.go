package bridge

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"sallyport/bridge/bundle"
)

// Listed is one bundle that this site has written or taken in.
type Listed struct {
	Direction string `json:"direction"` // out or in
	Peer      string `json:"peer"`
	Epoch     string `json:"epoch"`
	Seq       int64  `json:"seq"`
	ID        string `json:"id"`
	File      string `json:"file"`
	State     string `json:"state"`
	Reason    string `json:"reason,omitempty"`
	Since     string `json:"since"`
}

// BundleFilter says which bundles are listed; empty fields leave all in.
type BundleFilter struct {
	Page
	Direction string // out or in
	Peer      string
	State     string // of [BundleStates]
}

// BundleStates are the states that a listed bundle may have: the first three of
// those that go out (the last of them means that the peer has applied it), the
// others of those that come in.
func BundleStates() []string {
	return []string{"planned", "exported", "acknowledged", "verified", "held", "applied", "archived"}
}

// bundleKey is a bundle's place in the list. It never changes, so that a page
// neither repeats nor skips what was there when the first one was read.
type bundleKey struct {
	Begun     time.Time
	Direction string
	Peer      string
	Epoch     string
	Seq       int64
	ID        string
}

type listedRow struct {
	Listed
	key bundleKey
}

const selectBundles = `
	SELECT direction, peer, epoch, seq, id, file, state, reason, since, begun FROM (
		SELECT 'out' AS direction, o.peer, o.epoch, o.seq, coalesce(o.id, '') AS id, coalesce(o.file, '') AS file,
		       CASE WHEN o.published_at IS NULL THEN 'planned'
		            WHEN o.epoch = $11 AND o.seq <= l.acked_seq THEN 'acknowledged' ELSE 'exported' END AS state, '' AS reason,
		       coalesce(o.published_at, o.planned_at) AS since, o.planned_at AS begun
		FROM outbound_bundles o LEFT JOIN links l USING (peer)
		UNION ALL
		SELECT 'in', peer, epoch, seq, id, file, state, reason, coalesce(applied_at, received_at), received_at FROM inbound_bundles
	) AS bundles
	WHERE $1 IN ('', direction) AND $2 IN ('', peer) AND $3 IN ('', state)
	  AND ($4::timestamptz IS NULL OR (begun, direction, peer, epoch, seq, id) < ($4, $5, $6, $7, $8, $9))
	ORDER BY begun DESC, direction DESC, peer DESC, epoch DESC, seq DESC, id DESC LIMIT $10`

// BundlesPage lists the bundles that f leaves in, the one planned or received
// last first, and the cursor of the next page, which is empty at the end. It
// fails with [ErrCursor].
func (b *Bridge) BundlesPage(ctx context.Context, f BundleFilter) ([]Listed, string, error) {
	from, err := after[bundleKey](f.Page)
	if err != nil {
		return nil, "", err
	}
	var begun *time.Time
	var key bundleKey
	if from != nil {
		key, begun = *from, &from.Begun
	}
	rows, err := b.Pool.Query(ctx, selectBundles, f.Direction, f.Peer, f.State,
		begun, key.Direction, key.Peer, key.Epoch, key.Seq, key.ID, f.limit()+1, b.Log.Epoch())
	if err != nil {
		return nil, "", fmt.Errorf("list the bundles: %w", err)
	}
	found, err := pgx.CollectRows(rows, scanListed)
	if err != nil {
		return nil, "", fmt.Errorf("list the bundles: %w", err)
	}
	found, next := cut(f.Page, found, func(r listedRow) bundleKey { return r.key })
	listed := make([]Listed, len(found))
	for i, r := range found {
		listed[i] = r.Listed
	}
	return listed, next, nil
}

func scanListed(row pgx.CollectableRow) (r listedRow, err error) {
	var since time.Time
	err = row.Scan(&r.Direction, &r.Peer, &r.Epoch, &r.Seq, &r.ID, &r.File, &r.State, &r.Reason, &since, &r.key.Begun)
	r.Since = bundle.FormatTime(since)
	r.key.Direction, r.key.Peer, r.key.Epoch, r.key.Seq, r.key.ID = r.Direction, r.Peer, r.Epoch, r.Seq, r.ID
	return r, err
}
