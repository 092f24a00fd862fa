package bundle

import (
	"errors"
	"fmt"
	"regexp"
	"strconv"
)

// Name is what a bundle's file is called. It is a hint for people and for
// sorting; only the signed manifest says what a file is.
//
//	sp1_<from>-<to>_<epoch8>_<seq10>.jsonl.zst         plain
//	sp1_<from>-<to>_<epoch8>_<seq10>.jsonl.zst.age     encrypted
//	sp1_<from>-<to>_<epoch8>_<seq10>.b<n>.jsonl.zst    beacon
type Name struct {
	// Link is "<from>-<to>". Site names may hold hyphens themselves, so it
	// cannot be split without knowing one of them; see [Name.Between].
	Link string
	// Epoch8 is the first 8 hex digits of the log's epoch.
	Epoch8 string
	// Seq is the bundle's number, from 1 (0 only for a beacon before bundle 1).
	Seq int64
	// Beacon counts the beacons after Seq, from 1; 0 is no beacon.
	Beacon int
	// Encrypted is the .age ending. A beacon is never encrypted.
	Encrypted bool
}

var errName = errors.New("not the name of a bundle")

const maxSeq = 9_999_999_999

// NameFor gives the name of a bundle with this core. Beacon is the running
// number of a beacon and is 0 for any other kind.
func NameFor(core Core, beacon int, encrypted bool) Name {
	return Name{Link: core.From + "-" + core.To, Epoch8: core.Epoch[:8], Seq: core.Seq, Beacon: beacon, Encrypted: encrypted}
}

// String gives the file name. It is only one that [ParseName] reads if every
// field keeps its rule.
func (n Name) String() string {
	s := fmt.Sprintf("sp1_%s_%s_%010d", n.Link, n.Epoch8, n.Seq)
	if n.Beacon > 0 {
		s += ".b" + strconv.Itoa(n.Beacon)
	}
	s += ".jsonl.zst"
	if n.Encrypted {
		s += ".age"
	}
	return s
}

// Between reports whether the name is one of the link that leads from from to to.
func (n Name) Between(from, to string) bool {
	return isSite(from) && isSite(to) && n.Link == from+"-"+to
}

// ParseName reads a file name, without folder, exactly as [Name.String] writes
// it: nothing before, between or after, no other case.
func ParseName(s string) (Name, error) {
	m := nameShape.FindStringSubmatch(s)
	if m == nil || !isLink(m[1]) {
		return Name{}, errName
	}
	n := Name{Link: m[1], Epoch8: m[2], Encrypted: m[5] != ""}
	var err error
	if n.Seq, err = strconv.ParseInt(m[3], 10, 64); err != nil {
		return Name{}, errName
	}
	if m[4] != "" {
		if n.Beacon, err = strconv.Atoi(m[4]); err != nil {
			return Name{}, errName
		}
	}
	if n.Beacon == 0 && n.Seq == 0 || n.Beacon > 0 && n.Encrypted {
		return Name{}, errName
	}
	return n, nil
}

var nameShape = regexp.MustCompile(`\Asp1_([a-z0-9-]{3,65})_([0-9a-f]{8})_([0-9]{10})(?:\.b([1-9][0-9]{0,8}))?\.jsonl\.zst(\.age)?\z`)

// isLink reports whether s can be split into two site names at a hyphen.
func isLink(s string) bool {
	for i := range len(s) {
		if s[i] == '-' && isSite(s[:i]) && isSite(s[i+1:]) {
			return true
		}
	}
	return false
}

// isSite reports whether s is a site name: [a-z0-9-], 1 to 32.
func isSite(s string) bool {
	if len(s) < 1 || len(s) > 32 {
		return false
	}
	for i := range len(s) {
		if c := s[i]; (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '-' {
			return false
		}
	}
	return true
}
