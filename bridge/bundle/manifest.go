package bundle

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"regexp"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"golang.org/x/mod/sumdb/note"
)

// Format is the value of a core's format.
const Format = "sallyport-bundle/1"

// Kind says what a bundle is for.
type Kind string

const (
	// Data carries a range of the sender's log.
	Data Kind = "data"
	// Beacon carries no lines: only head and ack.
	Beacon Kind = "beacon"
	// Return carries a range of the RECEIVER's own log back to it, for recovery;
	// epoch, range and chain are those of that log.
	Return Kind = "return"
	// Audit carries a range of the sender's log to people who look into it. It has
	// no number and moves nothing between sites: no site takes it in.
	Audit Kind = "audit"
	// Archive carries what a site has stored, its own log and the mirrors of others,
	// in the order in which it stored them: entries, whose positions are numbers of
	// that order, and notes beside them. No site takes it in. What is inside an entry
	// or a note is for bridge/archive to say; there is no chain over them.
	Archive Kind = "archive"
)

// ofPeople reports whether the kind is for people, and for no site.
func (k Kind) ofPeople() bool { return k == Audit || k == Archive }

// Span is the part of a core that is known before the payload is made. The
// payload's first line repeats it, which binds payload and manifest.
type Span struct {
	Format string    `json:"format"` // always [Format]
	Kind   Kind      `json:"kind"`
	From   string    `json:"from"`  // site name of the sender
	To     string    `json:"to"`    // site name of the receiver
	Epoch  string    `json:"epoch"` // of the log carried: 32 lower-case hex digits
	Seq    int64     `json:"seq"`   // number on this link, from 1; a beacon shows the last one, 0 for none
	Prev   string    `json:"prev"`  // id of the bundle before, for people; "" for none
	Range  Range     `json:"range"`
	Chain  ChainEnds `json:"chain"`
}

// Range is the positions After < p ≤ Through.
type Range struct {
	After   int64 `json:"after"`
	Through int64 `json:"through"`
}

// ChainEnds is the log's chain at the two ends of a [Range].
type ChainEnds struct {
	After   Hash `json:"after"`
	Through Hash `json:"through"`
}

// Core is what makes a bundle the bundle it is: the same core, the same bundle,
// however often and with whatever encryption it is made.
type Core struct {
	Span
	PlainBytes  int64 `json:"plain_bytes"`  // length of the decompressed payload
	PlainSHA256 Hash  `json:"plain_sha256"` // of the decompressed payload
}

// ID is the bundle id: the SHA-256, in hex, of the core as compact JSON (the keys
// in the manifest's order, no space). It does not depend on the indentation that
// the core has inside a manifest.
func (c Core) ID() string {
	b, err := json.Marshal(c)
	if err != nil {
		return "" // a Core holds only strings, numbers and hashes: not reached with valid UTF-8
	}
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}

// Head is the sender's log when the manifest was written, so that a lost last
// bundle shows.
type Head struct {
	Position int64 `json:"position"` // last position of the sender's log
	Seq      int64 `json:"seq"`      // last number given out on this link
}

// Payload describes the bytes after the skippable frame.
type Payload struct {
	Bytes  int64 `json:"bytes"`
	SHA256 Hash  `json:"sha256"`
}

// Frame describes one zstd frame of a plain payload.
type Frame struct {
	Offset     int64 `json:"offset"` // from the payload's start
	Bytes      int64 `json:"bytes"`
	PlainBytes int64 `json:"plain_bytes"`
	First      int64 `json:"first"`  // the position its first event or withheld run begins at
	Events     int   `json:"events"` // event lines in it; withheld runs not counted
	SHA256     Hash  `json:"sha256"` // of its Bytes
}

// Encryption names the age public keys that a payload is encrypted to.
type Encryption struct {
	Recipients []string `json:"recipients"`
}

// Ack is what the sender has applied of the receiver's log, from its committed
// cursor. Only an ack with a higher No counts; all is cumulative.
type Ack struct {
	Epoch       string      `json:"epoch"`          // of the receiver's log: 32 hex digits
	Incarnation string      `json:"incarnation"`    // of the sender: 32 hex digits, new at init and restore
	No          int64       `json:"no"`             // from 1
	Seq         int64       `json:"seq"`            // last number applied without a gap, 0 for none
	Position    int64       `json:"position"`       // last position applied
	Chain       Hash        `json:"chain"`          // the receiver's chain at Position
	Missing     []int64     `json:"missing"`        // numbers to make again, ascending
	Rejected    []Rejection `json:"rejected"`       // ascending by Seq
	Understands []string    `json:"understands"`    // "<event type>.v<schema version>", sorted
	Seen        *Seen       `json:"seen,omitempty"` // nil: no manifest of the receiver has counted yet
}

// Seen names the newest of the receiver's manifests that counted when the ack
// was made, by its own ack's incarnation and number. It tells the receiver which
// of its bundles and requests may have been lost: those before it.
type Seen struct {
	Incarnation string `json:"incarnation"` // 32 hex digits
	No          int64  `json:"no"`          // from 1
}

// Rejection is a bundle that could not be applied.
type Rejection struct {
	Seq  int64 `json:"seq"`
	Code Code  `json:"code"`
}

// Manifest is the signed description of a bundle.
type Manifest struct {
	Core       Core        `json:"core"`
	Head       Head        `json:"head"`
	Payload    Payload     `json:"payload"`
	Frames     []Frame     `json:"frames,omitempty"`     // plain payloads only
	Encryption *Encryption `json:"encryption,omitempty"` // encrypted payloads only
	Ack        *Ack        `json:"ack,omitempty"`        // nil: nothing known of the receiver's log
	Signers    []string    `json:"signers"`              // key ids, in the order of the signatures
	NextKey    string      `json:"next_key,omitempty"`   // during a rotation, see [VerifierKey]
	CreatedAt  string      `json:"created_at"`           // for people only; see [FormatTime]
}

// Origin is the site whose log the bundle carries.
func (s Span) Origin() string {
	if s.Kind == Return {
		return s.To
	}
	return s.From
}

// Sign gives the signed note for a bundle file. It sets Signers to the signers'
// key ids, in their order. An error means the manifest breaks a rule of the
// format or no signer was given.
func (m Manifest) Sign(signers ...*Signer) ([]byte, error) {
	m.Signers = make([]string, len(signers))
	asNote := make([]note.Signer, len(signers))
	for i, s := range signers {
		m.Signers[i], asNote[i] = s.KeyID(), s
	}
	if err := m.check(); err != nil {
		return nil, failWith(Refused, "manifest not signed, nothing was written", err)
	}
	text, err := m.text()
	if err != nil {
		return nil, failWith(Refused, "manifest not signed, nothing was written", err)
	}
	return note.Sign(&note.Note{Text: string(text)}, asNote...)
}

// text is the one encoding of a manifest: two spaces of indentation, ASCII, LF.
func (m Manifest) text() ([]byte, error) {
	b, err := json.Marshal(m, jsontext.WithIndent("  "))
	return append(b, '\n'), err
}

// ParseManifest reads a manifest's text (without signatures): strictly the bytes
// that writing it again gives. A newer format gives [Upgrade], anything else that
// is not format 1 gives [Damaged].
func ParseManifest(text []byte) (Manifest, error) {
	var m Manifest
	if isNewer(text) {
		return m, fail(Upgrade, "made in a newer format: upgrade this site first")
	}
	err := json.Unmarshal(text, &m, json.RejectUnknownMembers(true))
	if err != nil {
		return Manifest{}, failWith(Damaged, "manifest is not strict JSON of format 1", err)
	}
	again, err := m.text()
	if err != nil || !bytes.Equal(text, again) {
		return Manifest{}, failWith(Damaged, "manifest is not in its one encoding", err)
	}
	if err := m.check(); err != nil {
		return Manifest{}, failWith(Damaged, "manifest breaks a rule of format 1", err)
	}
	return m, nil
}

var newerShape = regexp.MustCompile(`\A\{\n  "core": \{\n    "format": "sallyport-bundle/([1-9][0-9]{0,3})"`)

// isNewer reports whether text opens as a manifest of a later format would. All
// later formats keep these first lines and the signed note around them.
func isNewer(text []byte) bool {
	m := newerShape.FindSubmatch(text)
	return m != nil && string(m[1]) != "1"
}
