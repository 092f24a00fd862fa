package bundle

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"strings"

	"filippo.io/age"
)

// MakeProof joins what shows that a [Return] gives back what its origin once
// sent: the first line of the payload that brought it, without LF, and the
// signed manifest over it. With the lines of the range they are that payload
// again, byte by byte, and the manifest holds its hash. The chain alone would
// not do: after a withheld run it begins where the run says.
func MakeProof(first, signed []byte) string { return string(first) + "\n" + string(signed) }

// Proved reads a [Return] whole and checks that its lines are exactly what their
// origin, whose keys trust knows, signed once for the site that now returns
// them. It gives that manifest. Without VerifyPayload before it, it fails.
func (f *File) Proved(ctx context.Context, trust Trust, identities ...age.Identity) (Manifest, error) {
	returned, err := f.First(ctx, identities...)
	if err != nil {
		return Manifest{}, err
	}
	line, signed, ok := strings.Cut(returned.Proof, "\n")
	if !ok {
		return Manifest{}, fail(Untrusted, "it proves nothing: there is no manifest of this site in it")
	}
	m, err := OpenManifest([]byte(signed), trust)
	if err != nil {
		return Manifest{}, failWith(Untrusted, "the manifest that shall prove it is not this site's own", err)
	}
	first, err := parseFirst([]byte(line))
	if err != nil || first.Span != m.Core.Span {
		return Manifest{}, failWith(Untrusted, "the first line that shall prove it does not belong to its manifest", errors.Join(errFirst, err))
	}
	if err := returned.Span.returns(m.Core.Span); err != nil {
		return Manifest{}, failWith(Untrusted, "the manifest that shall prove it is about something else", err)
	}
	return m, f.sameAs(ctx, m.Core, line, identities)
}

// returns checks that a returned range is that of the data bundle that once
// went the other way.
func (s Span) returns(sent Span) error {
	return errors.Join(
		rule(s.Kind == Return && sent.Kind == Data, "it is no return of a bundle of data"),
		rule(sent.From == s.To && sent.To == s.From, "it went between other sites"),
		rule(sent.Epoch == s.Epoch && sent.Range == s.Range && sent.Chain == s.Chain, "it has another epoch, range or chain"),
	)
}

// sameAs makes the payload of a manifest again and compares its hash.
func (f *File) sameAs(ctx context.Context, sent Core, first string, identities []age.Identity) error {
	h, n := sha256.New(), int64(len(first)+1)
	_, _ = h.Write([]byte(first + "\n")) // a hash never fails
	for line, err := range f.Lines(ctx, identities...) {
		if err != nil {
			return err
		}
		n += int64(len(line.Raw) + 1)
		_, _ = h.Write(line.Raw)
		_, _ = h.Write([]byte{'\n'})
	}
	if n != sent.PlainBytes || !bytes.Equal(h.Sum(nil), sent.PlainSHA256[:]) {
		return fail(Untrusted, "its lines are not those that this site signed")
	}
	return nil
}

// OpenManifest reads a signed manifest that was kept without its payload, as
// strictly as [Open], and checks its signatures as [File.VerifySignatures] does.
func OpenManifest(signed []byte, trust Trust) (Manifest, error) {
	f, err := openManifest(signed)
	if err != nil {
		return Manifest{}, err
	}
	return f.manifest, f.VerifySignatures(trust)
}

// ReadManifest reads a signed manifest that was verified before it was kept.
func ReadManifest(signed []byte) (Manifest, error) {
	f, err := openManifest(signed)
	if err != nil {
		return Manifest{}, err
	}
	return f.manifest, nil
}
