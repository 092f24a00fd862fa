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

// Bundles lists the newest 1,000 bundles of both directions, newest first.
func (b *Bridge) Bundles(ctx context.Context) ([]Listed, error) {
	rows, err := b.Pool.Query(ctx, `
		SELECT 'out', peer, epoch, seq, coalesce(id, ''), coalesce(file, ''),
		       CASE WHEN published_at IS NULL THEN 'planned' ELSE 'exported' END, '', coalesce(published_at, planned_at) AS since
		FROM outbound_bundles
		UNION ALL
		SELECT 'in', peer, epoch, seq, id, file, state, reason, coalesce(applied_at, received_at) FROM inbound_bundles
		ORDER BY since DESC LIMIT 1000`)
	if err != nil {
		return nil, fmt.Errorf("list the bundles: %w", err)
	}
	return pgx.AppendRows([]Listed{}, rows, func(row pgx.CollectableRow) (Listed, error) {
		var l Listed
		var since time.Time
		err := row.Scan(&l.Direction, &l.Peer, &l.Epoch, &l.Seq, &l.ID, &l.File, &l.State, &l.Reason, &since)
		l.Since = bundle.FormatTime(since)
		return l, err
	})
}
