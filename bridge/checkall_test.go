package bridge_test

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"sallyport/bridge"
	"sallyport/bridge/bundle"
	"sallyport/domain"
)

// Lines are checked many at a time; whatever is bad behind it, the first bad
// line is the one that is named.
func TestTheFirstBadLineIsNamed(t *testing.T) {
	t.Parallel()
	field := newPeer(t, "field", domain.RequestSite)
	for name, bad := range map[string][]int{
		"the first":         {0},
		"neighbours":        {7, 8, 9},
		"far from another":  {600, 601, 1400},
		"the batch's last":  {1023, 1024},
		"the batch's first": {1024},
		"the last":          {2499},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			events := make([]bundle.Event, 2500)
			for i := range events {
				events[i] = ask()
			}
			for _, i := range bad {
				events[i].Data = []byte(`{"type":"airport"}`)
			}
			_, data := forgery{from: field, events: events}.file(t)
			path := filepath.Join(t.TempDir(), "bundle")
			if err := os.WriteFile(path, data, 0o600); err != nil {
				t.Fatal(err)
			}
			r, err := bridge.Verify(t.Context(), path, bridge.VerifyConfig{Sender: field.card, Schemas: schemas(t)})
			var got *bundle.Error
			if !errors.As(err, &got) {
				t.Fatalf("%v, %+v", err, r)
			}
			// Line 1 of the payload is the bundle's own, position 1 is its first event.
			if got.Code != bundle.Refused || got.Position != int64(bad[0]+1) || got.Line != bad[0]+2 {
				t.Errorf("%v; want position %d on line %d", err, bad[0]+1, bad[0]+2)
			}
			if r.Events != int64(bad[0]) {
				t.Errorf("%d events came before it, want %d", r.Events, bad[0])
			}
		})
	}
}
