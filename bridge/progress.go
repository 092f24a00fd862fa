package bridge

import "io"

// Progress is told of work that is done, in bytes: of lines that are written
// into bundles, and of bundles that are read, as often as they are. Several
// goroutines may tell it at once. nil: nobody listens.
type Progress func(n int64)

func (p Progress) add(n int) {
	if p != nil {
		p(int64(n))
	}
}

// meteredAt tells of what is read of a bundle.
type meteredAt struct {
	io.ReaderAt
	told Progress
}

func (m meteredAt) ReadAt(b []byte, off int64) (int, error) {
	n, err := m.ReaderAt.ReadAt(b, off)
	m.told.add(n)
	return n, err
}

// metered tells of what is read of a file that is copied.
type metered struct {
	io.Reader
	told Progress
}

func (m metered) Read(b []byte) (int, error) {
	n, err := m.Reader.Read(b)
	m.told.add(n)
	return n, err
}
