package bundle

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"strings"
)

// File is a bundle being read. Its steps must be taken in order and each may be
// taken again; after a step failed, the later ones fail too. One goroutine at a
// time may use it.
type File struct {
	r        io.ReaderAt
	size     int64
	limits   Limits
	manifest Manifest
	signed   []byte
	text     []byte
	sigs     []signature
	newer    bool
	done     step
}

type step int

const (
	opened step = iota
	trusted
	whole
)

// WriteFile writes a bundle file: the signed manifest (see [Manifest.Sign]) in its
// frame, then the payload. The caller syncs, and re-reads what it publishes.
func WriteFile(w io.Writer, signed []byte, payload io.Reader) (int64, error) {
	n, err := w.Write(appendSkippable(nil, signed))
	if err != nil {
		return int64(n), fmt.Errorf("write the bundle's manifest: %w", err)
	}
	m, err := io.Copy(w, payload)
	if err != nil {
		return int64(n) + m, fmt.Errorf("write the bundle's payload at byte %d: %w", m, err)
	}
	return int64(n) + m, nil
}

// Open reads the manifest of a bundle of size bytes, strictly, and nothing else.
// Nothing in it may be believed before VerifySignatures. It fails with
// [Incomplete] for a file that ends inside its manifest, else with [Damaged], or
// [Refused] for a file over the size limit.
func Open(r io.ReaderAt, size int64, limits Limits) (*File, error) {
	f := &File{r: r, size: size, limits: limits.orDefault()}
	if size > f.limits.File {
		return nil, fail(Refused, "file is over the size limit")
	}
	signed, err := f.readManifest()
	if err != nil {
		return nil, err
	}
	m, err := openManifest(signed)
	if err != nil {
		return nil, err
	}
	m.r, m.size, m.limits = f.r, f.size, f.limits.of(m.manifest.Core.Kind)
	return m, nil
}

// openManifest parses a signed manifest, strictly.
func openManifest(signed []byte) (*File, error) {
	f := &File{signed: signed}
	var err error
	if f.text, f.sigs, err = parseNote(f.signed); err != nil {
		return nil, failWith(Damaged, "manifest cannot be read", err)
	}
	f.manifest, err = ParseManifest(f.text)
	if f.newer = CodeOf(err) == Upgrade; f.newer {
		return f, nil // told by VerifySignatures, once a trusted key vouches for it
	}
	if err != nil {
		return nil, err
	}
	if err := f.signersMatch(); err != nil {
		return nil, err
	}
	return f, nil
}

func (f *File) readManifest() ([]byte, error) {
	var head [skippableSize]byte
	n, err := f.r.ReadAt(head[:min(f.size, skippableSize)], 0)
	if err != nil && !(errors.Is(err, io.EOF) && n == int(min(f.size, skippableSize))) {
		return nil, fmt.Errorf("read the bundle: %w", err)
	}
	magic := binary.LittleEndian.AppendUint32(nil, skippableMagic)
	if !bytes.HasPrefix(head[:n], magic[:min(n, 4)]) {
		return nil, fail(Damaged, "file does not begin as a bundle")
	}
	if n < skippableSize {
		return nil, fail(Incomplete, "file ends before its manifest")
	}
	length := int64(binary.LittleEndian.Uint32(head[4:]))
	if length == 0 || length > int64(f.limits.Manifest) {
		return nil, fail(Damaged, "length of the manifest is over its limit or 0")
	}
	if length > f.size-skippableSize {
		return nil, fail(Incomplete, "file ends inside its manifest")
	}
	signed := make([]byte, length)
	if n, err := f.r.ReadAt(signed, skippableSize); n < len(signed) {
		return nil, fmt.Errorf("read the bundle's manifest: %w", err)
	}
	return signed, nil
}

// signersMatch holds that the signatures are those the signed text lists, in
// its order: none was stripped, added or moved.
func (f *File) signersMatch() error {
	same := len(f.sigs) == len(f.manifest.Signers)
	for i := 0; same && i < len(f.sigs); i++ {
		same = f.sigs[i].keyID == f.manifest.Signers[i]
	}
	if !same {
		return fail(Untrusted, "signatures are not those that the manifest lists")
	}
	return nil
}

// Manifest gives what the file says about itself. Before VerifySignatures it is a
// claim, good for messages only. It is empty if the format is newer than this program.
func (f *File) Manifest() Manifest { return f.manifest }

// Signed gives the manifest as it stands in the file, a signed note that can be
// kept as evidence. It must not be changed.
func (f *File) Signed() []byte { return f.signed }

// Size is how long the file says that it is, as unproven as the manifest.
func (f *File) Size() int64 { return f.payloadAt() + f.manifest.Payload.Bytes }

// VerifySignatures checks every signature of the manifest against the caller's
// trust store. At least one must be by a trusted key named as the sender is, and
// none may be wrong or by an unknown key, except the sender's next_key during a
// rotation. It fails with [Untrusted], or [Upgrade] if a trusted key has signed
// a newer format.
func (f *File) VerifySignatures(trust Trust) error {
	f.done = opened
	sender := false
	for _, s := range f.sigs {
		key, known := trust(s.keyID)
		if !known {
			if key, known = f.nextKey(s.keyID); !known {
				return fail(Untrusted, "signed by a key that is not trusted here: "+s.keyID)
			}
		} else if s.name == f.manifest.Core.From || f.newer {
			sender = true
		}
		if !s.valid(f.text, key) {
			return fail(Untrusted, "signature does not fit the manifest: "+s.keyID)
		}
	}
	if !sender {
		return fail(Untrusted, "no trusted key of the sender has signed the manifest")
	}
	if f.newer {
		return fail(Upgrade, "made in a newer format: upgrade this site first")
	}
	f.done = trusted
	return nil
}

// nextKey is the key of a rotation: the manifest brings it, and counts as
// believed because a trusted key signs the same text.
func (f *File) nextKey(id string) (ed25519.PublicKey, bool) {
	if f.manifest.NextKey == "" || !strings.HasPrefix(f.manifest.NextKey, id+"+") {
		return nil, false
	}
	_, key, err := ParseVerifierKey(f.manifest.NextKey)
	return key, err == nil
}

// VerifyPayload reads every byte after the manifest and compares length and
// SHA-256 with it. After it the file is verified: it is what the sender made.
// It fails with [Incomplete] or [Damaged].
func (f *File) VerifyPayload() error {
	if f.done < trusted {
		return errOrder
	}
	f.done = trusted
	want, have := f.manifest.Payload, f.size-f.payloadAt()
	switch {
	case have < want.Bytes:
		return fail(Incomplete, fmt.Sprintf("file ends %d bytes early", want.Bytes-have))
	case have > want.Bytes:
		return fail(Damaged, fmt.Sprintf("file goes on for %d bytes after its end", have-want.Bytes))
	case f.manifest.Core.PlainBytes > f.limits.Plain:
		return failWith(Refused, "bundle is too large", errPlain)
	}
	h := sha256.New()
	n, err := io.CopyBuffer(h, struct{ io.Reader }{f.payload()}, make([]byte, 256<<10))
	if err == nil && n < want.Bytes {
		err = io.ErrUnexpectedEOF
	}
	if err != nil {
		return fmt.Errorf("read the bundle's payload at byte %d: %w", n, err)
	}
	if Hash(h.Sum(nil)) != want.SHA256 {
		return f.findDamage()
	}
	f.done = whole
	return nil
}

// findDamage names the first frame that is not what the manifest says; an
// encrypted payload has no frames to name.
func (f *File) findDamage() error {
	for i, fr := range f.manifest.Frames {
		h := sha256.New()
		if _, err := io.Copy(h, io.NewSectionReader(f.r, f.payloadAt()+fr.Offset, fr.Bytes)); err != nil {
			return fmt.Errorf("read the bundle's frame %d: %w", i+1, err)
		}
		if Hash(h.Sum(nil)) != fr.SHA256 {
			return &Error{Code: Damaged, Frame: i + 1, Position: fr.First, Msg: "bytes of the frame are not what was signed"}
		}
	}
	return fail(Damaged, "bytes of the payload are not what was signed")
}

func (f *File) payloadAt() int64 { return skippableSize + int64(len(f.signed)) }

func (f *File) payload() *io.SectionReader {
	return io.NewSectionReader(f.r, f.payloadAt(), f.manifest.Payload.Bytes)
}

var errOrder = errors.New("a bundle is read in a fixed order: signatures, payload, lines")
