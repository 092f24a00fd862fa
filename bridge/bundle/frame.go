package bundle

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"io"

	"github.com/klauspost/compress/zstd"
)

// A zstd frame (RFC 8878, section 3.1.1) says how long it is only block by block.
// readFrame walks the block headers, so that a frame is known to be one whole
// frame, of a known size, before anything is decompressed.

var (
	errFrame    = errors.New("not one whole zstd frame that states its size")
	errWindow   = errors.New("zstd window over the limit")
	errTooBig   = errors.New("frame decompresses to more than the limit")
	errEmpty    = errors.New("skippable or empty zstd frame")
	errPadded   = errors.New("frame is far longer than its content")
	errManyLine = errors.New("a frame over the size limit holds more than one line")
	errNoLF     = errors.New("frame does not end with a line")
)

// frameReader reads frames from a payload, one at a time.
type frameReader struct {
	in      *bufio.Reader
	limits  Limits
	decoder *zstd.Decoder
	raw     []byte // the frame read last, reused
}

// keptRaw is the most memory for a frame that is kept for the next one.
const keptRaw = 4 << 20

func newFrameReader(in io.Reader, limits Limits) (*frameReader, error) {
	d, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecodeAllCapLimit(true),
		zstd.WithDecoderMaxWindow(uint64(max(limits.Window, limits.biggestFrame()))),
		zstd.WithDecoderMaxMemory(uint64(limits.biggestFrame())))
	if err != nil {
		return nil, err
	}
	return &frameReader{in: bufio.NewReaderSize(in, 256<<10), limits: limits, decoder: d}, nil
}

// next gives the next frame, as it is and decompressed, at most budget bytes of
// it; io.EOF after the last. The plain bytes are the caller's, the raw ones
// are good until the next call.
func (r *frameReader) next(budget int64) (raw, plain []byte, err error) {
	if _, err := r.in.Peek(1); err != nil {
		return nil, nil, err
	}
	size, checksum, err := r.header(budget)
	if err != nil {
		return nil, nil, err
	}
	// Incompressible content grows by a block header in 128 KiB; the rest is slack
	// for other encoders. It keeps a frame of empty blocks from filling memory.
	longest := size + size/64 + 64<<10
	for last := false; !last; {
		if last, err = r.block(); err != nil {
			return nil, nil, noEOF(err)
		}
		if len(r.raw) > longest {
			return nil, nil, errPadded
		}
	}
	if checksum {
		if err := r.copy(4); err != nil {
			return nil, nil, noEOF(err)
		}
	}
	plain, err = r.decoder.DecodeAll(r.raw, make([]byte, 0, size))
	if err == nil && len(plain) != size {
		err = errFrame
	}
	return r.raw, plain, err
}

// header reads the frame header and gives the size of the content.
func (r *frameReader) header(budget int64) (size int, checksum bool, err error) {
	peek, err := r.in.Peek(zstd.HeaderMaxSize)
	if err != nil && err != io.EOF {
		return 0, false, err
	}
	var h zstd.Header
	if err := h.Decode(peek); err != nil {
		return 0, false, errors.Join(errFrame, err)
	}
	window := h.WindowSize
	if h.SingleSegment {
		window = h.FrameContentSize
	}
	switch {
	case h.Skippable:
		return 0, false, errEmpty
	case !h.HasFCS || h.DictionaryID != 0:
		return 0, false, errFrame
	case h.FrameContentSize == 0:
		return 0, false, errEmpty
	case window > uint64(r.limits.Window):
		return 0, false, errWindow
	case h.FrameContentSize > uint64(r.limits.biggestFrame()):
		return 0, false, errTooBig
	case h.FrameContentSize > uint64(max(budget, 0)):
		return 0, false, errPlainMore
	}
	if r.raw = r.raw[:0]; cap(r.raw) > keptRaw {
		r.raw = nil
	}
	return int(h.FrameContentSize), h.HasCheckSum, r.copy(h.HeaderSize)
}

// block reads one block and reports whether it is the frame's last.
func (r *frameReader) block() (last bool, err error) {
	at := len(r.raw)
	if err := r.copy(3); err != nil {
		return false, err
	}
	h := r.raw[at:]
	v := uint32(h[0]) | uint32(h[1])<<8 | uint32(h[2])<<16
	size := int(v >> 3)
	if size > 128<<10 && v>>1&3 != 1 {
		return false, errFrame
	}
	switch v >> 1 & 3 {
	case 1: // RLE: one byte, repeated
		size = 1
	case 3: // reserved
		return false, errFrame
	}
	return v&1 == 1, r.copy(size)
}

func (r *frameReader) copy(n int) error {
	at := len(r.raw)
	if cap(r.raw)-at < n {
		r.raw = append(make([]byte, 0, 2*cap(r.raw)+n), r.raw...)
	}
	r.raw = r.raw[:at+n]
	_, err := io.ReadFull(r.in, r.raw[at:])
	return err
}

// noEOF keeps a frame that ends early from looking like the payload's end.
func noEOF(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return errFrame
	}
	return err
}

// wholeLines holds the rule of what a frame contains.
func wholeLines(plain []byte, limits Limits) error {
	if plain[len(plain)-1] != '\n' {
		return errNoLF
	}
	if len(plain) > limits.Frame && bytes.IndexByte(plain, '\n') != len(plain)-1 {
		return errManyLine
	}
	return nil
}

// skippableMagic opens the frame that holds the manifest (RFC 8878, section
// 3.1.2): the last of the sixteen magic numbers that were free for it is 0x184D2A5F.
const (
	skippableMagic = 0x184D2A5B
	skippableSize  = 8 // magic and length, little-endian
)

func appendSkippable(dst, content []byte) []byte {
	dst = binary.LittleEndian.AppendUint32(dst, skippableMagic)
	dst = binary.LittleEndian.AppendUint32(dst, uint32(len(content)))
	return append(dst, content...)
}
