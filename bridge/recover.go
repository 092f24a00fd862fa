package bridge

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/jackc/pgx/v5"

	"sallyport/bridge/bundle"
	"sallyport/eventstore"
)

// Recovered is what a recovery brought home.
type Recovered struct {
	From    int64  `json:"from"`    // the old epoch's last position when the recovery began
	Through int64  `json:"through"` // its last position now
	Events  int64  `json:"events"`  // brought home between them
	Lost    int64  `json:"lost"`    // positions between them whose events nobody holds
	Epoch   string `json:"epoch"`   // of the log that was founded anew
	Start   int64  `json:"start"`   // its positions are above this one
	// Undelivered lists what this log still holds and no new one will bring to a
	// peer, at most 1,000 events of each.
	Undelivered []Undelivered `json:"undelivered"`
	Refused     []Outcome     `json:"refused"` // files that prove nothing, which were left where they are
	Card        Card          `json:"card"`    // this site's new card, for its peers
}

// Recover ends the read-only state of a restored site: it takes from the files
// in staging the longest part of its own log that the peers give back and that
// this site's own signature proves, marks what nobody holds as lost, and founds
// the log anew. Every peer must have given something back, or be named as one
// that cannot. It may be ended anywhere and run again. The program must end
// afterwards: it knows only the old epoch.
func (b *Bridge) Recover(ctx context.Context, without []string, actor string) (Recovered, error) {
	var r Recovered
	if _, err := b.Import(ctx); err != nil { // what lies in the inbox is staged
		return r, err
	}
	err := b.locked(ctx, "import", func(ctx context.Context) error {
		head, err := b.Log.Head(ctx)
		if err != nil {
			return err
		}
		if head.ReadOnly == "" {
			return errors.New("this site is not read-only: nothing is recovered")
		}
		sources, err := b.sources(ctx, &r)
		if err != nil {
			return err
		}
		if err := b.complete(ctx, head, sources, without); err != nil {
			return err
		}
		if r.Undelivered, err = b.undelivered(ctx, head, sources); err != nil {
			return err
		}
		r.From = head.Pos
		if err := b.bringHome(ctx, head, sources, &r); err != nil {
			return err
		}
		return b.foundAnew(ctx, sources, actor, &r)
	})
	if err != nil {
		return r, fmt.Errorf("recover: %w", err)
	}
	return r, nil
}

// source is what one peer gives back: files in the order of their ranges.
type source struct {
	peer  string
	files []returned
}

// returned is one file whose lines this site's own signature proves.
type returned struct {
	staged string
	core   bundle.Core
	head   int64 // the last position of the log that this site told with it
}

// sources proves the files in staging that give back this site's log. Those
// that prove nothing are named and left alone.
func (b *Bridge) sources(ctx context.Context, r *Recovered) (map[string]*source, error) {
	names, err := b.staged()
	if err != nil {
		return nil, err
	}
	all := map[string]*source{}
	for _, name := range names {
		a, err := b.openStaged(name)
		if err != nil {
			return nil, err
		}
		file, err := a.prove(ctx)
		_ = a.file.Close() // it was only read
		var bad *bundle.Error
		switch {
		case a.core.Kind != bundle.Return:
		case errors.As(err, &bad):
			r.Refused = append(r.Refused, Outcome{File: a.name, Peer: a.core.From, Seq: a.core.Seq, State: Held, Err: bad, Reason: bad.Error()})
		case err != nil:
			return nil, fmt.Errorf("read %s: %w", name, err)
		default:
			if all[a.core.From] == nil {
				all[a.core.From] = &source{peer: a.core.From}
			}
			all[a.core.From].files = append(all[a.core.From].files, file)
		}
	}
	for _, s := range all {
		slices.SortFunc(s.files, func(x, y returned) int {
			return int(min(max(x.core.Range.After-y.core.Range.After, -1), 1))
		})
	}
	return all, nil
}

func (b *Bridge) openStaged(name string) (*arrival, error) {
	f, err := openRegular(b.Folders.root, stagingDir+"/"+name)
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", b.Folders.abs(stagingDir+"/"+name), err)
	}
	return &arrival{bridge: b, staged: name, name: originalName(name), file: f, readOnly: "it is being recovered"}, nil
}

// prove checks a file as far as it takes to believe every line of it.
func (a *arrival) prove(ctx context.Context) (returned, error) {
	if err := a.verify(ctx); err != nil || a.core.Kind != bundle.Return {
		return returned{}, err
	}
	trust, err := a.bridge.ownTrust(ctx)
	if err != nil {
		return returned{}, err
	}
	m, err := a.bundle.Proved(ctx, trust, a.bridge.Keys.Identity)
	return returned{staged: a.staged, core: a.core, head: m.Head.Position}, err
}

// complete sees that nothing was forgotten that a peer may hold.
func (b *Bridge) complete(ctx context.Context, head eventstore.Head, sources map[string]*source, without []string) error {
	links, err := b.Links(ctx)
	if err != nil {
		return err
	}
	for _, l := range links {
		s, peer := sources[l.Card.Name], l.Card.Name
		if s == nil && !slices.Contains(without, peer) {
			return fmt.Errorf("%s has given nothing back: run `sallyport link return %s --after %d` there and bring here what it writes, or name it with --without if it holds nothing later; nothing was changed", peer, head.Site, head.Pos)
		}
		if err := b.nothingOnItsWay(peer, max(head.Pos, l.holds(s))); err != nil {
			return err
		}
		if s == nil {
			continue
		}
		at := head.Pos
		for _, f := range s.files {
			if f.core.Range.After > at {
				return fmt.Errorf("of what %s gives back the file for positions %d to %d is missing: bring it too; nothing was changed", peer, at+1, f.core.Range.After)
			}
			at = max(at, f.core.Range.Through)
		}
	}
	return nil
}

// foundAnew ends the old epoch and begins the new one.
func (b *Bridge) foundAnew(ctx context.Context, sources map[string]*source, actor string, r *Recovered) error {
	kept, err := b.Folders.readHead()
	if err != nil {
		return err
	}
	above := int64(0)
	if kept != nil && kept.Epoch == b.Log.Epoch() {
		above = kept.Position
	}
	for _, s := range sources {
		for _, f := range s.files {
			above = max(above, f.head, f.core.Range.Through)
		}
	}
	r.Epoch = newEpoch()
	genesis := eventstore.Genesis(r.Epoch, b.Log.Site())
	err = b.Log.Refound(ctx, eventstore.Refounding{Epoch: r.Epoch, Above: above, Actor: actor, With: func(ctx context.Context, tx pgx.Tx) error {
		// All rows: a link that was removed may be added again.
		_, err := tx.Exec(ctx, `UPDATE links SET exported_seq = 0, exported_through = 0, exported_chain = $1, acked_seq = 0, acked_through = 0,
			peer_missing = '[]', peer_rejected = '[]', rewind_seq = 0, rewind_no = 0, owes = ack_no + 1`, genesis[:])
		if err != nil || b.Void == nil {
			return err
		}
		return b.Void(ctx, tx)
	}})
	if err != nil {
		return err
	}
	head, err := b.Log.Head(ctx)
	if err != nil {
		return err
	}
	r.Start = head.Start
	r.Card = b.Card()
	r.Card.Epoch = head.Epoch
	b.Logger.WarnContext(ctx, "the log was founded anew", "epoch", head.Epoch, "start", head.Start, "brought_home", r.Events, "lost", r.Lost)
	return b.Folders.foundAnew(ctx, head)
}
