package bundle

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"

	"filippo.io/age"
	"github.com/klauspost/compress/zstd"
	"golang.org/x/sync/errgroup"
)

// Plan is what must be known before a payload is made. Committed before the
// first byte is written, it makes every re-run give the same bundle.
type Plan struct {
	// First is the payload's first line. An empty Span.Format stands for [Format].
	First First
	// Recipients are age public keys ("age1…", X25519 or hybrid, not mixed) to
	// encrypt to; none makes a plain bundle.
	Recipients []string
	// Limits bounds the bundle; zero fields stand for the defaults.
	Limits Limits
}

// Content is what a finished payload turned out to be: the parts of a
// [Manifest] that follow from it.
type Content struct {
	Core       Core
	Payload    Payload
	Frames     []Frame
	Encryption *Encryption
}

// Manifest gives a manifest of the content; the caller adds what else it knows.
func (c Content) Manifest() Manifest {
	return Manifest{Core: c.Core, Payload: c.Payload, Frames: c.Frames, Encryption: c.Encryption}
}

// Writer makes a payload. One goroutine at a time may use it. It runs two
// goroutines of its own, which Finish and Close both wait for:
//
//	Line, Withheld ──chunk──► compress ──chunk──► hash, encrypt, write
//	check, chain, collect     (one frame each; at most one waits at either arrow)
type Writer struct {
	plan   Plan
	check  *sequence
	chunk  chunk
	plain  int64
	lines  int
	err    error // the first failure, for all calls after it
	ctx    context.Context
	cancel context.CancelFunc
	work   *errgroup.Group
	chunks chan chunk
	sink   *sink
	over   bool // chunks is closed and work has ended
}

// chunk is one frame on its way: its plain text, then the frame too.
type chunk struct {
	plain  []byte
	frame  []byte
	first  int64
	events int
}

// inFlight is how many chunks a writer has at most: one being filled, compressed
// and written each.
const inFlight = 3

// NewWriter begins a payload on w. The caller must end it with Finish or Close.
// Cancelling ctx makes both the calls and the goroutines end early. A beacon gets
// no lines: Finish at once.
func NewWriter(ctx context.Context, w io.Writer, plan Plan) (*Writer, error) {
	plan.Limits = plan.Limits.orDefault().of(plan.First.Span.Kind)
	if plan.First.Span.Format == "" {
		plan.First.Span.Format = Format
	}
	if err := plan.First.check(); err != nil {
		return nil, failWith(Refused, "plan breaks a rule of the format, nothing was written", err)
	}
	first, err := plan.First.Line()
	if err != nil {
		return nil, failWith(Refused, "plan cannot be encoded, nothing was written", err)
	}
	out, err := newSink(w, plan)
	if err != nil {
		return nil, err
	}
	encoder, err := newEncoder()
	if err != nil {
		return nil, fmt.Errorf("zstd encoder: %w", err)
	}
	b := &Writer{plan: plan, check: newSequence(plan.First), sink: out, chunks: make(chan chunk)}
	ctx, b.cancel = context.WithCancel(ctx)
	b.work, b.ctx = errgroup.WithContext(ctx)
	frames := make(chan chunk)
	b.work.Go(func() error { return compress(b.ctx, encoder, b.chunks, frames) })
	b.work.Go(func() error { return out.run(b.ctx, frames) })
	b.chunk = chunk{first: b.check.from}
	b.add(first)
	return b, nil
}

// encoder fixes how frames are made: klauspost's default level, a checksum, the
// size of the content in every header, no window above 8 MiB.
type encoder struct{ small, large *zstd.Encoder }

const encoderWindow = 8 << 20

func newEncoder() (e encoder, err error) {
	// A single segment has its size in the header however small it is; its window
	// is its size, so it is not for frames beyond the window.
	if e.small, err = zstd.NewWriter(nil, encoderOptions(zstd.WithSingleSegment(true))...); err == nil {
		e.large, err = zstd.NewWriter(nil, encoderOptions()...)
	}
	return e, err
}

func encoderOptions(more ...zstd.EOption) []zstd.EOption {
	return append(more, zstd.WithEncoderConcurrency(1), zstd.WithEncoderLevel(zstd.SpeedDefault),
		zstd.WithWindowSize(encoderWindow), zstd.WithEncoderCRC(true))
}

func (e encoder) frame(plain, dst []byte) []byte {
	if len(plain) <= encoderWindow {
		return e.small.EncodeAll(plain, dst)
	}
	return e.large.EncodeAll(plain, dst)
}

// Line adds an event, as stored in the log and without its LF. The line is
// copied. An error leaves the bundle unusable: nothing is left to do but Close.
func (b *Writer) Line(line []byte) error {
	if b.err != nil {
		return b.err
	}
	e, err := scanEvent(line, b.plan.Limits)
	if err == nil {
		err = b.check.event(e.pos, line)
	}
	return b.put(line, 1, err)
}

// Stored adds an event whose form was checked by [CheckLine] when it entered the
// log, and which the log holds at pos: only its place and its length are looked
// at. That it is the same line still is what the chain proves, which must lead to
// the one of the plan. Otherwise it is like Line.
func (b *Writer) Stored(pos int64, line []byte) error {
	if b.err != nil {
		return b.err
	}
	var err error
	if len(line) > b.plan.Limits.longestLine() {
		err = errLineLong
	} else {
		err = b.check.event(pos, line)
	}
	return b.put(line, 1, err)
}

// Entry adds what was stored under a number to an [Archive], as [ParseEntry] reads
// it, and Note a line beside, up to as long.
func (b *Writer) Entry(line []byte) error {
	if b.err != nil {
		return b.err
	}
	seq, ok := entrySeq(line)
	err := rule(ok && b.plan.First.Span.Kind == Archive && len(line) <= b.plan.Limits.longestLine(), "no entry of an archive, or too long")
	if err == nil {
		err = b.check.event(seq, line)
	}
	return b.put(line, 1, err)
}

// Note adds a line beside the entries, see [Writer.Entry].
func (b *Writer) Note(line []byte) error {
	if b.err != nil {
		return b.err
	}
	_, entry := entrySeq(line)
	err := rule(!entry && len(line) > 0 && len(line) <= b.plan.Limits.longestLine() && bytes.IndexByte(line, '\n') < 0, "no note, or too long")
	if err == nil {
		err = b.check.note()
	}
	return b.put(line, 0, err)
}

// Chain gives the log's chain after the last line that was added.
func (b *Writer) Chain() Hash { return b.check.chain }

// Withheld adds a run of events that do not go to the receiver; its Chain must be
// the log's own at Through.
func (b *Writer) Withheld(run Withheld) error {
	if b.err != nil {
		return b.err
	}
	line := AppendWithheld(nil, run)
	_, err := parseWithheld(line)
	if err == nil {
		err = b.check.withheld(run)
	}
	return b.put(line, 0, err)
}

// put adds a checked line; err is what the check said.
func (b *Writer) put(line []byte, events int, err error) error {
	b.lines++
	if err == nil && b.lines > b.plan.Limits.Lines {
		err = errLines
	}
	if err == nil && b.plain+int64(len(b.chunk.plain)+len(line)) >= b.plan.Limits.Plain {
		err = errPlain
	}
	if err != nil {
		b.err = &Error{Code: Refused, Line: b.lines + 1, Position: b.check.from, Msg: "line not written; no bundle is made", Err: err}
		return b.err
	}
	if len(b.chunk.plain) > 0 && len(b.chunk.plain)+len(line)+1 > b.plan.Limits.Frame {
		if b.err = b.flush(); b.err != nil {
			return b.err
		}
	}
	if len(b.chunk.plain) == 0 {
		b.chunk.first = b.check.from
	}
	b.add(line)
	b.chunk.events += events
	return nil
}

func (b *Writer) add(line []byte) {
	b.chunk.plain = append(append(b.chunk.plain, line...), '\n')
}

// flush hands the collected lines on as one frame.
func (b *Writer) flush() error {
	select {
	case b.chunks <- b.chunk:
	case <-b.ctx.Done():
		return b.stop()
	}
	b.plain += int64(len(b.chunk.plain))
	select {
	case used := <-b.sink.done:
		b.chunk = chunk{plain: used.plain[:0], frame: used.frame}
	default:
		b.chunk = chunk{plain: make([]byte, 0, b.plan.Limits.Frame)}
	}
	return nil
}

// stop joins the goroutines and gives the failure that ended them.
func (b *Writer) stop() error {
	if !b.over {
		b.over = true
		close(b.chunks)
		defer b.cancel()
	}
	if err := b.work.Wait(); err != nil {
		return err
	}
	return context.Cause(b.ctx)
}

// Finish writes what is left, waits until all is written and gives the content.
// It fails if the lines are not exactly what the plan said: positions up to
// range.through, chain.through reached, as many events as announced.
func (b *Writer) Finish() (Content, error) {
	defer b.Close()
	if b.err != nil {
		return Content{}, b.err
	}
	b.err = errFinished
	if err := b.check.end(); err != nil {
		return Content{}, &Error{Code: Refused, Line: b.lines + 1, Position: b.check.pos, Msg: "lines do not fit the plan; no bundle is made", Err: err}
	}
	if err := b.flush(); err != nil {
		return Content{}, err
	}
	b.over = true
	close(b.chunks)
	if err := b.work.Wait(); err != nil {
		return Content{}, err
	}
	c := Content{Core: Core{Span: b.plan.First.Span}}
	b.sink.describe(&c)
	return c, nil
}

// Close ends the writer and its goroutines. After a successful Finish it does
// nothing; before it, what was written is no payload and must be thrown away. It
// may be called more than once.
func (b *Writer) Close() {
	if b.err == nil {
		b.err = errFinished
	}
	b.cancel()
	_ = b.stop() // the failure, if one happened, was given by the call it made fail
}

var errFinished = errors.New("bundle writer is closed")

func compress(ctx context.Context, encoder encoder, in <-chan chunk, out chan<- chunk) error {
	defer close(out)
	for c := range in {
		c.frame = encoder.frame(c.plain, c.frame[:0])
		select {
		case out <- c:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

// sink is the end of the pipe: it hashes both sides, encrypts and writes.
type sink struct {
	limits    Limits
	encrypt   []string
	plain     tally
	payload   tally
	frames    []Frame
	w         io.Writer
	encrypter io.WriteCloser // nil for a plain bundle
	done      chan chunk     // written; their memory is used again
}

func newSink(w io.Writer, plan Plan) (*sink, error) {
	s := &sink{limits: plan.Limits, encrypt: plan.Recipients, plain: newTally(), payload: newTally(), done: make(chan chunk, inFlight)}
	s.w = io.MultiWriter(w, &s.payload)
	if len(plan.Recipients) == 0 {
		return s, nil
	}
	if err := checkRecipients(plan.Recipients); err != nil {
		return nil, failWith(Refused, "cannot encrypt, nothing was written", err)
	}
	to, err := parseRecipients(plan.Recipients)
	if err != nil {
		return nil, failWith(Refused, "cannot encrypt, nothing was written", err)
	}
	if s.encrypter, err = age.Encrypt(s.w, to...); err != nil {
		return nil, fmt.Errorf("begin the encrypted payload: %w", err)
	}
	s.w = s.encrypter
	return s, nil
}

func (s *sink) run(ctx context.Context, in <-chan chunk) error {
	for p := range in {
		if err := s.put(p); err != nil {
			return err
		}
		select {
		case s.done <- p:
		default: // the writer has enough
		}
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if s.encrypter == nil {
		return nil
	}
	if err := s.encrypter.Close(); err != nil {
		return fmt.Errorf("end the encrypted payload: %w", err)
	}
	return nil
}

func (s *sink) put(p chunk) error {
	if s.encrypter == nil {
		s.frames = append(s.frames, Frame{
			Offset: s.payload.n, Bytes: int64(len(p.frame)), PlainBytes: int64(len(p.plain)),
			First: p.first, Events: p.events, SHA256: sha256.Sum256(p.frame),
		})
	}
	if _, err := s.plain.Write(p.plain); err != nil {
		return err
	}
	if _, err := s.w.Write(p.frame); err != nil {
		return fmt.Errorf("write the payload at byte %d: %w", s.payload.n, err)
	}
	if s.payload.n > s.limits.File {
		return fail(Refused, "bundle grows over its size limit: make it of a smaller range")
	}
	return nil
}

func (s *sink) describe(c *Content) {
	c.Core.PlainBytes, c.Core.PlainSHA256 = s.plain.n, s.plain.sum()
	c.Payload = Payload{Bytes: s.payload.n, SHA256: s.payload.sum()}
	c.Frames = s.frames
	if s.encrypter != nil {
		c.Encryption = &Encryption{Recipients: s.encrypt}
	}
}
