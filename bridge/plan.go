package bridge

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"iter"

	"github.com/jackc/pgx/v5"

	"sallyport/bridge/bundle"
	"sallyport/bridge/link"
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
	// firstLine is the room for the bundle's own line.
	firstLine = 64 << 10
	// withheldLine is the most that a withheld run takes: three numbers of 19
	// digits, a chain of 64, the keys.
	withheldLine = 200
)

// room is how much a bundle may still hold. A plan that keeps within it can
// be written however badly its lines compress.
type room struct{ lines, bytes int64 }

func roomOf(limits bundle.Limits) room {
	d := bundle.DefaultLimits()
	lines := int64(cmp.Or(limits.Lines, d.Lines))
	file, plain := cmp.Or(limits.File, d.File), cmp.Or(limits.Plain, d.Plain)
	// One part in 64 of the file is for the manifest and what frames and
	// encryption add to bytes that do not compress.
	return room{lines: lines, bytes: min(plain, file-file/64) - firstLine}
}

// take uses up what a line needs and reports whether there was room for it.
func (r *room) take(lines, bytes int64) bool {
	r.lines, r.bytes = r.lines-lines, r.bytes-bytes
	return r.lines >= 0 && r.bytes >= 0
}

// nextPlan returns the plan that was committed but not published, or makes
// the next one. It returns nil when no event exists that crosses to the peer.
func (b *Bridge) nextPlan(ctx context.Context, l Link, operator string) (*plan, error) {
	p, err := b.openPlan(ctx, l)
	if p != nil || err != nil {
		return p, err
	}
	if p, err = b.newPlan(ctx, l, operator); p == nil || err != nil {
		return nil, err
	}
	return p, b.commitPlan(ctx, p)
}

// newPlan plans what comes after the last bundle; nil if no event in it crosses
// to the peer.
func (b *Bridge) newPlan(ctx context.Context, l Link, operator string) (*plan, error) {
	p := &plan{Peer: l.Card.Name, Epoch: b.Log.Epoch(), Seq: l.Out.Seq + 1, After: l.Out.Through, Through: l.Out.Through,
		ChainAfter: l.Out.Chain, ChainThrough: l.Out.Chain, Operator: operator, Runs: []run{}}
	if start := b.Log.Start(); p.After < start { // a log that was founded anew goes on above its earlier epochs
		p.Runs, p.Through, p.Withheld = []run{{After: p.After, Through: start}}, start, start-p.After
	}
	b.idle.resume(p)
	head, err := b.Log.Head(ctx)
	if err != nil {
		return nil, err
	}
	crosses := func(ctx context.Context, entries []eventstore.Entry) ([]bool, error) {
		return b.crossing(ctx, entries, p.Peer)
	}
	if err := p.measure(ctx, b.Log, b.Limits, head, head.Pos, crosses); err != nil {
		return nil, err
	}
	if p.Events == 0 {
		b.idle.remember(p)
		return nil, nil
	}
	p.Salt = newSalt()
	return p, nil
}

func newSalt() string {
	var salt [16]byte
	rand.Read(salt[:]) //nolint:errcheck // documented never to fail
	return hex.EncodeToString(salt[:])
}

// ownLog is where a bundle's lines come from: a site's own log.
type ownLog interface {
	Entries(ctx context.Context, after, through int64) ([]eventstore.Entry, error)
	Lines(ctx context.Context, after, through int64) iter.Seq2[eventstore.Line, error]
}

// measure walks the log up to a position or until the bundle is full, and asks
// what of it the bundle shows. The first event that it shows is always taken.
func (p *plan) measure(ctx context.Context, from ownLog, limits bundle.Limits, head eventstore.Head, last int64, shows func(context.Context, []eventstore.Entry) ([]bool, error)) error {
	began := p.Through
	left := roomOf(limits)
	left.take(int64(len(p.Runs)), int64(len(p.Runs))*withheldLine)
	for full := false; !full && p.Through < last; {
		entries, err := from.Entries(ctx, p.Through, last)
		if err != nil {
			return err
		}
		shown, err := shows(ctx, entries)
		if err != nil {
			return err
		}
		for i, e := range entries {
			if full = !left.take(p.needs(e, shown[i])) && p.Events > 0; full {
				break
			}
			p.add(e, shown[i])
		}
	}
	if p.Through == head.Pos {
		p.ChainThrough = bundle.Hash(head.Chain)
		return nil
	}
	var err error
	p.ChainThrough, err = chainOver(ctx, from, p.ChainThrough, began, p.Through)
	return err
}

// chainOver carries our own chain, which is known at after, over the lines
// through another position.
func chainOver(ctx context.Context, from ownLog, chain bundle.Hash, after, through int64) (bundle.Hash, error) {
	for line, err := range from.Lines(ctx, after, through) {
		if err != nil {
			return chain, err
		}
		chain = chain.Next(line.Bytes)
	}
	return chain, nil
}

// needs tells how many lines and bytes a position adds to the payload.
func (p *plan) needs(e eventstore.Entry, crosses bool) (lines, bytes int64) {
	switch {
	case crosses:
		return 1, e.Size + 1
	case p.inRun(e.Pos):
		return 0, 0
	default:
		return 1, withheldLine
	}
}

// inRun reports whether a withheld position goes on the last run.
func (p *plan) inRun(pos int64) bool {
	n := len(p.Runs)
	return n > 0 && p.Runs[n-1].Through == pos-1
}

func (p *plan) add(e eventstore.Entry, crosses bool) {
	switch {
	case crosses:
		p.Events++
	case p.inRun(e.Pos):
		p.Withheld++
		p.Runs[len(p.Runs)-1].Through = e.Pos
	default:
		p.Withheld++
		p.Runs = append(p.Runs, run{After: e.Pos - 1, Through: e.Pos})
	}
	p.Through = e.Pos
}

// crossing decides, line by line, what may go to a peer: the direction table
// rules, an answer goes only to the site that asked, and what must say itself
// that it is public is read.
func (b *Bridge) crossing(ctx context.Context, entries []eventstore.Entry, peer string) ([]bool, error) {
	origins, err := b.askers(ctx, entries)
	if err != nil {
		return nil, err
	}
	shown, err := b.shown(ctx, entries)
	if err != nil {
		return nil, err
	}
	crosses := make([]bool, len(entries))
	for i, l := range entries {
		k, known := domain.KindOf(l.Type)
		switch crosses[i] = known && k.MayLeave(b.Log.Role()); {
		case !crosses[i]:
		case k.Crossing == domain.ToAsker:
			id, _ := domain.RequestOf(l.Stream)
			crosses[i] = origins[domain.RequestStream(id)] == peer
		case k.Crossing == domain.ToRequestSitesIfPublic:
			crosses[i] = shown[l.Pos]
		}
	}
	return crosses, nil
}

// askers returns the site that asked, for each request that is answered.
func (b *Bridge) askers(ctx context.Context, entries []eventstore.Entry) (map[string]string, error) {
	var asked []string
	for _, l := range entries {
		if k, ok := domain.KindOf(l.Type); ok && k.Crossing == domain.ToAsker {
			if id, ok := domain.RequestOf(l.Stream); ok {
				asked = append(asked, domain.RequestStream(id))
			}
		}
	}
	if len(asked) == 0 {
		return nil, nil //nolint:nilnil // a map that nothing is in
	}
	return b.Log.Origins(ctx, asked)
}

// shown returns the positions of those events that say of themselves that they
// are public. There are few that must.
func (b *Bridge) shown(ctx context.Context, entries []eventstore.Entry) (map[int64]bool, error) {
	var ask []int64
	for _, l := range entries {
		if k, ok := domain.KindOf(l.Type); ok && k.Crossing == domain.ToRequestSitesIfPublic {
			ask = append(ask, l.Pos)
		}
	}
	if len(ask) == 0 {
		return nil, nil //nolint:nilnil // a map that nothing is in
	}
	records, err := b.Log.At(ctx, ask)
	shown := make(map[int64]bool, len(records))
	for _, r := range records {
		k, _ := domain.KindOf(r.Type)
		shown[r.Pos] = k.Shows(r.Fact)
	}
	return shown, err
}

const planColumns = `seq, "after", through, chain_after, chain_through, prev, salt, operator, withheld, events, withheld_events`

// openPlan returns the plan that was committed and never published; nil: none.
func (b *Bridge) openPlan(ctx context.Context, l Link) (*plan, error) {
	p, err := b.readPlan(ctx, l.Card.Name, `seq > $3 AND published_at IS NULL ORDER BY seq LIMIT 1`, l.Out.Seq)
	if errors.Is(err, pgx.ErrNoRows) {
		return nil, nil
	}
	return p, err
}

// madePlan returns the plan of a number that was published.
func (b *Bridge) madePlan(ctx context.Context, peer string, seq int64) (*plan, error) {
	p, err := b.readPlan(ctx, peer, `seq = $3 AND published_at IS NOT NULL`, seq)
	if errors.Is(err, pgx.ErrNoRows) {
		return nil, fmt.Errorf("bundle %d for %s was never made; see `sallyport bundle list`", seq, peer)
	}
	return p, err
}

func (b *Bridge) readPlan(ctx context.Context, peer, where string, seq int64) (*plan, error) {
	p := &plan{Peer: peer, Epoch: b.Log.Epoch()}
	var chainAfter, chainThrough, runs []byte
	err := b.Pool.QueryRow(ctx, `SELECT `+planColumns+` FROM outbound_bundles WHERE peer = $1 AND epoch = $2 AND `+where, p.Peer, p.Epoch, seq).
		Scan(&p.Seq, &p.After, &p.Through, &chainAfter, &chainThrough, &p.Prev, &p.Salt, &p.Operator, &runs, &p.Events, &p.Withheld)
	if err == nil {
		err = json.Unmarshal(runs, &p.Runs)
	}
	if err != nil {
		return nil, fmt.Errorf("read the plan of a bundle for %s: %w", p.Peer, err)
	}
	p.ChainAfter, p.ChainThrough = bundle.Hash(chainAfter), bundle.Hash(chainThrough)
	return p, nil
}

// makings tells when numbers were last made.
func (b *Bridge) makings(ctx context.Context, l Link, numbers []int64) (map[int64]link.Making, error) {
	makings := map[int64]link.Making{}
	if len(numbers) == 0 {
		return makings, nil
	}
	rows, err := b.Pool.Query(ctx, `SELECT seq, made_no, made_heard FROM outbound_bundles
		WHERE peer = $1 AND epoch = $2 AND seq = ANY ($3) AND published_at IS NOT NULL`, l.Card.Name, l.Out.Epoch, numbers)
	if err != nil {
		return nil, fmt.Errorf("look up when bundles for %s were made: %w", l.Card.Name, err)
	}
	var seq int64
	var m link.Making
	_, err = pgx.ForEachRow(rows, []any{&seq, &m.No, &m.Heard}, func() error {
		makings[seq] = m
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("look up when bundles for %s were made: %w", l.Card.Name, err)
	}
	return makings, nil
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
