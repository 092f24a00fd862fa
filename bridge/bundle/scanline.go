package bundle

import "time"

// The readers of a line's envelope. Each takes one value in its one form and
// reports whether it was there.

// key takes a literal piece of a line.
func (s *scanner) key(text string) bool {
	if len(s.b)-s.i < len(text) || string(s.b[s.i:s.i+len(text)]) != text {
		return false
	}
	s.i += len(text)
	return true
}

// integer takes 0 to 2^53−1.
func (s *scanner) integer(n *int64) bool {
	from := s.i
	digits := s.digits()
	if digits == 0 || digits > 16 || digits > 1 && s.b[from] == '0' {
		return false
	}
	*n = atoi(s.b[from:s.i])
	return *n <= maxInt
}

// natural takes 1 to 2^53−1.
func (s *scanner) natural(n *int64) bool { return s.integer(n) && *n > 0 }

// bare takes a string that needs no escape, and its closing quotation mark. With
// one form only, what is parsed can be written again as it was.
func (s *scanner) bare(p *part, atLeast int) bool {
	p.from = s.i
	for {
		s.i = skipPlain(s.b, s.i)
		if s.i >= len(s.b) || s.i-p.from > maxText || s.b[s.i] == '\\' || s.b[s.i] < 0x20 {
			return false
		}
		if s.b[s.i] == '"' {
			p.to = s.i
			s.i++
			return p.to-p.from >= atLeast
		}
		n := runeLen(s.b[s.i:])
		if n == 0 {
			return false
		}
		s.i += n
	}
}

// uuid takes 8-4-4-4-12 lower-case hex digits and the closing quotation mark.
func (s *scanner) uuid(p *part) bool {
	if !s.bare(p, 36) || p.to-p.from != 36 {
		return false
	}
	for i, c := range s.b[p.from:p.to] {
		hyphen := i == 8 || i == 13 || i == 18 || i == 23
		if hyphen != (c == '-') || !hyphen && (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return false
		}
	}
	return true
}

// time takes a time of TimeLayout that exists, and the closing quotation mark.
// (time.Parse takes ten times as long and more than one form.)
func (s *scanner) time(t *time.Time) bool {
	const shape = `0000-00-00T00:00:00.000000Z"`
	if len(s.b)-s.i < len(shape) {
		return false
	}
	b := s.b[s.i : s.i+len(shape)]
	for i := range len(shape) {
		if digit := b[i] >= '0' && b[i] <= '9'; digit != (shape[i] == '0') || !digit && b[i] != shape[i] {
			return false
		}
	}
	n := func(from, to int) int { return int(atoi(b[from:to])) }
	year, month, day, hour, minute, second := n(0, 4), n(5, 7), n(8, 10), n(11, 13), n(14, 16), n(17, 19)
	*t = time.Date(year, time.Month(month), day, hour, minute, second, n(20, 26)*1000, time.UTC)
	s.i += len(shape)
	return int(t.Month()) == month && t.Day() == day && hour < 24 && minute < 60 && second < 60
}
