package archive

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"os"

	"sallyport/bridge/bundle"
	"sallyport/bridge/wholefile"
	"sallyport/eventstore"
)

// Archive is a folder that was opened for reading. Several goroutines may use it.
type Archive struct {
	Index
	root  *os.Root
	trust bundle.Trust
	kept  int // bytes of lines that are kept to be given backward
}

// maxKept is as much as a page of the log itself.
const maxKept = eventstore.MaxPageBytes

// Open reads the index of a folder and looks that each segment is there, as long
// as it should be. Trust knows the keys of the site whose log it is. The folder
// stays the caller's to close.
func Open(root *os.Root, trust bundle.Trust) (*Archive, error) {
	x, err := readIndex(root, trust)
	if err != nil {
		return nil, err
	}
	for _, s := range x.Segments {
		info, err := root.Lstat(s.File)
		switch {
		case errors.Is(err, fs.ErrNotExist):
			return nil, s.wrap(&bundle.Error{Code: bundle.Gap, Position: s.After + 1, Msg: "the file is missing"})
		case err != nil:
			return nil, s.wrap(err)
		case info.Size() < s.Bytes:
			return nil, s.wrap(&bundle.Error{Code: bundle.Incomplete, Msg: fmt.Sprintf("the file ends %d bytes early", s.Bytes-info.Size())})
		case info.Size() > s.Bytes:
			return nil, s.wrap(&bundle.Error{Code: bundle.Damaged, Msg: fmt.Sprintf("the file goes on for %d bytes after its end", info.Size()-s.Bytes)})
		}
	}
	return &Archive{Index: x, root: root, trust: trust, kept: maxKept}, nil
}

// wrap says which segment an error is about.
func (s Segment) wrap(err error) error {
	return fmt.Errorf("%s, which holds seq %d to %d: %w", s.File, s.After+1, s.Through, err)
}

// Lines gives all lines of the segments that hold anything of after < seq ≤ through,
// once each segment's signature and every byte of it were found good, in order.
// After an error nothing follows.
func (a *Archive) Lines(ctx context.Context, after, through int64) iter.Seq2[Line, error] {
	return func(yield func(Line, error) bool) {
		w := &Walk{believing: true}
		for i, s := range a.Segments {
			if s.Through <= after || s.After >= through {
				continue
			}
			w.believing = w.present == nil && i > 0
			for l, err := range a.segment(ctx, i, w) {
				if err != nil {
					yield(Line{}, s.wrap(err))
					return
				}
				if !yield(l, nil) {
					return
				}
			}
		}
	}
}

// segment gives the lines of one segment.
func (a *Archive) segment(ctx context.Context, i int, w *Walk) iter.Seq2[Line, error] {
	return func(yield func(Line, error) bool) {
		s := a.Segments[i]
		f, err := wholefile.Open(a.root, s.File)
		if err != nil {
			yield(Line{}, err)
			return
		}
		defer f.Close()
		before := ""
		if i > 0 {
			before = a.Segments[i-1].ID
		}
		b, err := OpenSegment(f, s.Bytes, a.trust)
		if c := bundleOf(b); err == nil && (c.ID() != s.ID || c.From != a.Site || c.Seq != int64(i+1) || c.Prev != before) {
			err = &bundle.Error{Code: bundle.Damaged, Position: s.After + 1, Msg: "it is another file than the one that the index lists"}
		}
		if err != nil {
			yield(Line{}, err)
			return
		}
		for l, err := range SegmentLines(ctx, b, w) {
			if !yield(l, err) {
				return
			}
		}
	}
}

func bundleOf(b *bundle.File) (c bundle.Core) {
	if b != nil {
		c = b.Manifest().Core
	}
	return c
}

// OpenSegment verifies a segment's file up to the last byte of its payload.
func OpenSegment(f io.ReaderAt, size int64, trust bundle.Trust) (*bundle.File, error) {
	b, err := bundle.Open(f, size, bundle.Limits{})
	if err != nil {
		return nil, err
	}
	if err := b.VerifySignatures(trust); err != nil {
		return nil, err
	}
	if kind := b.Manifest().Core.Kind; kind != bundle.Archive {
		return nil, &bundle.Error{Code: bundle.Refused, Msg: fmt.Sprintf("it is no segment of an archive but a bundle of kind %s", kind)}
	}
	if err := b.VerifyPayload(); err != nil {
		return nil, placed(b, err)
	}
	return b, nil
}

// SegmentLines gives the lines of a verified segment, each taken by the walk.
func SegmentLines(ctx context.Context, b *bundle.File, w *Walk) iter.Seq2[Line, error] {
	return func(yield func(Line, error) bool) {
		for raw, err := range b.Lines(ctx) {
			var l Line
			if err == nil {
				l, err = ParseLine(raw.Raw, bundle.Limits{})
			}
			if l.Stand == nil && raw.Raw != nil {
				w.believing = false
			}
			if err == nil {
				err = w.Take(l)
			}
			if err != nil {
				yield(Line{}, placed(b, at(raw, err)))
				return
			}
			if !yield(l, nil) {
				return
			}
		}
	}
}

// at adds a line's place, and makes damage of what breaks a rule.
func at(raw bundle.Line, err error) error {
	var known *bundle.Error
	if errors.As(err, &known) && (known.Line > 0 || raw.Raw == nil) || raw.Raw == nil {
		return err
	}
	return &bundle.Error{Code: bundle.Damaged, Line: raw.Number, Position: raw.Event.Pos, Msg: "line breaks a rule of the format", Err: err}
}

// placed adds to the number of a frame which seq it holds: a frame that is not
// what was signed cannot be read to find out more.
func placed(b *bundle.File, err error) error {
	var known *bundle.Error
	frames := b.Manifest().Frames
	if !errors.As(err, &known) || known.Frame < 1 || known.Frame > len(frames) || known.Line > 0 {
		return err
	}
	last := b.Manifest().Core.Range.Through
	if known.Frame < len(frames) {
		last = frames[known.Frame].First - 1
	}
	return fmt.Errorf("seq %d to %d: %w", frames[known.Frame-1].First, last, err)
}
