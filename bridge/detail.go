package bridge

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"sallyport/bridge/bundle"
)

// Detail is one bundle with what it covers and who carried it.
type Detail struct {
	Listed
	Kind    bundle.Kind `json:"kind"`
	After   int64       `json:"after"` // positions of the log, as [bundle.Range]
	Through int64       `json:"through"`
	// Events and Withheld count what is in it; nil: its manifest does not say.
	Events   *int64 `json:"events"`
	Withheld *int64 `json:"withheld"`
	Bytes    int64  `json:"bytes"` // of the file; 0: not known
	// BegunAt is when it was planned or received, EndedAt when it was written or applied.
	BegunAt  string     `json:"begun_at"`
	EndedAt  *string    `json:"ended_at"`
	Operator string     `json:"operator"` // who had it written; empty for one that came in
	Makings  int        `json:"makings"`  // how often its file was made; 0 for one that came in
	Custody  []Handling `json:"custody"`  // of its file, the last one first
}

// Bundle returns one bundle by its id. It fails with a [domain.Error] of kind
// NotFound for what is no bundle of this site.
func (b *Bridge) Bundle(ctx context.Context, id string) (d Detail, err error) {
	if raw, err := hex.DecodeString(id); err != nil || len(raw) != 32 {
		return d, noBundle(id)
	}
	d, err = b.sentOut(ctx, id)
	if errors.Is(err, pgx.ErrNoRows) {
		d, err = b.takenIn(ctx, id)
	}
	if errors.Is(err, pgx.ErrNoRows) {
		return d, noBundle(id)
	}
	if err != nil {
		return d, fmt.Errorf("look up the bundle %s: %w", id, err)
	}
	d.Custody, _, err = b.CustodyPage(ctx, CustodyFilter{file: d.File})
	return d, err
}

func (b *Bridge) sentOut(ctx context.Context, id string) (Detail, error) {
	d := Detail{Listed: Listed{Direction: "out"}, Kind: bundle.Data, Events: new(int64), Withheld: new(int64)}
	var begun time.Time
	var ended *time.Time
	err := b.Pool.QueryRow(ctx, `
		SELECT o.peer, o.epoch, o.seq, o.id, coalesce(o.file, ''), o."after", o.through, o.events, o.withheld_events, coalesce(o.bytes, 0),
		       o.operator, o.makings, o.planned_at, o.published_at,
		       CASE WHEN o.published_at IS NULL THEN 'planned' WHEN o.epoch = $2 AND o.seq <= l.acked_seq THEN 'acknowledged' ELSE 'exported' END
		FROM outbound_bundles o LEFT JOIN links l USING (peer) WHERE o.id = $1 LIMIT 1`, id, b.Log.Epoch()).
		Scan(&d.Peer, &d.Epoch, &d.Seq, &d.ID, &d.File, &d.After, &d.Through, d.Events, d.Withheld, &d.Bytes, &d.Operator, &d.Makings, &begun, &ended, &d.State)
	d.dated(begun, ended)
	return d, err
}

func (b *Bridge) takenIn(ctx context.Context, id string) (Detail, error) {
	d := Detail{Listed: Listed{Direction: "in"}}
	var begun time.Time
	var ended *time.Time
	var signed string
	err := b.Pool.QueryRow(ctx, `SELECT peer, epoch, seq, id, file, state, reason, manifest, received_at, applied_at FROM inbound_bundles WHERE id = $1 LIMIT 1`, id).
		Scan(&d.Peer, &d.Epoch, &d.Seq, &d.ID, &d.File, &d.State, &d.Reason, &signed, &begun, &ended)
	if err != nil {
		return d, err
	}
	d.dated(begun, ended)
	m, err := bundle.ReadManifest([]byte(signed))
	if err != nil {
		return d, err
	}
	d.Kind, d.After, d.Through = m.Core.Kind, m.Core.Range.After, m.Core.Range.Through
	if len(m.Frames) > 0 { // an encrypted one does not tell
		var events int64
		for _, f := range m.Frames {
			events += int64(f.Events)
		}
		withheld := d.Through - d.After - events
		d.Events, d.Withheld = &events, &withheld
	}
	return d, nil
}

func (d *Detail) dated(begun time.Time, ended *time.Time) {
	d.BegunAt, d.EndedAt, d.Since = bundle.FormatTime(begun), display(ended), bundle.FormatTime(begun)
	if ended != nil {
		d.Since = *d.EndedAt
	}
}
