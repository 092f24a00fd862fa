package bridge

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/jackc/pgx/v5"

	"sallyport/bridge/archive"
	"sallyport/bridge/bundle"
	"sallyport/domain"
	"sallyport/eventstore"
)

// filling is a segment's payload being written.
type filling struct {
	*archivist
	w    *bundle.Writer
	walk *archive.Walk
	room []byte
}

// fill writes the payload of the next segment, and says how far the logs have got
// with it.
func (m *archivist) fill(ctx context.Context, to io.Writer, through int64) (c bundle.Content, walk *archive.Walk, err error) {
	after := m.end()
	span := bundle.Span{Kind: bundle.Archive, From: m.index.Site, To: m.index.Site, Epoch: m.Log.Epoch(), Seq: int64(len(m.index.Segments) + 1),
		Prev: m.last(), Range: bundle.Range{After: after, Through: through}}
	w, err := bundle.NewWriter(ctx, to, bundle.Plan{Limits: bundle.Limits{Frame: segmentFrame},
		First: bundle.First{Span: span, Salt: newSalt(), Events: int(through - after), Operator: m.wish.Operator}})
	if err != nil {
		return c, nil, err
	}
	defer w.Close()
	f := &filling{archivist: m, w: w, walk: m.walk.Clone()}
	for _, s := range f.walk.Stands() {
		if err := f.note(archive.Line{Stand: &s}); err != nil {
			return c, nil, err
		}
	}
	for e, err := range m.Log.Search(ctx, eventstore.Filter{After: after, Through: through}) {
		if err == nil {
			err = f.take(ctx, e)
		}
		if err != nil {
			return c, nil, err
		}
	}
	c, err = w.Finish()
	return c, f.walk, err
}

func (f *filling) note(l archive.Line) error {
	raw, err := l.Note()
	if err == nil {
		err = f.w.Note(raw)
	}
	if err == nil {
		err = f.walk.Take(l)
	}
	return err
}

// take writes an event, before it what brings its log to it. One that tells that a
// bundle was taken in has all of that bundle before it and its manifest behind it.
func (f *filling) take(ctx context.Context, e eventstore.Stored) error {
	line, err := bundle.ParseLine(e.Line, bundle.Limits{})
	if err == nil && line.Withheld != nil {
		err = errors.New("it is a withheld run")
	}
	if err != nil {
		return fmt.Errorf("seq %d is no line of a log; run `sallyport audit verify`: %w", e.Seq, err)
	}
	imported, err := f.imported(e)
	if err != nil {
		return err
	}
	if imported != nil {
		err = f.reach(ctx, imported.Peer, imported.Through)
	}
	if err == nil {
		err = f.reach(ctx, e.Origin, line.Event.Pos-1)
	}
	if err != nil {
		return err
	}
	f.room = bundle.AppendEntry(f.room[:0], e.Seq, e.StoredAt, e.Origin, e.Line)
	if err := f.w.Entry(f.room); err != nil {
		return err
	}
	if err := f.walk.Take(archive.Line{Entry: &bundle.Entry{Seq: e.Seq, Origin: e.Origin, Line: line}}); err != nil {
		return fmt.Errorf("%w; run `sallyport audit verify`", err)
	}
	if imported != nil {
		return f.manifest(ctx, imported)
	}
	return nil
}

// imported is the fact that a bundle was taken in, if this site's event tells that.
func (f *filling) imported(e eventstore.Stored) (*domain.BundleImported, error) {
	if e.Origin != f.index.Site || e.Type != (domain.BundleImported{}).EventType() {
		return nil, nil //nolint:nilnil // it tells something else
	}
	event, err := e.Event()
	if err != nil {
		return nil, err
	}
	fact, err := domain.Decode(event)
	if err != nil {
		return nil, err
	}
	imported, ok := fact.(domain.BundleImported)
	if !ok {
		return nil, fmt.Errorf("seq %d is a %T", e.Seq, fact)
	}
	return &imported, nil
}

// reach brings a log to a position: into its epoch, over what is not here.
func (f *filling) reach(ctx context.Context, origin string, position int64) error {
	now, known := f.walk.Of(origin)
	for _, epoch := range f.epochs[origin] {
		begins := !known || now.Epoch != epoch.Epoch && epoch.After >= now.After
		if begins && epoch.After <= position {
			if known {
				if err := f.over(ctx, origin, f.ended(origin, now.Epoch)); err != nil {
					return err
				}
			}
			s := archive.Stand{Origin: origin, Epoch: epoch.Epoch, After: epoch.After, Chain: bundle.Start(epoch.Epoch, origin)}
			if err := f.note(archive.Line{Stand: &s}); err != nil {
				return err
			}
			now, known = f.walk.Of(origin)
		}
	}
	return f.over(ctx, origin, position)
}

// ended is where an epoch that is not the present one any more has ended.
func (f *filling) ended(origin, epoch string) int64 {
	for _, e := range f.epochs[origin] {
		if e.Epoch == epoch {
			return e.Through
		}
	}
	return 0
}

// over writes the runs of positions that are not here, up to one.
func (f *filling) over(ctx context.Context, origin string, position int64) error {
	for {
		now, _ := f.walk.Of(origin)
		if now.After >= position {
			return nil // what is not next is for the walk to find
		}
		runs, err := f.Log.ReadWithheld(ctx, origin, now.After, eventstore.MaxPage)
		if err != nil {
			return err
		}
		if len(runs) == 0 || runs[0].After != now.After || runs[0].Through > position {
			return &eventstore.GapError{Want: now.After + 1, Got: position + 1}
		}
		for _, r := range runs {
			if now, _ = f.walk.Of(origin); r.After != now.After || r.Through > position {
				break
			}
			run := archive.Run{Origin: origin, After: r.After, Through: r.Through, Chain: bundle.Hash(r.Chain)}
			if err := f.note(archive.Line{Withheld: &run}); err != nil {
				return err
			}
		}
	}
}

// manifest writes down what a peer has signed of a bundle.
func (f *filling) manifest(ctx context.Context, of *domain.BundleImported) error {
	var signed string
	err := f.Pool.QueryRow(ctx, `SELECT manifest FROM inbound_bundles WHERE peer = $1 AND id = $2`, of.Peer, of.ID).Scan(&signed)
	if errors.Is(err, pgx.ErrNoRows) {
		return nil // a database that was restored has forgotten it
	}
	if err != nil {
		return fmt.Errorf("read the manifest of bundle %d of %s: %w", of.Seq, of.Peer, err)
	}
	return f.note(archive.Line{Manifest: signed})
}

// allEpochs are the lives of all logs that there are here, the present one last,
// of peers too whose link was removed.
func (m *archivist) allEpochs(ctx context.Context) (map[string][]eventstore.Epoch, error) {
	head, err := m.Log.Head(ctx)
	if err != nil {
		return nil, err
	}
	present := []eventstore.Epoch{{Origin: head.Site, Epoch: head.Epoch, After: head.Start, Through: head.Pos, Chain: head.Chain}}
	rows, err := m.Pool.Query(ctx, `SELECT card, applied_start, applied_through FROM links`)
	if err != nil {
		return nil, fmt.Errorf("list the logs: %w", err)
	}
	peers, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (e eventstore.Epoch, err error) {
		var text []byte
		if err := row.Scan(&text, &e.After, &e.Through); err != nil {
			return e, err
		}
		card, err := storedCard(text)
		e.Origin, e.Epoch = card.Name, card.Epoch
		return e, err
	})
	if err != nil {
		return nil, fmt.Errorf("list the logs: %w", err)
	}
	all := map[string][]eventstore.Epoch{}
	for _, e := range append(present, peers...) {
		ended, err := m.Log.Ended(ctx, e.Origin)
		if err != nil {
			return nil, err
		}
		all[e.Origin] = append(ended, e)
	}
	return all, nil
}

// archivedKeys are the public keys that this site knows, for people.
func (m *archivist) archivedKeys(ctx context.Context) ([]archive.Key, error) {
	known, err := m.allKeys(ctx)
	keys := make([]archive.Key, len(known))
	for i, k := range known {
		keys[i] = archive.Key(k)
	}
	return keys, err
}

// asTheLog holds the chain that the archive's lines lead to against the log's own.
func (m *archivist) asTheLog(ctx context.Context) error {
	now, known := m.walk.Of(m.index.Site)
	if !known || now.Epoch != m.Log.Epoch() || now.After <= m.Log.Start() {
		return nil
	}
	head, err := m.Log.Head(ctx)
	if err != nil {
		return err
	}
	chain := bundle.Hash(head.Chain)
	if now.After != head.Pos {
		chain, err = m.chainAt(ctx, m.Pool, now.After)
	}
	if err == nil && chain != now.Chain {
		err = &bundle.Error{Code: bundle.Fork, Position: now.After, Msg: "the archive's lines lead to another chain than the log's: one of the two was altered; run `sallyport audit verify`, with and without --archive"}
	}
	return err
}
