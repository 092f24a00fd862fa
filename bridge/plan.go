package bridge

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"

	"sallyport/bridge/bundle"
	"sallyport/domain"
	"sallyport/eventstore"
)

// plan is all that a bundle's content depends on. It is committed before the
// file is begun, so that making it again makes exactly it.
type plan struct {
	Peer         string
	Epoch        string
	Seq          int64
	After        int64
	Through      int64
	ChainAfter   bundle.Hash
	ChainThrough bundle.Hash
	Prev         string
	Salt         string
	Operator     string
	Runs         []run
	Events       int64
	Withheld     int64
}

// run is a range of positions that do not go to the peer.
type run struct{ After, Through int64 }

// MarshalJSON writes a run as [after, through].
func (r run) MarshalJSON() ([]byte, error) { return json.Marshal([2]int64{r.After, r.Through}) }

// UnmarshalJSON reads what MarshalJSON wrote.
func (r *run) UnmarshalJSON(b []byte) error {
	var pair [2]int64
	err := json.Unmarshal(b, &pair)
	r.After, r.Through = pair[0], pair[1]
	return err
}

const (
	// planPage is how many lines are read at a time.
	planPage = 2000
	// planBytes ends a bundle: lines of this many bytes fit into the file
	// limit however badly they compress.
	planBytes = 240 << 20
)

// nextPlan returns the plan that was committed but not published, or makes
// the next one. It returns nil when no event exists that crosses to the peer.
func (b *Bridge) nextPlan(ctx context.Context, l Link, operator string) (*plan, error) {
	p, err := b.openPlan(ctx, l)
	if p != nil || err != nil {
		return p, err
	}
	p = &plan{Peer: l.Card.Name, Epoch: b.Log.Epoch(), Seq: l.Out.Seq + 1, After: l.Out.Through, Through: l.Out.Through,
		ChainAfter: l.OutChain, ChainThrough: l.OutChain, Operator: operator, Runs: []run{}}
	if err := b.measure(ctx, p, l); err != nil || p.Events == 0 {
		return nil, err
	}
	var salt [16]byte
	rand.Read(salt[:]) //nolint:errcheck // documented never to fail
	p.Salt = hex.EncodeToString(salt[:])
	return p, b.commitPlan(ctx, p)
}

// measure walks the log from the last bundle's end and decides what crosses.
func (b *Bridge) measure(ctx context.Context, p *plan, l Link) error {
	head, err := b.Log.Head(ctx)
	if err != nil {
		return err
	}
	var size int64
	for p.Through < head.Pos && size < planBytes && p.Events < int64(b.maxLines()) {
		lines, err := b.Log.ReadLines(ctx, b.Log.Site(), p.Through, head.Pos, planPage)
		if err != nil {
			return err
		}
		if len(lines) == 0 {
			return &eventstore.GapError{Want: p.Through + 1, Got: head.Pos}
		}
		crosses, err := b.crossing(ctx, lines, l.Card.Name)
		if err != nil {
			return err
		}
		for i, line := range lines {
			if line.Pos != p.Through+1 {
				return &eventstore.GapError{Want: p.Through + 1, Got: line.Pos}
			}
			size += p.add(line, crosses[i])
		}
	}
	return nil
}

func (b *Bridge) maxLines() int {
	if b.Limits.Lines > 0 {
		return max(1, b.Limits.Lines-planPage)
	}
	return bundle.DefaultLimits().Lines - planPage
}

func (p *plan) add(line eventstore.Line, crosses bool) (size int64) {
	p.Through = line.Pos
	p.ChainThrough = p.ChainThrough.Next(line.Bytes)
	if crosses {
		p.Events++
		return int64(len(line.Bytes))
	}
	p.Withheld++
	if n := len(p.Runs); n > 0 && p.Runs[n-1].Through == line.Pos-1 {
		p.Runs[n-1].Through = line.Pos
	} else {
		p.Runs = append(p.Runs, run{After: line.Pos - 1, Through: line.Pos})
	}
	return 0
}

// crossing decides, line by line, what may go to a peer: the direction table
// rules, and an answer goes only to the site that asked.
func (b *Bridge) crossing(ctx context.Context, lines []eventstore.Line, peer string) ([]bool, error) {
	var asked []string
	for _, l := range lines {
		if k, ok := domain.KindOf(l.Type); ok && k.Crossing == domain.ToAsker {
			if id, ok := domain.RequestOf(l.Stream); ok {
				asked = append(asked, domain.RequestStream(id))
			}
		}
	}
	origins := map[string]string{}
	if len(asked) > 0 {
		var err error
		if origins, err = b.Log.Origins(ctx, asked); err != nil {
			return nil, err
		}
	}
	crosses := make([]bool, len(lines))
	for i, l := range lines {
		k, known := domain.KindOf(l.Type)
		crosses[i] = known && k.MayLeave(b.Log.Role())
		if crosses[i] && k.Crossing == domain.ToAsker {
			id, _ := domain.RequestOf(l.Stream)
			crosses[i] = origins[domain.RequestStream(id)] == peer
		}
	}
	return crosses, nil
}

const planColumns = `seq, "after", through, chain_after, chain_through, prev, salt, operator, withheld, events, withheld_events`

func (b *Bridge) openPlan(ctx context.Context, l Link) (*plan, error) {
	p := &plan{Peer: l.Card.Name, Epoch: b.Log.Epoch()}
	var chainAfter, chainThrough, runs []byte
	err := b.Pool.QueryRow(ctx, `SELECT `+planColumns+` FROM outbound_bundles
		WHERE peer = $1 AND epoch = $2 AND published_at IS NULL ORDER BY seq LIMIT 1`, p.Peer, p.Epoch).
		Scan(&p.Seq, &p.After, &p.Through, &chainAfter, &chainThrough, &p.Prev, &p.Salt, &p.Operator, &runs, &p.Events, &p.Withheld)
	if errors.Is(err, pgx.ErrNoRows) {
		return nil, nil
	}
	if err == nil {
		err = json.Unmarshal(runs, &p.Runs)
	}
	if err != nil {
		return nil, fmt.Errorf("read the plan of a bundle for %s: %w", p.Peer, err)
	}
	p.ChainAfter, p.ChainThrough = bundle.Hash(chainAfter), bundle.Hash(chainThrough)
	return p, nil
}

func (b *Bridge) commitPlan(ctx context.Context, p *plan) error {
	runs, err := json.Marshal(p.Runs)
	if err != nil {
		return err
	}
	err = b.Pool.QueryRow(ctx, `
		INSERT INTO outbound_bundles (peer, epoch, `+planColumns+`)
		SELECT $1, $2, $3::bigint, $4, $5, $6, $7, coalesce((SELECT id FROM outbound_bundles WHERE peer = $1 AND epoch = $2 AND seq = $3::bigint - 1), ''),
		       $8, $9, $10, $11, $12
		RETURNING prev`,
		p.Peer, p.Epoch, p.Seq, p.After, p.Through, p.ChainAfter[:], p.ChainThrough[:],
		p.Salt, p.Operator, string(runs), p.Events, p.Withheld).Scan(&p.Prev)
	if err != nil {
		return fmt.Errorf("commit the plan of bundle %d for %s: %w", p.Seq, p.Peer, err)
	}
	return nil
}

// span is what the plan says of the bundle to be.
func (p *plan) span(from string) bundle.Span {
	return bundle.Span{Format: bundle.Format, Kind: bundle.Data, From: from, To: p.Peer, Epoch: p.Epoch, Seq: p.Seq, Prev: p.Prev,
		Range: bundle.Range{After: p.After, Through: p.Through},
		Chain: bundle.ChainEnds{After: p.ChainAfter, Through: p.ChainThrough}}
}
