package bridge

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"sallyport/bridge/bundle"
	"sallyport/bridge/link"
)

// Link is one peer and all that decides what is done next with it.
type Link struct {
	Card Card
	link.End
	// Start is the last position that belongs to earlier epochs of the peer's log.
	Start int64
	// PeerUnderstands lists the event versions that the peer reads, as it last said.
	PeerUnderstands []string
	LastContact     *time.Time // when a manifest of the peer was last taken in
	LastWritten     *time.Time // when something was last published for it
	LastFile        string     // the newest file published for it; empty: none
	AddedAt         time.Time
}

// ErrNoLink is returned for a peer that this site has no card of.
var ErrNoLink = errors.New("there is no link to that site: add its card first")

// linkColumns are read by scanLink and written by saveLink in this order.
const linkColumns = `coalesce(stopped, ''), exported_seq, exported_through, exported_chain, acked_seq, acked_through,
	peer_missing, peer_rejected, rewind_seq, rewind_no, applied_seq, applied_through, applied_chain, peer_head_seq, peer_head,
	incarnation, ack_no, told, owes, peer_incarnation, peer_ack_no, seen_incarnation, seen_no, unconfirmed, resends, peer_understands, applied_start`

const selectEver = `SELECT card, last_contact, last_written, last_file, added_at, ` + linkColumns + ` FROM links WHERE `

const selectLinks = selectEver + `removed_at IS NULL `

// Links returns all links, by name.
func (b *Bridge) Links(ctx context.Context) ([]Link, error) {
	rows, err := b.Pool.Query(ctx, selectLinks+`ORDER BY peer`)
	if err != nil {
		return nil, fmt.Errorf("read the links: %w", err)
	}
	return pgx.CollectRows(rows, func(row pgx.CollectableRow) (Link, error) { return b.scanLink(row) })
}

type querier interface {
	QueryRow(ctx context.Context, sql string, args ...any) pgx.Row
}

// link reads one link; with forUpdate it stays locked until the transaction ends.
func (b *Bridge) link(ctx context.Context, q querier, peer string, forUpdate bool) (Link, error) {
	sql := selectLinks + `AND peer = $1`
	if forUpdate {
		sql += ` FOR UPDATE`
	}
	l, err := b.scanLink(q.QueryRow(ctx, sql, peer))
	if errors.Is(err, pgx.ErrNoRows) {
		return Link{}, fmt.Errorf("%w (%s)", ErrNoLink, peer)
	}
	return l, err
}

func (b *Bridge) scanLink(row pgx.Row) (Link, error) {
	var l Link
	var card, outChain, inChain, missing, rejected, told, understands []byte
	err := row.Scan(&card, &l.LastContact, &l.LastWritten, &l.LastFile, &l.AddedAt,
		&l.Stopped, &l.Out.Seq, &l.Out.Through, &outChain, &l.Out.AckedSeq, &l.Out.AckedThrough,
		&missing, &rejected, &l.Out.RewindSeq, &l.Out.RewindNo, &l.In.Seq, &l.In.Through, &inChain, &l.In.PeerSeq, &l.In.PeerHead,
		&l.Self.Incarnation, &l.Self.No, &told, &l.Owes, &l.Heard.Incarnation, &l.Heard.No, &l.Seen.Incarnation, &l.Seen.No,
		&l.Unconfirmed, &l.Resends, &understands, &l.Start)
	if err != nil {
		return Link{}, fmt.Errorf("read a link: %w", err)
	}
	if l.Card, err = storedCard(card); err != nil {
		return Link{}, err
	}
	err = errors.Join(json.Unmarshal(missing, &l.Out.Missing), json.Unmarshal(rejected, &l.Out.Rejected),
		json.Unmarshal(told, &l.Told), json.Unmarshal(understands, &l.PeerUnderstands))
	if err != nil {
		return Link{}, fmt.Errorf("read the link to %s: %w", l.Card.Name, err)
	}
	l.Out.Chain, l.In.Chain = bundle.Hash(outChain), bundle.Hash(inChain)
	l.Out.Epoch, l.In.Epoch = b.Log.Epoch(), l.Card.Epoch
	return l, nil
}

const saveLink = `UPDATE links SET (last_contact, last_written, stopped, exported_seq, exported_through, exported_chain, acked_seq, acked_through,
	peer_missing, peer_rejected, rewind_seq, rewind_no, applied_seq, applied_through, applied_chain, peer_head_seq, peer_head,
	incarnation, ack_no, told, owes, peer_incarnation, peer_ack_no, seen_incarnation, seen_no, unconfirmed, resends, peer_understands, applied_start)
	= ($2, $3, nullif($4, ''), $5, $6, $7, $8, $9, $10::json, $11::json, $12, $13, $14, $15, $16, $17, $18,
	$19, $20, $21::json, $22, $23, $24, $25, $26, $27, $28, $29::json, $30) WHERE peer = $1`

func (l Link) save(ctx context.Context, tx pgx.Tx) error {
	text := func(v any) string {
		out, err := json.Marshal(v)
		if err != nil {
			panic(err) // lists of numbers and strings always encode
		}
		return string(out)
	}
	_, err := tx.Exec(ctx, saveLink, l.Card.Name, l.LastContact, l.LastWritten, l.Stopped, l.Out.Seq, l.Out.Through, l.Out.Chain[:], l.Out.AckedSeq, l.Out.AckedThrough,
		text(l.Out.Missing), text(l.Out.Rejected), l.Out.RewindSeq, l.Out.RewindNo, l.In.Seq, l.In.Through, l.In.Chain[:], l.In.PeerSeq, l.In.PeerHead,
		l.Self.Incarnation, l.Self.No, text(l.Told), l.Owes, l.Heard.Incarnation, l.Heard.No, l.Seen.Incarnation, l.Seen.No,
		l.Unconfirmed, l.Resends, text(l.PeerUnderstands), l.Start)
	if err != nil {
		return fmt.Errorf("store the state of the link to %s: %w", l.Card.Name, err)
	}
	return nil
}

// changeLink locks a link's row, lets fn change what was read, and stores it
// in the caller's transaction. Whoever changes a link does it by this.
func (b *Bridge) changeLink(ctx context.Context, tx pgx.Tx, peer string, fn func(*Link) error) (Link, error) {
	l, err := b.link(ctx, tx, peer, true)
	if err != nil {
		return l, err
	}
	if err := fn(&l); err != nil {
		return l, err
	}
	return l, l.save(ctx, tx)
}

// newIncarnation marks this life of the link's receiving end.
func newIncarnation() string { return random128() }

// newEpoch marks a log that is founded anew.
func newEpoch() string { return random128() }

// random128 returns 32 hex digits.
func random128() string {
	var b [16]byte
	rand.Read(b[:]) //nolint:errcheck // documented never to fail
	return hex.EncodeToString(b[:])
}
