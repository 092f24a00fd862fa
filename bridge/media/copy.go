package media

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"

	"sallyport/bridge/bundle"
)

var (
	errTooLarge = errors.New("it is larger than any bundle may be")
	errChanging = errors.New("it changed while it was read: let whoever writes it finish, then run this again")
)

// sourceError is a failure of the file that is copied, not of its copy.
type sourceError struct{ error }

func (e *sourceError) Unwrap() error { return e.error }

// source is a file that is copied.
type source struct{ *os.File }

func (s source) Read(p []byte) (int, error) {
	n, err := s.File.Read(p)
	if err != nil && !errors.Is(err, io.EOF) {
		err = &sourceError{err}
	}
	return n, err
}

// copying copies files and hashes what it reads.
type copying struct {
	limit int64 // no file may be longer
	meter Meter
}

// copied is what was read of a file.
type copied struct {
	bytes  int64
	sha256 string
}

// copy reads src to its end, whatever its size is said to be. A file that did
// not keep still is not copied.
func (c copying) copy(ctx context.Context, dst io.Writer, src *os.File) (copied, error) {
	all, err := c.pump(ctx, dst, source{src})
	if err != nil {
		return copied{}, err
	}
	info, err := src.Stat()
	if err != nil {
		return copied{}, &sourceError{err}
	}
	if info.Size() != all.bytes {
		return copied{}, errChanging
	}
	return all, nil
}

func (c copying) hash(ctx context.Context, src io.Reader) (copied, error) {
	return c.pump(ctx, io.Discard, src)
}

// pump reads no more than the limit and one buffer.
func (c copying) pump(ctx context.Context, dst io.Writer, src io.Reader) (all copied, err error) {
	h, buf := sha256.New(), make([]byte, 256<<10)
	for {
		n, end := src.Read(buf)
		all.bytes += int64(n)
		if all.bytes > c.limit {
			return copied{}, errTooLarge
		}
		h.Write(buf[:n])
		if _, err := dst.Write(buf[:n]); err != nil {
			return copied{}, err
		}
		c.meter.add(int64(n))
		switch {
		case errors.Is(end, io.EOF):
			all.sha256 = hex.EncodeToString(h.Sum(nil))
			return all, nil
		case end != nil:
			return copied{}, end
		case ctx.Err() != nil:
			return copied{}, ctx.Err()
		}
	}
}

// errReadBack is a medium that gives back what it was not given.
var errReadBack = errors.New("the medium gives back other bytes than were written: do not use it any more")

// prove reads a synced file from the medium and holds it against what was read
// from the outbox. forgotten says why the machine may have read its own memory
// instead; nil if it read the medium.
func (c copying) prove(ctx context.Context, f *os.File, want copied) (forgotten, err error) {
	forgotten = dropCache(f)
	got, err := c.hash(ctx, io.NewSectionReader(f, 0, c.limit+1))
	if err != nil {
		return forgotten, fmt.Errorf("read it back: %w", err)
	}
	if got != want {
		return forgotten, errReadBack
	}
	return forgotten, nil
}

// verify reads a file as a bundle that this site signed for a peer.
func verify(f *os.File, size int64, p Pool, trust bundle.Trust, limits bundle.Limits) error {
	b, err := bundle.Open(f, size, limits)
	if err == nil {
		err = b.VerifySignatures(trust)
	}
	if err == nil {
		err = b.VerifyPayload()
	}
	if err != nil {
		return err
	}
	if c := b.Manifest().Core; c.From != p.From || c.To != p.To {
		return &bundle.Error{Code: bundle.Refused, Msg: fmt.Sprintf("it goes from %s to %s, whatever its name says", c.From, c.To)}
	}
	return nil
}
