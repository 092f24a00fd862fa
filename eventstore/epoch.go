package eventstore

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"
)

// Epoch is one life of a log. A log has several only if it was founded anew:
//
//	epoch 1   0 ──────────▶ 41 ─ restored, recovered ─▶ 57     chain from Genesis
//	epoch 2                            60 ─▶ site.refounded ─▶ …     from Genesis
//
// Positions go on above every one that was ever used, so that a position names
// one event of a site for ever; each epoch's chain begins with its own genesis.
type Epoch struct {
	Origin  string
	Epoch   string // 32 hex digits
	After   int64  // exclusive
	Through int64  // the last position held here
	Chain   Hash   // the chain there
}

// Ended returns the epochs of an origin before its present one, oldest first.
func (s *Store) Ended(ctx context.Context, origin string) ([]Epoch, error) {
	rows, err := s.pool.Query(ctx, `SELECT origin, epoch, "after", through, chain FROM ended_epochs WHERE origin = $1 ORDER BY "after", ended_at`, origin)
	if err != nil {
		return nil, fmt.Errorf("read the earlier epochs of %s: %w", origin, err)
	}
	all, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (Epoch, error) {
		var e Epoch
		var chain []byte
		if err := row.Scan(&e.Origin, &e.Epoch, &e.After, &e.Through, &chain); err != nil {
			return e, err
		}
		e.Chain = Hash(chain)
		return e, nil
	})
	if err != nil {
		return nil, fmt.Errorf("read the earlier epochs of %s: %w", origin, err)
	}
	return all, nil
}

// End records in the caller's transaction that an epoch ended where it did.
func (e Epoch) End(ctx context.Context, tx pgx.Tx) error {
	_, err := tx.Exec(ctx, `INSERT INTO ended_epochs (origin, epoch, "after", through, chain) VALUES ($1, $2, $3, $4, $5)`,
		e.Origin, e.Epoch, e.After, e.Through, e.Chain[:])
	if err != nil {
		return fmt.Errorf("end epoch %s of %s: %w", e.Epoch, e.Origin, err)
	}
	return nil
}
