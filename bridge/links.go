package bridge

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"sallyport/bridge/bundle"
	"sallyport/bridge/link"
	"sallyport/domain"
	"sallyport/eventstore"
)

// Link is one peer and how far both directions have got.
type Link struct {
	Card        Card
	Stopped     string // why nothing is exported or imported; empty: it runs
	Out         link.Outbound
	OutChain    bundle.Hash // our chain at Out.Through
	In          link.Inbound
	Incarnation string // ours, in the acks that we send
	PeerHead    int64  // the peer's last position, as it last said
	PeerHeadSeq int64  // the last number that the peer gave, as it last said
	LastContact *time.Time
}

// ErrNoLink is returned for a peer that this site has no card of.
var ErrNoLink = errors.New("there is no link to that site: add its card first")

const selectLinks = `
	SELECT card, coalesce(stopped, ''), exported_seq, exported_through, exported_chain, acked_seq, acked_through,
	       applied_seq, applied_through, applied_chain, incarnation, peer_incarnation, peer_ack_no,
	       peer_head, peer_head_seq, last_contact
	FROM links `

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
	sql := selectLinks + `WHERE peer = $1`
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
	var card, outChain, inChain []byte
	err := row.Scan(&card, &l.Stopped, &l.Out.Seq, &l.Out.Through, &outChain, &l.Out.AckedSeq, &l.Out.AckedThrough,
		&l.In.Seq, &l.In.Through, &inChain, &l.Incarnation, &l.Out.Incarnation, &l.Out.No,
		&l.PeerHead, &l.PeerHeadSeq, &l.LastContact)
	if err != nil {
		return Link{}, fmt.Errorf("read a link: %w", err)
	}
	if l.Card, err = ParseCard(card); err != nil {
		return Link{}, err
	}
	l.OutChain, l.In.Chain = bundle.Hash(outChain), bundle.Hash(inChain)
	l.Out.Epoch, l.In.Epoch = b.Log.Epoch(), l.Card.Epoch
	return l, nil
}

// AddLink begins a link to the site of a card whose fingerprint two people
// have compared. Adding the same card again changes nothing.
func (b *Bridge) AddLink(ctx context.Context, card Card, actor string) error {
	if err := b.mayLink(ctx, card); err != nil {
		return err
	}
	err := pgx.BeginFunc(ctx, b.Pool, func(tx pgx.Tx) error {
		ours := eventstore.Genesis(b.Log.Epoch(), b.Log.Site())
		theirs := eventstore.Genesis(card.Epoch, card.Name)
		tag, err := tx.Exec(ctx, `INSERT INTO links (peer, card, exported_chain, applied_chain, incarnation)
			VALUES ($1, $2, $3, $4, $5) ON CONFLICT DO NOTHING`,
			card.Name, string(card.Encode()), ours[:], theirs[:], newIncarnation())
		if err != nil || tag.RowsAffected() == 0 {
			return err
		}
		_, err = b.Log.AppendTx(ctx, tx, eventstore.Append{Actor: actor, Writes: []eventstore.Write{{
			Stream: domain.SiteStream(b.Log.Site()), Expected: eventstore.Any,
			Facts: []domain.Fact{domain.PeerAdded{Peer: card.Name, Role: card.Role, Epoch: card.Epoch, Fingerprint: card.Fingerprint()}},
		}}})
		return err
	})
	if err != nil {
		return fmt.Errorf("add the link to %s: %w", card.Name, err)
	}
	return nil
}

func (b *Bridge) mayLink(ctx context.Context, card Card) error {
	if err := card.check(); err != nil {
		return err
	}
	if card.Name == b.Log.Site() || card.Role == b.Log.Role() {
		return fmt.Errorf("a %s site links to sites of the other role, not to %s, which is a %s site", b.Log.Role(), card.Name, card.Role)
	}
	links, err := b.Links(ctx)
	if err != nil {
		return err
	}
	for _, l := range links {
		switch {
		case l.Card.Name == card.Name && l.Card != card:
			return fmt.Errorf("%s is linked already with another card: two people must compare the cards; nothing was changed", card.Name)
		case l.Card.Name != card.Name && l.Card.Epoch == card.Epoch:
			return fmt.Errorf("the card of %s shows the epoch of %s: one of the two is false; nothing was changed", card.Name, l.Card.Name)
		}
	}
	return nil
}

// newIncarnation marks this life of the link's receiving end.
func newIncarnation() string {
	var b [16]byte
	rand.Read(b[:]) //nolint:errcheck // documented never to fail
	return hex.EncodeToString(b[:])
}

// stop halts a link until people resume it.
func (b *Bridge) stop(ctx context.Context, peer, reason string) error {
	b.Logger.ErrorContext(ctx, "link stopped", "peer", peer, "reason", reason)
	_, err := b.Pool.Exec(ctx, `UPDATE links SET stopped = $2 WHERE peer = $1 AND stopped IS NULL`, peer, reason)
	if err != nil {
		return fmt.Errorf("stop the link to %s: %w", peer, err)
	}
	return nil
}

// acknowledge takes over what a verified manifest says of our log and of the
// peer's own end.
func (b *Bridge) acknowledge(ctx context.Context, peer string, m bundle.Manifest) error {
	return pgx.BeginFunc(ctx, b.Pool, func(tx pgx.Tx) error {
		l, err := b.link(ctx, tx, peer, true)
		if err != nil {
			return err
		}
		_, err = tx.Exec(ctx, `UPDATE links SET last_contact = clock_timestamp(),
			peer_head = greatest(peer_head, $2), peer_head_seq = greatest(peer_head_seq, $3) WHERE peer = $1`,
			peer, m.Head.Position, m.Head.Seq)
		if err != nil || m.Ack == nil {
			return err
		}
		head, err := b.Log.Head(ctx)
		if err != nil {
			return err
		}
		l.Out.Head = head.Pos
		after, ok := l.Out.Acknowledge(*m.Ack)
		if !ok {
			return nil
		}
		_, err = tx.Exec(ctx, `UPDATE links SET acked_seq = $2, acked_through = $3, peer_incarnation = $4, peer_ack_no = $5 WHERE peer = $1`,
			peer, after.AckedSeq, after.AckedThrough, after.Incarnation, after.No)
		return err
	})
}

// nextAck numbers and returns what we have applied of the peer's log.
func (b *Bridge) nextAck(ctx context.Context, peer string) (*bundle.Ack, error) {
	var no int64
	err := b.Pool.QueryRow(ctx, `UPDATE links SET ack_no = ack_no + 1 WHERE peer = $1 RETURNING ack_no`, peer).Scan(&no)
	if err != nil {
		return nil, fmt.Errorf("number the acknowledgement to %s: %w", peer, err)
	}
	l, err := b.link(ctx, b.Pool, peer, false)
	if err != nil {
		return nil, err
	}
	missing, err := b.missing(ctx, l)
	if err != nil {
		return nil, err
	}
	return &bundle.Ack{Epoch: l.In.Epoch, Incarnation: l.Incarnation, No: no, Seq: l.In.Seq, Position: l.In.Through,
		Chain: l.In.Chain, Missing: missing, Rejected: []bundle.Rejection{}, Understands: b.Schemas.Known()}, nil
}

// missing returns the numbers between the last applied bundle and the newest
// one that is held.
func (b *Bridge) missing(ctx context.Context, l Link) ([]int64, error) {
	rows, err := b.Pool.Query(ctx, `
		WITH held AS (SELECT seq FROM inbound_bundles WHERE peer = $1 AND epoch = $2 AND state = 'held' AND seq > $3)
		SELECT n FROM generate_series($3 + 1, (SELECT max(seq) FROM held)) AS n
		WHERE n NOT IN (SELECT seq FROM held) ORDER BY n LIMIT 1000`, l.Card.Name, l.In.Epoch, l.In.Seq)
	if err != nil {
		return nil, fmt.Errorf("look for missing bundles of %s: %w", l.Card.Name, err)
	}
	missing, err := pgx.AppendRows([]int64{}, rows, pgx.RowTo[int64])
	if err != nil {
		return nil, fmt.Errorf("look for missing bundles of %s: %w", l.Card.Name, err)
	}
	return missing, nil
}
