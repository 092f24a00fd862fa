package bundle

import (
	"bytes"
	"crypto/ed25519"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"

	"golang.org/x/mod/sumdb/note"
)

// The signed note of C2SP (c2sp.org/signed-note), which golang.org/x/mod/sumdb/note
// implements. Its reader skips what it does not know and takes base64 with slack
// bits, as a note may be relayed; a bundle is not, so parseNote takes one form only.

// maxSigners bounds the signatures of one manifest: two during a rotation, a
// few of people who countersign.
const maxSigners = 16

// Trust finds the public key for a key id "<name>+<hash>" as [KeyID] makes it,
// in the caller's own trust store; false if it is not trusted.
type Trust func(keyID string) (ed25519.PublicKey, bool)

// Signer signs manifests with one Ed25519 key (RFC 8032) under a name.
type Signer struct {
	name string
	hash uint32
	key  ed25519.PrivateKey
}

// NewSigner gives a signer. The name is the site's, or that of a person who
// countersigns: [a-z0-9-], 1 to 32.
func NewSigner(name string, key ed25519.PrivateKey) (*Signer, error) {
	if len(key) != ed25519.PrivateKeySize {
		return nil, fmt.Errorf("a signing key has %d bytes, this one %d", ed25519.PrivateKeySize, len(key))
	}
	pub, ok := key.Public().(ed25519.PublicKey)
	if !ok || !isSite(name) {
		return nil, fmt.Errorf("%q is no name for a signer: use 1 to 32 of a-z, 0-9 and -", name)
	}
	v, err := verifier(name, pub)
	if err != nil {
		return nil, err
	}
	return &Signer{name: name, hash: v.KeyHash(), key: key}, nil
}

// Name implements [note.Signer].
func (s *Signer) Name() string { return s.name }

// KeyHash implements [note.Signer].
func (s *Signer) KeyHash() uint32 { return s.hash }

// Sign implements [note.Signer].
func (s *Signer) Sign(msg []byte) ([]byte, error) { return ed25519.Sign(s.key, msg), nil }

// KeyID gives the signer's entry in a manifest's signers, see [KeyID].
func (s *Signer) KeyID() string { return keyID(s) }

// KeyID gives "<name>+<8 hex digits>", the short name of a public key: what
// stands in a manifest's signers and what [Trust] is asked for. The digits are
// the key hash of C2SP signed-note; "" if name or key cannot be one.
func KeyID(name string, key ed25519.PublicKey) string {
	v, err := verifier(name, key)
	if err != nil {
		return ""
	}
	return keyID(v)
}

// VerifierKey gives the whole public key in the form of C2SP signed-note,
// "<name>+<hash>+<base64>": what stands in a manifest's next_key and a site card.
func VerifierKey(name string, key ed25519.PublicKey) (string, error) {
	if !isSite(name) {
		return "", fmt.Errorf("%q is no name for a key: use 1 to 32 of a-z, 0-9 and -", name)
	}
	return note.NewEd25519VerifierKey(name, key)
}

// ParseVerifierKey reads what [VerifierKey] writes and nothing else.
func ParseVerifierKey(s string) (name string, key ed25519.PublicKey, err error) {
	if _, err = note.NewVerifier(s); err != nil {
		return "", nil, err
	}
	name, rest, _ := strings.Cut(s, "+")
	_, b64, _ := strings.Cut(rest, "+")
	raw, err := base64.StdEncoding.Strict().DecodeString(b64)
	if err != nil {
		return "", nil, err
	}
	key = raw[1:] // the first byte is the algorithm, checked by NewVerifier
	if again, err := VerifierKey(name, key); err != nil || again != s {
		return "", nil, errors.New("verifier key is not in its one form")
	}
	return name, key, nil
}

func verifier(name string, key ed25519.PublicKey) (note.Verifier, error) {
	s, err := VerifierKey(name, key)
	if err != nil {
		return nil, err
	}
	return note.NewVerifier(s)
}

func keyID(k interface {
	Name() string
	KeyHash() uint32
}) string {
	return fmt.Sprintf("%s+%08x", k.Name(), k.KeyHash())
}

// signature is one line below a note's text.
type signature struct {
	keyID string
	name  string
	sig   []byte // 64 bytes
}

var errNote = errors.New("malformed signed note")

// parseNote splits a note into text (with its last LF) and signatures, taking
// exactly the form that note.Sign writes.
func parseNote(raw []byte) (text []byte, sigs []signature, err error) {
	split := bytes.LastIndex(raw, []byte("\n\n"))
	if split < 0 || raw[len(raw)-1] != '\n' || split+2 == len(raw) {
		return nil, nil, errNote
	}
	for line := range bytes.Lines(raw[split+2:]) {
		s, err := parseSignature(string(bytes.TrimSuffix(line, []byte("\n"))))
		if err != nil || len(sigs) == maxSigners {
			return nil, nil, errNote
		}
		sigs = append(sigs, s)
	}
	return raw[:split+1], sigs, nil
}

func parseSignature(line string) (signature, error) {
	rest, ok := strings.CutPrefix(line, "— ")
	name, b64, ok2 := strings.Cut(rest, " ")
	if !ok || !ok2 || !isSite(name) {
		return signature{}, errNote
	}
	raw, err := base64.StdEncoding.DecodeString(b64)
	if err != nil || len(raw) != 4+ed25519.SignatureSize || base64.StdEncoding.EncodeToString(raw) != b64 {
		return signature{}, errNote // the last: slack bits, and the CR that DecodeString skips
	}
	id := fmt.Sprintf("%s+%08x", name, binary.BigEndian.Uint32(raw))
	return signature{keyID: id, name: name, sig: raw[4:]}, nil
}

// valid reports whether key made s over text. The key must be the one that the
// id names: a trust store that answers with another is a fault, not a match.
func (s signature) valid(text []byte, key ed25519.PublicKey) bool {
	return KeyID(s.name, key) == s.keyID && ed25519.Verify(key, text, s.sig)
}

// SignNote signs a text that is no manifest. It ends with LF and has no empty line.
func SignNote(text []byte, signers ...*Signer) ([]byte, error) {
	asNote := make([]note.Signer, len(signers))
	for i, s := range signers {
		asNote[i] = s
	}
	return note.Sign(&note.Note{Text: string(text)}, asNote...)
}

// OpenNote reads what [SignNote] wrote, in its one form, and checks every
// signature by trusted keys; it gives the ids of the keys that signed. It fails
// with [Damaged] or [Untrusted].
func OpenNote(raw []byte, trust Trust) (text []byte, signers []string, err error) {
	if len(raw) == 0 {
		return nil, nil, failWith(Damaged, "the file is empty", errNote)
	}
	text, sigs, err := parseNote(raw)
	if err != nil {
		return nil, nil, failWith(Damaged, "the file is no signed note", err)
	}
	for _, s := range sigs {
		key, known := trust(s.keyID)
		if !known {
			return nil, nil, fail(Untrusted, "signed by a key that is not trusted here: "+s.keyID)
		}
		if !s.valid(text, key) {
			return nil, nil, fail(Untrusted, "signature does not fit the text: "+s.keyID)
		}
		signers = append(signers, s.keyID)
	}
	return text, signers, nil
}
