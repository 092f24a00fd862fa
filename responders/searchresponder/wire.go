package searchresponder

import "io"

const (
	// maxRead bounds what is read of an engine's answer, in bytes.
	maxRead = 256 << 20
	// readAhead is what a reader may have taken of what comes behind a value.
	readAhead = 64 << 10
)

// wire counts what comes from an engine. It fails where the whole answer would be
// longer than one may be, and within a value that is held, where that would be.
type wire struct {
	from io.Reader
	left int64 // of the whole answer
	most int64 // that a value may take which is held
	part int64 // of most, what is left to the value that is read now
	held bool
}

func (w *wire) begin() { w.held, w.part = true, w.most }

func (w *wire) end() { w.held = false }

func (w *wire) Read(b []byte) (int, error) {
	room := w.left
	if w.held {
		room = min(room, w.part)
	}
	switch {
	case w.left <= 0:
		return 0, errTooLong
	case room <= 0:
		return 0, errNoRoom
	}
	n, err := w.from.Read(b[:min(int64(len(b)), room)])
	w.left, w.part = w.left-int64(n), w.part-int64(n)
	return n, err
}
