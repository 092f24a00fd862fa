package bundle_test

import (
	"fmt"
	"slices"
	"testing"

	"filippo.io/age"

	"sallyport/bridge/bundle"
)

// small gives one plain and one encrypted bundle that hold everything a bundle can.
func small(t *testing.T) map[string]struct {
	raw []byte
	id  age.Identity
} {
	t.Helper()
	lines := events(0, 4)
	r := recipe{
		items:   []item{{line: lines[0]}, {run: lines[1:3]}, {line: lines[3]}},
		signers: []string{"field"},
		change: func(m *bundle.Manifest) {
			m.Ack = &bundle.Ack{Epoch: epoch, Incarnation: salt, No: 3, Seq: 2, Position: 9, Missing: []int64{3},
				Rejected: []bundle.Rejection{{Seq: 4, Code: bundle.Damaged}}, Understands: []string{"request.submitted.v1"}}
		},
	}
	plain := r.file(t)
	id := identity(t)
	r.recipients = []string{id.Recipient().String()}
	return map[string]struct {
		raw []byte
		id  age.Identity
	}{"plain": {plain, nil}, "encrypted": {r.file(t), id}}
}

func identities(id age.Identity) []age.Identity {
	if id == nil {
		return nil
	}
	return []age.Identity{id}
}

func TestAppendedByteIsRefused(t *testing.T) {
	t.Parallel()
	for name, b := range small(t) {
		for c := range 256 {
			raw := append(slices.Clone(b.raw), byte(c))
			_, err := read(raw, bundle.Limits{}, trusting("field"), identities(b.id)...)
			if bundle.CodeOf(err) != bundle.Damaged {
				t.Fatalf("%s with %#x at its end: %v", name, c, err)
			}
		}
	}
}

func TestDamageNamesTheFrame(t *testing.T) {
	t.Parallel()
	r := recipe{items: plainItems(events(0, 40)), limits: bundle.Limits{Frame: 1 << 10}}
	raw := r.file(t)
	signed, payload := cut(raw)
	f := open(t, raw)
	for i, fr := range f.Manifest().Frames {
		broken := slices.Clone(payload)
		broken[fr.Offset+fr.Bytes/2] ^= 4
		_, err := read(join(t, signed, broken), bundle.Limits{}, trusting("field"))
		wantCode(t, err, bundle.Damaged, fmt.Sprintf("frame %d position %d", i+1, fr.First))
	}
}
