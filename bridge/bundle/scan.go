package bundle

import (
	"bytes"
	"encoding/binary"
	"errors"
	"math/bits"
	"unicode/utf8"
)

// scanner checks JSON (RFC 8259) as strictly as I-JSON (RFC 7493) asks, in one
// pass and without building values. It is written by hand because append, export
// and verify run it on every line; a fuzz test holds it equal to a general parser.
//
// Refused beyond RFC 8259: white space, invalid UTF-8, unpaired surrogates,
// U+0000 (PostgreSQL cannot hold it), equal names in one object, deep nesting,
// and numbers of more than 128 characters or an exponent beyond ±308: a checker
// that takes numbers as exact would need gigabytes for 1e999999999.
type scanner struct {
	b []byte
	i int
}

// piece is a name of an object as it stands in the line: b[from:to], its quotation
// marks left out.
type piece struct{ from, to int32 }

const (
	maxNumber   = 128 // characters of a number
	maxExponent = 308 // that of the largest double
)

var (
	errSyntax    = errors.New("not JSON, or with white space between tokens")
	errString    = errors.New("a string holds invalid UTF-8, an unpaired surrogate, U+0000 or a raw control character")
	errDuplicate = errors.New("an object has two members of one name")
	errDepth     = errors.New("nested too deeply")
	errNumber    = errors.New("not a JSON number, or too long, or its exponent is too large")
)

// value scans one value; left is how many levels may still open.
func (s *scanner) value(left int) error {
	if s.i >= len(s.b) {
		return errSyntax
	}
	switch c := s.b[s.i]; {
	case c == '"':
		_, err := s.str()
		return err
	case c == '{':
		return s.object(left)
	case c == '[':
		return s.array(left)
	case c == '-' || c >= '0' && c <= '9':
		return s.number()
	default:
		return s.literal()
	}
}

func (s *scanner) literal() error {
	for _, word := range [...]string{"true", "false", "null"} {
		if bytes.HasPrefix(s.b[s.i:], []byte(word)) {
			s.i += len(word)
			return nil
		}
	}
	return errSyntax
}

func (s *scanner) array(left int) error {
	if left == 0 {
		return errDepth
	}
	s.i++
	if s.take(']') {
		return nil
	}
	for {
		if err := s.value(left - 1); err != nil {
			return err
		}
		if s.take(']') {
			return nil
		}
		if !s.take(',') {
			return errSyntax
		}
	}
}

func (s *scanner) object(left int) error {
	if left == 0 {
		return errDepth
	}
	s.i++
	if s.take('}') {
		return nil
	}
	var room [12]piece // on the stack: most objects have no more names
	names, many, escapes := room[:0], (*nameSet)(nil), false
	for {
		from := s.i + 1
		escaped, err := s.name()
		if err != nil {
			return err
		}
		escapes = escapes || escaped
		name := piece{int32(from), int32(s.i - 2)}
		if len(names) < len(room) {
			names = append(names, name)
		} else {
			if many == nil {
				many = newNameSet(s.b, names)
			}
			many.add(name)
		}
		if err := s.value(left - 1); err != nil {
			return err
		}
		if s.take('}') {
			break
		}
		if !s.take(',') {
			return errSyntax
		}
	}
	if many != nil && many.twice || many == nil && !distinct(s.b, names, escapes) {
		return errDuplicate
	}
	return nil
}

// name scans a member's name with its colon.
func (s *scanner) name() (escaped bool, err error) {
	if s.i >= len(s.b) || s.b[s.i] != '"' {
		return false, errSyntax
	}
	if escaped, err = s.str(); err == nil && !s.take(':') {
		err = errSyntax
	}
	return escaped, err
}

// str scans a string and reports whether it holds escapes.
func (s *scanner) str() (escaped bool, err error) {
	b, i := s.b, s.i+1
	for {
		i = skipPlain(b, i)
		if i >= len(b) {
			return escaped, errSyntax
		}
		switch c := b[i]; {
		case c == '"':
			s.i = i + 1
			return escaped, nil
		case c == '\\':
			n := escapeLen(b[i:])
			if n == 0 {
				return escaped, errString
			}
			escaped = true
			i += n
		case c < 0x20:
			return escaped, errString
		default:
			n := runeLen(b[i:])
			if n == 0 {
				return escaped, errString
			}
			i += n
		}
	}
}

// skipPlain gives the first place from i on where b has a byte that matters in a
// string (a quotation mark, a backslash, below 0x20, above 0x7f), eight bytes at a
// time: in each byte of hit the top bit tells. A subtraction can borrow into the
// bytes above a hit, never below the lowest, which is the one that is used.
func skipPlain(b []byte, i int) int {
	const ones, tops = 0x0101010101010101, 0x8080808080808080
	for ; i+8 <= len(b); i += 8 {
		x := binary.LittleEndian.Uint64(b[i:])
		quote, slash := x^'"'*ones, x^'\\'*ones
		hit := (x | (x-0x20*ones)&^x | (quote-ones)&^quote | (slash-ones)&^slash) & tops
		if hit != 0 {
			return i + bits.TrailingZeros64(hit)>>3
		}
	}
	for i < len(b) && b[i] >= 0x20 && b[i] < utf8.RuneSelf && b[i] != '"' && b[i] != '\\' {
		i++
	}
	return i
}

// runeLen is the length of the UTF-8 sequence at the start of b, 0 if it is none.
func runeLen(b []byte) int {
	r, n := utf8.DecodeRune(b)
	if r == utf8.RuneError && n == 1 {
		return 0
	}
	return n
}

// escapeLen is the length of the escape at the start of b: 2, 6, or 12 for a
// surrogate pair; 0 if it is none that may stand in a line.
func escapeLen(b []byte) int {
	if len(b) < 2 {
		return 0
	}
	if b[1] != 'u' {
		if bytes.IndexByte([]byte(`"\/bfnrt`), b[1]) < 0 {
			return 0
		}
		return 2
	}
	switch r := hex4(b); {
	case r <= 0 || r >= 0xdc00 && r <= 0xdfff:
		return 0
	case r >= 0xd800 && r <= 0xdbff:
		if len(b) < 12 || b[6] != '\\' {
			return 0
		}
		if low := hex4(b[6:]); low < 0xdc00 || low > 0xdfff {
			return 0
		}
		return 12
	}
	return 6
}

// hex4 is the code unit of the escape \uXXXX at the start of b, or -1.
func hex4(b []byte) rune {
	if len(b) < 6 || b[1] != 'u' {
		return -1
	}
	var r rune
	for _, c := range b[2:6] {
		switch {
		case c >= '0' && c <= '9':
			c -= '0'
		case c >= 'a' && c <= 'f':
			c -= 'a' - 10
		case c >= 'A' && c <= 'F':
			c -= 'A' - 10
		default:
			return -1
		}
		r = r<<4 | rune(c)
	}
	return r
}

// appendUnescaped appends the text of a string that str has accepted.
func appendUnescaped(dst, src []byte) []byte {
	for len(src) > 0 {
		if src[0] != '\\' {
			dst, src = append(dst, src[0]), src[1:]
			continue
		}
		n := escapeLen(src)
		switch n {
		case 2:
			c := src[1]
			if k := bytes.IndexByte([]byte("bfnrt"), c); k >= 0 {
				c = "\b\f\n\r\t"[k]
			}
			dst = append(dst, c)
		case 6:
			dst = utf8.AppendRune(dst, hex4(src))
		default:
			dst = utf8.AppendRune(dst, (hex4(src)-0xd800)<<10|(hex4(src[6:])-0xdc00)+0x10000)
		}
		src = src[n:]
	}
	return dst
}

func (s *scanner) number() error {
	start := s.i
	s.take('-')
	if !s.take('0') && s.digits() == 0 {
		return errNumber
	}
	if s.take('.') && s.digits() == 0 {
		return errNumber
	}
	if s.take('e') || s.take('E') {
		if !s.take('+') {
			s.take('-')
		}
		from := s.i
		if n := s.digits(); n == 0 || n > 3 || atoi(s.b[from:s.i]) > maxExponent {
			return errNumber
		}
	}
	if s.i-start > maxNumber {
		return errNumber
	}
	return nil
}

func (s *scanner) digits() int {
	from := s.i
	for s.i < len(s.b) && s.b[s.i] >= '0' && s.b[s.i] <= '9' {
		s.i++
	}
	return s.i - from
}

func (s *scanner) take(c byte) bool {
	if s.i < len(s.b) && s.b[s.i] == c {
		s.i++
		return true
	}
	return false
}

// atoi reads up to 16 digits.
func atoi(digits []byte) (n int64) {
	for _, c := range digits {
		n = n*10 + int64(c-'0')
	}
	return n
}
