package bundle

import (
	"bytes"
	"hash/maphash"
)

// distinct compares the few names that most objects have by pairs.
func distinct(b []byte, names []piece, escapes bool) bool {
	for i := 1; i < len(names); i++ {
		for j := range i {
			x, y := b[names[i].from:names[i].to], b[names[j].from:names[j].to]
			if bytes.Equal(x, y) || escapes && bytes.Equal(appendUnescaped(nil, x), appendUnescaped(nil, y)) {
				return false
			}
		}
	}
	return true
}

// nameSet notices a name that an object has twice, however many it has. A long
// line can hold millions: of each it keeps four bytes, where it begins, and
// reads it again to compare. Its hash is seeded, so that nobody can choose names
// that meet.
type nameSet struct {
	b     []byte
	seed  maphash.Seed
	at    []uint32 // open addressing: the beginning of a name; 0 is free, no name begins there
	n     int
	twice bool
	x, y  []byte // for names without their escapes
}

func newNameSet(b []byte, names []piece) *nameSet {
	s := &nameSet{b: b, seed: maphash.MakeSeed(), at: make([]uint32, 64)}
	for _, n := range names {
		s.add(n)
	}
	return s
}

func (s *nameSet) add(name piece) {
	if s.n++; 4*s.n > 3*len(s.at) {
		old := s.at
		s.at = make([]uint32, 2*len(old))
		for _, from := range old {
			if from != 0 {
				s.put(from, s.raw(from))
			}
		}
	}
	s.put(uint32(name.from), s.b[name.from:name.to]) //nolint:gosec // a line is shorter than 4 GiB
}

func (s *nameSet) put(from uint32, raw []byte) {
	s.x = s.text(s.x, raw)
	mask := uint64(len(s.at) - 1)
	for i := maphash.Bytes(s.seed, s.x) & mask; ; i = (i + 1) & mask {
		if s.at[i] == 0 {
			s.at[i] = from
			return
		}
		if s.y = s.text(s.y, s.raw(s.at[i])); bytes.Equal(s.x, s.y) {
			s.twice = true
			return
		}
	}
}

func (s *nameSet) text(room, raw []byte) []byte { return appendUnescaped(room[:0], raw) }

// raw is the name that begins at from: it was scanned before and has an end.
func (s *nameSet) raw(from uint32) []byte {
	scan := scanner{b: s.b, i: int(from) - 1}
	_, _ = scan.str()
	return s.b[from : scan.i-1]
}
