package bridge_test

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"sallyport/bridge"
	"sallyport/bridge/bundle"
	"sallyport/domain"
)

// The program may die between any two steps; whoever comes next goes on.
func TestARotationThatWasCutOff(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name string
		cut  func(t *testing.T, keys, old, next string)
	}{
		{"before the files followed", func(t *testing.T, keys, old, next string) {
			rename(t, filepath.Join(keys, "signing.pem"), filepath.Join(keys, "signing-next-"+next+".pem"))
			rename(t, filepath.Join(keys, "signing-old-"+old+".pem"), filepath.Join(keys, "signing.pem"))
		}},
		{"when the old key had two names", func(t *testing.T, keys, old, next string) {
			rename(t, filepath.Join(keys, "signing.pem"), filepath.Join(keys, "signing-next-"+next+".pem"))
			if err := os.Link(filepath.Join(keys, "signing-old-"+old+".pem"), filepath.Join(keys, "signing.pem")); err != nil {
				t.Fatal(err)
			}
		}},
		{"before the card was written", func(*testing.T, string, string, string) {}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			field, core := pair(t)
			settle(t, field, core)
			before := ownKeys(t, field.Bridge)
			card := field.Card().Encode()
			field.rotate(t)
			settle(t, field, core)
			after := ownKeys(t, field.Bridge)
			c.cut(t, filepath.Join(field.dir, "keys"), part(before.KeyID), part(after.KeyID))
			if err := os.WriteFile(filepath.Join(field.dir, "site-card.json"), card, 0o600); err != nil {
				t.Fatal(err)
			}
			again := field.secondThatSignsBy(t, after.KeyID)
			rotated(t, field, before, after)
			if k := ownKeys(t, again); k.KeyID != after.KeyID || again.Card() != field.Card() {
				t.Errorf("the keys are %+v", k)
			}
		})
	}
}

// secondThatSignsBy starts another program of the site and has it sign: by one
// key alone.
func (e *end) secondThatSignsBy(t *testing.T, keyID string) *bridge.Bridge {
	t.Helper()
	again := e.second(t)
	e.submit(t)
	out, err := again.Export(t.Context(), "core", "cli:test")
	if err != nil || len(out) != 1 {
		t.Fatalf("%+v, %v", out, err)
	}
	signedBy(t, manifestOf(t, read(t, e, "outbox/"+out[0].File)), "", keyID)
	return again
}

func part(keyID string) string {
	_, part, _ := strings.Cut(keyID, "+")
	return part
}

func rename(t *testing.T, from, to string) {
	t.Helper()
	if err := os.Rename(from, to); err != nil {
		t.Fatal(err)
	}
}

// A next key that was made and told to nobody signs nothing, and is used by the
// rotation that begins.
func TestANextKeyThatWasLeftBehind(t *testing.T) {
	t.Parallel()
	field, core := pair(t)
	settle(t, field, core)
	spare := newPeer(t, "field", domain.RequestSite)
	_, key, err := bundle.ParseVerifierKey(spare.card.Key)
	if err != nil {
		t.Fatal(err)
	}
	id := bundle.KeyID("field", key)
	data := read(t, field, "keys/signing.pem")
	if err := os.WriteFile(filepath.Join(field.dir, "keys", "signing-next-"+part(id)+".pem"), spare.pem(t), 0o600); err != nil {
		t.Fatal(err)
	}
	field.submit(t)
	signedBy(t, manifestOf(t, read(t, field, "outbox/"+field.exportOne(t, "core").File)), "", ownKeys(t, field.Bridge).KeyID)
	field.rotate(t)
	if r := ownKeys(t, field.Bridge).Rotation; r == nil || r.NextID != id || r.Next != spare.card.Key {
		t.Errorf("the rotation goes to %+v, want %s", r, id)
	}
	if string(read(t, field, "keys/signing.pem")) != string(data) {
		t.Error("the present key changed")
	}
}

// The folder of the keys is older than the log: nothing is signed with a key
// that peers may refuse, and the error shows no secret.
func TestANextKeyThatWasLost(t *testing.T) {
	t.Parallel()
	field, core := pair(t)
	settle(t, field, core)
	field.rotate(t)
	lost, err := filepath.Glob(filepath.Join(field.dir, "keys", "signing-next-*"))
	if err != nil || len(lost) != 1 {
		t.Fatalf("%q, %v", lost, err)
	}
	if err := os.Remove(lost[0]); err != nil {
		t.Fatal(err)
	}
	before := field.names(t, "outbox")
	_, err = field.Export(t.Context(), "core", "cli:test")
	if err == nil || !strings.Contains(err.Error(), lost[0]) || strings.Contains(err.Error(), "PRIVATE") {
		t.Errorf("the error is %v", err)
	}
	if _, err := field.FinishRotation(t.Context(), "cli:test"); err == nil {
		t.Error("it was finished without the key")
	}
	if got := field.names(t, "outbox"); !slices.Equal(got, before) {
		t.Errorf("written: %q", got)
	}
}

// A database that was restored to the middle of a rotation that was finished
// since goes by the key that is there.
func TestARotationThatTheDatabaseForgotToFinish(t *testing.T) {
	t.Parallel()
	field, core := pair(t)
	settle(t, field, core)
	field.rotate(t)
	settle(t, field, core)
	after := ownKeys(t, field.Bridge)
	if _, err := field.site.Owner.Exec(t.Context(), `UPDATE key_rotations SET finished_at = NULL, finished_by = NULL; DELETE FROM key_announcements`); err != nil {
		t.Fatal(err)
	}
	again := field.secondThatSignsBy(t, after.KeyID)
	if k := ownKeys(t, again); k.Rotation != nil || k.KeyID != after.KeyID {
		t.Errorf("the keys are %+v", k)
	}
}
