package bridge

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"

	"sallyport/bridge/bundle"
	"sallyport/bridge/link"
)

// Rehearse tells what [Bridge.Import] would make of what lies in the inbox and
// of what waits, in the order in which it would: every byte is read and checked,
// nothing is moved or recorded.
func (b *Bridge) Rehearse(ctx context.Context) ([]Outcome, error) {
	r, err := b.rehearsal(ctx)
	if err != nil {
		return nil, err
	}
	names, err := b.Folders.list(inboxDir)
	if err != nil {
		return nil, err
	}
	for _, name := range names {
		if _, err := bundle.ParseName(name); err == nil {
			r.files = append(r.files, rehearsed{b.Folders.root, inboxDir + "/" + name, name})
		} else if !quiet(name) {
			r.early = append(r.early, Outcome{File: name, State: Ignored, Reason: whyIgnored})
		}
	}
	return r.run(ctx)
}

// RehearseFiles tells the same of single files; see [Bridge.ImportFiles].
func (b *Bridge) RehearseFiles(ctx context.Context, dir string, names []string) ([]Outcome, error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", dir, err)
	}
	defer root.Close()
	r, err := b.rehearsal(ctx)
	if err != nil {
		return nil, err
	}
	for _, name := range names {
		f, err := openRegular(root, name)
		if err != nil {
			return nil, fmt.Errorf("read %s: %w; nothing was taken in", name, err)
		}
		if err := f.Close(); err != nil {
			return nil, fmt.Errorf("read %s: %w", name, err)
		}
		r.files = append(r.files, rehearsed{root, name, filepath.Base(name)})
	}
	return r.run(ctx)
}

// rehearsal is an import on paper: links move as they would, by the same
// machine, and are thrown away.
type rehearsal struct {
	*Bridge
	links map[string]*Link
	files []rehearsed
	early []Outcome // decided without being read
}

type rehearsed struct {
	root       *os.Root
	path, name string
}

// rehearsal begins with what is staged: it waits for what comes.
func (b *Bridge) rehearsal(ctx context.Context) (*rehearsal, error) {
	r := &rehearsal{Bridge: b, links: map[string]*Link{}}
	staged, links, err := b.waitingFiles(ctx)
	if err != nil {
		return nil, err
	}
	for _, l := range links {
		r.links[l.Card.Name] = &l
	}
	for _, name := range staged {
		r.files = append(r.files, rehearsed{b.Folders.root, stagingDir + "/" + name, originalName(name)})
	}
	return r, nil
}

// run goes through the files until nothing moves any more, as an import does.
func (r *rehearsal) run(ctx context.Context) ([]Outcome, error) {
	slices.SortStableFunc(r.files, func(x, y rehearsed) int { return strings.Compare(x.name, y.name) })
	outcomes, held := r.early, map[int]Outcome{}
	done := make([]bool, len(r.files))
	for progress := true; progress; {
		progress = false
		for i, f := range r.files {
			if done[i] {
				continue
			}
			o, err := r.take(ctx, f)
			if err != nil {
				return outcomes, fmt.Errorf("look at %s: %w; nothing was changed", f.name, err)
			}
			if held[i] = o; o.State == Held {
				continue
			}
			delete(held, i)
			done[i] = true
			if o.State != "" {
				outcomes, progress = append(outcomes, o), true
			}
		}
	}
	for _, i := range slices.Sorted(maps.Keys(held)) {
		outcomes = append(outcomes, held[i])
	}
	return outcomes, nil
}

// take returns an outcome without a state for a file that is gone.
func (r *rehearsal) take(ctx context.Context, f rehearsed) (Outcome, error) {
	file, err := openRegular(f.root, f.path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return Outcome{}, nil
	case errors.Is(err, errNotRegular):
		bad := unread(err)
		return Outcome{File: f.name, State: Quarantined, Err: bad, Reason: bad.Error()}, nil
	case err != nil:
		return Outcome{}, err
	}
	defer file.Close()
	a := &arrival{bridge: r.Bridge, name: f.name, file: file}
	o, err := r.judge(ctx, a)
	var bad *bundle.Error
	if !errors.As(err, &bad) {
		return o, err
	}
	o = Outcome{File: a.name, Peer: a.core.From, Seq: a.core.Seq, ID: a.id(), State: Quarantined, Err: bad, Reason: bad.Error()}
	switch {
	case bad.Code == bundle.Upgrade:
		o.State = Held
	case a.signed && (bad.Code == bundle.Refused || bad.Code == bundle.Fork):
		r.halt(r.links[a.core.From], bad.Error())
	}
	return o, nil
}

func (r *rehearsal) judge(ctx context.Context, a *arrival) (Outcome, error) {
	if err := a.verify(ctx); err != nil {
		return Outcome{}, err
	}
	o := Outcome{File: a.name, Peer: a.core.From, Seq: a.core.Seq, ID: a.id()}
	l := r.links[a.core.From]
	if l == nil {
		return o, fmt.Errorf("the link to %s was changed just now: run this again", a.core.From)
	}
	if err := r.listen(ctx, l, a.said()); err != nil {
		return o, err
	}
	known, err := a.state(ctx)
	if err != nil {
		return o, err
	}
	switch verdict := l.In.Judge(a.core); {
	case a.core.Kind == bundle.Beacon, known == "applied":
		o.State = Applied
	case known == "archived":
		o.State = Duplicate
	case l.Stopped != "":
		o.State, o.Reason = Held, "the link is stopped: "+l.Stopped
	case verdict == link.Duplicate:
		o.State = Duplicate
	case verdict == link.Hold:
		o.State, o.Reason = Held, a.waits(*l)
	case verdict == link.Fork:
		return o, a.fork()
	default:
		o.State = Applied
		o.Events, err = r.read(ctx, a, l)
	}
	return o, err
}

// listen hears a manifest on paper: an alarm stops the link.
func (r *rehearsal) listen(ctx context.Context, l *Link, m bundle.Manifest) error {
	return pgx.BeginTxFunc(ctx, r.Pool, pgx.TxOptions{AccessMode: pgx.ReadOnly}, func(tx pgx.Tx) error {
		ours, err := r.ours(ctx, tx, l, m.Ack)
		if err != nil {
			return err
		}
		if alarm := l.Hear(m, ours); alarm != nil {
			r.halt(l, alarm.Error())
		}
		return nil
	})
}

// read checks each line as an import does before it stores the first, and
// moves the link over them.
func (r *rehearsal) read(ctx context.Context, a *arrival, l *Link) (int64, error) {
	a.link = *l
	err := a.chunks(ctx, func(c *chunk) error { return r.owned(ctx, a.core.From, c.m.Events) })
	if err != nil {
		return 0, err
	}
	first, err := a.bundle.First(ctx, r.Keys.Identity)
	if err != nil {
		return 0, err
	}
	l.In.Applied(a.core, a.core.Range.Through, a.core.Chain.Through, true)
	return int64(first.Events), nil
}
