package bridge

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"sallyport/bridge/bundle"
	"sallyport/domain"
)

// OwnKeys is what this site may tell of its own keys: public sides alone.
type OwnKeys struct {
	Site        string `json:"site"`
	KeyID       string `json:"key_id"`
	Key         string `json:"key"`       // signs; in the form of C2SP signed-note
	Recipient   string `json:"recipient"` // what peers encrypt to
	Fingerprint string `json:"fingerprint"`
	Words       string `json:"words"`
	// Rotation is the change of the signing key that runs; nil: none.
	Rotation *Rotation `json:"rotation"`
	// Old are the keys that signed once, the newest first.
	Old []OldKey `json:"old"`
}

// Rotation is a change of the signing key that runs.
type Rotation struct {
	NextID  string     `json:"next_id"`
	Next    string     `json:"next"`
	BegunAt string     `json:"begun_at"`
	BegunBy string     `json:"begun_by"`
	Peers   []ToldPeer `json:"peers"`
}

// OldKey is a key that signed for this site once.
type OldKey struct {
	ID    string `json:"id"`
	Key   string `json:"key"`
	Until string `json:"until"`
}

// OwnKeys looks what signs now and which peers a rotation waits for.
func (b *Bridge) OwnKeys(ctx context.Context) (OwnKeys, error) {
	s, err := b.signing(ctx, b.Pool)
	if err != nil {
		return OwnKeys{}, err
	}
	card := b.Card()
	k := OwnKeys{Site: card.Name, KeyID: keyID(card.Key), Key: card.Key, Recipient: card.Recipient, Fingerprint: card.Fingerprint(), Words: card.Words()}
	if s.rotation != 0 {
		r, err := b.lastRotation(ctx, b.Pool)
		if err != nil {
			return k, err
		}
		k.Rotation = &Rotation{NextID: keyID(r.newKey), Next: r.newKey, BegunAt: bundle.FormatTime(r.begunAt), BegunBy: r.begunBy}
		if k.Rotation.Peers, err = b.toldPeers(ctx, b.Pool, r); err != nil {
			return k, err
		}
	}
	rows, err := b.Pool.Query(ctx, `SELECT old_key, finished_at FROM key_rotations WHERE finished_at IS NOT NULL ORDER BY no DESC`)
	if err != nil {
		return k, fmt.Errorf("list the old keys: %w", err)
	}
	k.Old, err = pgx.AppendRows([]OldKey{}, rows, func(row pgx.CollectableRow) (OldKey, error) {
		var key string
		var until time.Time
		err := row.Scan(&key, &until)
		return OldKey{ID: keyID(key), Key: key, Until: bundle.FormatTime(until)}, err
	})
	if err != nil {
		return k, fmt.Errorf("list the old keys: %w", err)
	}
	return k, nil
}

// PeerKeys is what this site believes of a linked peer's keys.
type PeerKeys struct {
	Peer        string      `json:"peer"`
	Role        domain.Role `json:"role"`
	Epoch       string      `json:"epoch"`
	Fingerprint string      `json:"fingerprint"` // of the card as it is now
	Words       string      `json:"words"`
	KeyID       string      `json:"key_id"`
	Since       string      `json:"since"` // since when this key is the one on the card
	// NextID is the key that the peer goes on to; empty: it rotates none.
	NextID string `json:"next_id"`
	// GivenUp lists the keys that are not on the card any more.
	GivenUp []GivenUpKey `json:"given_up"`
	// OurNext says how far the peer is with a new key of this site: empty, untold,
	// told, known.
	OurNext string `json:"our_next"`
}

// GivenUpKey is a key that a peer, or people for it, replaced.
type GivenUpKey struct {
	ID    string `json:"id"`
	State string `json:"state"` // retired, revoked
	// LastValid is the last number that a revoked one is believed for; 0: none.
	LastValid int64  `json:"last_valid"`
	Since     string `json:"since"`
}

// PeerKeys lists the keys of all linked peers, by name.
func (b *Bridge) PeerKeys(ctx context.Context) ([]PeerKeys, error) {
	links, err := b.Links(ctx)
	if err != nil {
		return nil, err
	}
	told, err := b.toldStates(ctx)
	if err != nil {
		return nil, err
	}
	all := make([]PeerKeys, 0, len(links))
	for _, l := range links {
		ring, err := readKeyring(ctx, b.Pool, l.Card)
		if err != nil {
			return nil, err
		}
		all = append(all, peerKeys(l, ring, told[l.Card.Name]))
	}
	return all, nil
}

func peerKeys(l Link, ring Keyring, told string) PeerKeys {
	c, since := l.Card, l.AddedAt
	p := PeerKeys{Peer: c.Name, Role: c.Role, Epoch: c.Epoch, Fingerprint: c.Fingerprint(), Words: c.Words(), KeyID: keyID(c.Key),
		GivenUp: []GivenUpKey{}, OurNext: told}
	for _, k := range ring.others {
		if k.State == keyNext {
			p.NextID = keyID(k.Key)
			continue
		}
		since = k.Since // they are in order
		p.GivenUp = append(p.GivenUp, GivenUpKey{keyID(k.Key), k.State, k.LastValid, bundle.FormatTime(k.Since)})
	}
	p.Since = bundle.FormatTime(since)
	return p
}

// toldStates says for each peer how far it is with a rotation of ours.
func (b *Bridge) toldStates(ctx context.Context) (map[string]string, error) {
	r, err := b.lastRotation(ctx, b.Pool)
	if err != nil || !r.running() {
		return nil, err
	}
	peers, err := b.toldPeers(ctx, b.Pool, r)
	if err != nil {
		return nil, err
	}
	states := map[string]string{}
	for _, p := range peers {
		switch {
		case p.Knows:
			states[p.Peer] = "known"
		case p.Told:
			states[p.Peer] = "told"
		default:
			states[p.Peer] = "untold"
		}
	}
	return states, nil
}
