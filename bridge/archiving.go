package bridge

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"time"

	"sallyport/bridge/archive"
	"sallyport/bridge/bundle"
	"sallyport/bridge/wholefile"
	"sallyport/eventstore"
)

// ArchiveWish says what of the log is copied, and where to.
type ArchiveWish struct {
	Root     *os.Root // the folder
	Through  int64    // the last seq
	Events   int      // of a segment, at most; 0: 100,000
	Operator string   // who makes it
	// Told is told of each segment that there is; nil: nobody is.
	Told func(Archived)
}

// Archived is a segment that there is.
type Archived struct {
	archive.Segment
	Made bool `json:"made"` // now; else it was there already, and was read
}

// MaxSegment bounds the events of a segment: notes beside each of them must fit too.
const MaxSegment = 300_000

const (
	defaultSegment = 100_000
	// segmentBytes bounds the lines of a segment, so that it fits into a file
	// however badly they compress.
	segmentBytes = 160 << 20
	// segmentFrame is how much of the lines is hashed together: what is altered is
	// known to be in one of a few hundred of them.
	segmentFrame = 256 << 10
)

// Archive copies the log up to a seq into a folder's files, see [archive]: what
// is there already is read whole and gone on from. Each file is read back before
// it gets its name, and the index is signed anew after each: a run that was
// killed is gone on with by the next. Nothing is removed from the log.
func (b *Bridge) Archive(ctx context.Context, w ArchiveWish) (archive.Index, error) {
	var x archive.Index
	err := b.locked(ctx, "archive", func(ctx context.Context) error {
		m := &archivist{Bridge: b, wish: w, index: archive.Index{Site: b.Log.Site()}, walk: &archive.Walk{}}
		err := m.archive(ctx)
		x = m.index
		return err
	})
	return x, err
}

// archivist makes one archive longer.
type archivist struct {
	*Bridge
	wish   ArchiveWish
	index  archive.Index
	walk   *archive.Walk
	trust  bundle.Trust
	epochs map[string][]eventstore.Epoch // of each log, the present one last
}

func (m *archivist) archive(ctx context.Context) (err error) {
	if m.trust, err = m.ownTrust(ctx); err != nil {
		return err
	}
	if err := m.goOn(ctx); err != nil {
		return err
	}
	if m.epochs, err = m.allEpochs(ctx); err != nil {
		return err
	}
	for m.end() < m.wish.Through {
		last, err := m.Log.Fill(ctx, m.end(), m.wish.Through, cmp.Or(m.wish.Events, defaultSegment), segmentBytes)
		if err != nil {
			return err
		}
		if last == m.end() {
			return &eventstore.GapError{Want: last + 1, Got: m.wish.Through}
		}
		s, err := m.segment(ctx, last)
		if err != nil {
			return fmt.Errorf("archive seq %d to %d: %w; what was archived before stays, and the next run goes on from there", m.end()+1, last, err)
		}
		if err := m.publish(ctx, s, true); err != nil {
			return err
		}
	}
	return m.asTheLog(ctx)
}

func (m *archivist) end() int64 {
	if n := len(m.index.Segments); n > 0 {
		return m.index.Segments[n-1].Through
	}
	return 0
}

// goOn reads what is there, and takes up a segment that a run finished which was
// killed before it could list it.
func (m *archivist) goOn(ctx context.Context) error {
	a, err := archive.Open(m.wish.Root, m.trust)
	switch {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		return fmt.Errorf("%w; move the damaged archive away and make another, or bring back a copy of what is damaged", err)
	case a.Site != m.index.Site:
		return fmt.Errorf("the folder holds an archive of the log of %s, and this is %s: give another folder", a.Site, m.index.Site)
	default:
		m.index = a.Index
		for l, err := range a.Lines(ctx, 0, m.end()) {
			if err == nil {
				err = m.walk.Take(l)
			}
			if err != nil {
				return fmt.Errorf("%w; move the damaged archive away and make another, or bring back a copy of what is damaged", err)
			}
		}
		for _, s := range m.index.Segments {
			m.told(s, false)
		}
	}
	return m.adopt(ctx)
}

func (m *archivist) told(s archive.Segment, made bool) {
	if m.wish.Told != nil {
		m.wish.Told(Archived{s, made})
	}
}

// adopt takes up segments that are not listed.
func (m *archivist) adopt(ctx context.Context) error {
	for {
		names, err := fs.Glob(m.wish.Root.FS(), archive.SegmentsAfter(m.index.Site, m.end()))
		if err != nil || len(names) == 0 {
			return err
		}
		if err := m.adoptOne(ctx, names[0]); err != nil {
			return fmt.Errorf("%s is not listed, and is not good: %w; remove it and run this again", names[0], err)
		}
	}
}

func (m *archivist) adoptOne(ctx context.Context, name string) error {
	f, err := wholefile.Open(m.wish.Root, name)
	if err != nil {
		return err
	}
	defer f.Close()
	s, walk, err := m.examine(ctx, f)
	if err == nil && s.File != name {
		err = fmt.Errorf("it is %s", s.File)
	}
	if err != nil {
		return err
	}
	m.walk = walk
	return m.publish(ctx, s, false)
}

// examine reads a segment's file whole and says what it is, and how far the logs
// have got with it.
func (m *archivist) examine(ctx context.Context, f *os.File) (s archive.Segment, w *archive.Walk, err error) {
	info, err := f.Stat()
	if err != nil {
		return s, nil, err
	}
	b, err := archive.OpenSegment(f, info.Size(), m.trust)
	if err != nil {
		return s, nil, err
	}
	c := b.Manifest().Core
	if c.From != m.index.Site || c.Range.After != m.end() || c.Seq != int64(len(m.index.Segments)+1) || c.Prev != m.last() {
		return s, nil, errors.New("it does not go on from the segment before")
	}
	s = archive.Segment{File: archive.SegmentName(c.From, c.Range.After, c.Range.Through), ID: c.ID(), After: c.Range.After, Through: c.Range.Through, Bytes: info.Size()}
	w = m.walk.Clone()
	for l, err := range archive.SegmentLines(ctx, b, w) {
		if err != nil {
			return s, nil, err
		}
		if l.Entry != nil {
			s.StoredTo = bundle.FormatTime(l.Entry.StoredAt)
			s.StoredFrom = cmp.Or(s.StoredFrom, s.StoredTo)
		}
	}
	return s, w, nil
}

// last is the id of the last segment; empty: there is none.
func (m *archivist) last() string {
	if n := len(m.index.Segments); n > 0 {
		return m.index.Segments[n-1].ID
	}
	return ""
}

// segment writes the next segment, through a seq, and reads it back.
func (m *archivist) segment(ctx context.Context, through int64) (s archive.Segment, err error) {
	payload, err := m.Folders.scratch()
	if err != nil {
		return s, err
	}
	defer func() { err = errors.Join(err, payload.Close()) }()
	content, wrote, err := m.fill(ctx, payload, through)
	if err != nil {
		return s, err
	}
	if _, err := payload.Seek(0, io.SeekStart); err != nil {
		return s, err
	}
	manifest := content.Manifest()
	manifest.Head = bundle.Head{Position: through, Seq: content.Core.Seq}
	by, err := m.signing(ctx, m.Pool)
	if err != nil {
		return s, err
	}
	name := archive.SegmentName(m.index.Site, m.end(), through)
	err = wholefile.Create(m.wish.Root, name, "."+name+".tmp", func(f *os.File) error {
		if err := f.Chmod(0o600); err != nil { // hashes of passwords are in it
			return err
		}
		if _, err := by.join(f, manifest, payload, bundle.Limits{}); err != nil {
			return err
		}
		var read *archive.Walk
		if s, read, err = m.examine(ctx, f); err != nil {
			return fmt.Errorf("the file reads back differently from what was written: %w", err)
		}
		if !slices.Equal(read.Logs(""), wrote.Logs("")) {
			return errors.New("the file reads back differently from what was written")
		}
		return nil
	})
	m.walk = wrote
	return s, err
}

// publish lists a segment in the index, which is signed anew.
func (m *archivist) publish(ctx context.Context, s archive.Segment, made bool) error {
	m.index.Segments = append(m.index.Segments, s)
	m.index.Logs, m.index.CreatedAt = m.walk.Logs(m.index.Site), bundle.FormatTime(time.Now())
	var err error
	if m.index.Keys, err = m.archivedKeys(ctx); err != nil {
		return err
	}
	by, err := m.signing(ctx, m.Pool)
	if err != nil {
		return err
	}
	signers, err := by.signers()
	if err != nil {
		return err
	}
	text, err := m.index.Sign(signers...)
	if err != nil {
		return err
	}
	err = wholefile.Create(m.wish.Root, archive.IndexName, "."+archive.IndexName+".tmp", func(f *os.File) error {
		_, err := f.Write(text)
		return err
	})
	if err == nil {
		m.told(s, made)
	}
	return err
}
