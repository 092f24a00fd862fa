package bundle

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"iter"

	"filippo.io/age"
)

var (
	errPlainMore = errors.New("more decompressed bytes than core.plain_bytes")
	errFirst     = errors.New("the payload's first line is not this manifest's")
)

// Lines decrypts, decompresses and checks the payload and gives its lines in
// order, without the bundle's own first one (see [File.First]). VerifyPayload must
// have succeeded. Encrypted payloads need an identity.
//
//	goroutine: read ─► decrypt ─► one frame ─► decompress ─► hash
//	                                                │ one frame at a time
//	caller:    first line ─► strict JSON ─► position ─► chain ─► yield
//
// On a failure the last pair has an error and no line. A loop that ends without
// one has seen everything, and it kept every promise of the manifest. Breaking out
// of the loop ends the goroutine and proves nothing. A line's bytes stay good as
// long as they are kept, and keep their whole frame in memory.
func (f *File) Lines(ctx context.Context, identities ...age.Identity) iter.Seq2[Line, error] {
	return func(yield func(Line, error) bool) {
		if f.done < whole {
			yield(Line{}, errOrder)
			return
		}
		d, err := f.decode(ctx, identities)
		if err != nil {
			yield(Line{}, err)
			return
		}
		defer d.stop()
		c := &content{file: f}
		for p := range d.frames {
			if err := c.frame(p, yield); err != nil {
				if !errors.Is(err, errStopped) {
					yield(Line{}, err)
				}
				return
			}
		}
		if err := c.end(d); err != nil {
			yield(Line{}, err)
		}
	}
}

// First gives the payload's first line, checked against the manifest. The steps
// before Lines must be done; it reads the payload's first frame only, so it proves
// nothing about the rest.
func (f *File) First(ctx context.Context, identities ...age.Identity) (First, error) {
	if f.done < whole {
		return First{}, errOrder
	}
	d, err := f.decode(ctx, identities)
	if err != nil {
		return First{}, err
	}
	defer d.stop()
	p, ok := <-d.frames
	if !ok {
		return First{}, (&content{file: f}).end(d)
	}
	c := &content{file: f}
	err = c.frame(p, func(Line, error) bool { return false })
	if err != nil && !errors.Is(err, errStopped) {
		return First{}, err
	}
	return c.check.first, nil
}

// decoding is the goroutine of Lines. Its fields may be read once frames is closed.
type decoding struct {
	frames chan decoded
	cancel context.CancelFunc
	plain  tally
	err    error
}

// decoded is a frame's plain text.
type decoded struct {
	no    int // from 1
	plain []byte
}

func (f *File) decode(ctx context.Context, identities []age.Identity) (*decoding, error) {
	var in io.Reader = f.payload()
	if f.manifest.Encryption != nil {
		if len(identities) == 0 {
			return nil, fail(Refused, "payload is encrypted and no identity was given")
		}
		var err error
		if in, err = age.Decrypt(in, identities...); err != nil {
			return nil, failWith(Refused, "payload cannot be decrypted with this site's identity", err)
		}
	}
	r, err := newFrameReader(in, f.limits)
	if err != nil {
		return nil, fmt.Errorf("zstd decoder: %w", err)
	}
	d := &decoding{frames: make(chan decoded), plain: newTally()}
	ctx, d.cancel = context.WithCancel(ctx)
	go func() {
		defer close(d.frames)
		defer r.decoder.Close()
		d.err = d.run(ctx, f, r)
	}()
	return d, nil
}

// stop ends the goroutine and waits for it.
func (d *decoding) stop() {
	d.cancel()
	for range d.frames {
	}
}

func (d *decoding) run(ctx context.Context, f *File, r *frameReader) error {
	for no := 1; ; no++ {
		raw, plain, err := r.next(f.manifest.Core.PlainBytes - d.plain.n)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err == nil {
			err = f.checkFrame(no, raw, plain)
		}
		if err != nil {
			return f.frameError(no, err)
		}
		if _, err := d.plain.Write(plain); err != nil {
			return err
		}
		select {
		case d.frames <- decoded{no, plain}:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// checkFrame compares a frame with the manifest's entry, if it has one.
func (f *File) checkFrame(no int, raw, plain []byte) error {
	if f.manifest.Encryption == nil {
		if no > len(f.manifest.Frames) {
			return errors.New("more frames than the manifest lists")
		}
		want := f.manifest.Frames[no-1]
		if int64(len(raw)) != want.Bytes || int64(len(plain)) != want.PlainBytes || sha256.Sum256(raw) != want.SHA256 {
			return errors.New("frame is not the one that the manifest lists")
		}
	}
	return wholeLines(plain, f.limits)
}

// frameError classes what is wrong with a frame: over a limit is the sender's
// doing, all else is damage.
func (f *File) frameError(no int, err error) error {
	code := Damaged
	for _, limit := range []error{errWindow, errTooBig, errPlainMore, errPadded, errManyLine} {
		if errors.Is(err, limit) {
			code = Refused
		}
	}
	return &Error{Code: code, Frame: no, Msg: "frame cannot be read", Err: err}
}

var errStopped = errors.New("caller stopped")

// content checks the plain text frame by frame.
type content struct {
	file  *File
	check *sequence // nil until the first line was read
	line  int       // number of the line last begun
}

func (c *content) frame(p decoded, yield func(Line, error) bool) error {
	rest := p.plain
	if c.check == nil {
		n := bytes.IndexByte(rest, '\n')
		c.line = 1
		if err := c.first(rest[:n]); err != nil {
			return &Error{Code: Untrusted, Frame: p.no, Line: 1, Msg: "payload does not belong to this manifest", Err: err}
		}
		rest = rest[n+1:]
	}
	at, events := c.check.pos+1, c.check.events
	for len(rest) > 0 {
		n := bytes.IndexByte(rest, '\n')
		c.line++
		line, err := c.next(rest[:n:n])
		if err != nil {
			return c.lineError(p.no, err)
		}
		if !yield(line, nil) {
			return errStopped
		}
		rest = rest[n+1:]
	}
	if frames := c.file.manifest.Frames; frames != nil {
		if want := frames[p.no-1]; want.First != at || want.Events != c.check.events-events {
			return &Error{Code: Damaged, Frame: p.no, Position: at, Msg: "frame holds other positions than the manifest lists"}
		}
	}
	return nil
}

func (c *content) first(line []byte) error {
	first, err := parseFirst(line)
	if err != nil {
		return errors.Join(errFirst, err)
	}
	if first.Span != c.file.manifest.Core.Span {
		return errFirst
	}
	c.check = newSequence(first)
	return nil
}

func (c *content) next(raw []byte) (Line, error) {
	if c.line-1 > c.file.limits.Lines {
		return Line{}, errLines
	}
	c.check.from = c.check.pos + 1
	if c.check.first.Span.Kind == Archive {
		return c.archived(raw)
	}
	line, err := parseLine(raw, c.file.limits)
	switch {
	case err != nil:
	case line.Withheld != nil:
		err = c.check.withheld(*line.Withheld)
	default:
		err = c.check.event(line.Event.Pos, raw)
	}
	line.Chain, line.Number = c.check.chain, c.line
	return line, err
}

// archived takes a line of an archive: of an entry only the number is looked at.
func (c *content) archived(raw []byte) (line Line, err error) {
	line = Line{Raw: raw, Number: c.line}
	seq, entry := entrySeq(raw)
	switch {
	case len(raw) > c.file.limits.longestLine():
		err = errLineLong
	case entry:
		line.Event.Pos = seq
		err = c.check.event(seq, raw)
	default:
		err = c.check.note()
	}
	return line, err
}

// lineError places a line's failure. The signed hash fits, so the sender wrote the
// line as it is and would write it so again.
func (c *content) lineError(frame int, err error) error {
	return &Error{Code: Refused, Frame: frame, Line: c.line, Position: c.check.from, Msg: "line breaks a rule of the format", Err: err}
}

// end holds the promises about the whole, once no frame is left.
func (c *content) end(d *decoding) error {
	core := c.file.manifest.Core
	switch {
	case d.err != nil:
		return d.err
	case c.check == nil:
		return fail(Damaged, "payload is empty")
	case d.plain.n != core.PlainBytes || d.plain.sum() != core.PlainSHA256:
		return fail(Damaged, "decompressed payload is not what core.plain_bytes and core.plain_sha256 say")
	}
	if err := c.check.end(); err != nil {
		return &Error{Code: Damaged, Line: c.line, Position: c.check.pos, Msg: "payload is not what its manifest says", Err: err}
	}
	return nil
}
