package bridge_test

import (
	"fmt"
	"slices"
	"testing"

	"sallyport/bridge"
)

func (e *end) listed(t *testing.T, f bridge.BundleFilter) (all []bridge.Listed) {
	t.Helper()
	for {
		page, next, err := e.BundlesPage(t.Context(), f)
		if err != nil || f.Limit > 0 && len(page) > f.Limit {
			t.Fatalf("%d bundles, %v", len(page), err)
		}
		all = append(all, page...)
		if f.Cursor = next; next == "" {
			return all
		}
	}
}

func short(all []bridge.Listed) (got []string) {
	for _, l := range all {
		got = append(got, fmt.Sprintf("%s %s %d %s", l.Direction, l.Peer, l.Seq, l.State))
	}
	return got
}

func TestBundlesAreListedByPages(t *testing.T) {
	t.Parallel()
	field, core := pair(t)
	for range 3 {
		field.submit(t)
		carry(t, field, core, field.exportOne(t, "core").File)
	}
	core.expect(t, bridge.Applied, bridge.Applied, bridge.Applied)
	out := core.exportAll(t, "field")
	carry(t, core, field, out[len(out)-1].File)
	field.receive(t)
	field.submit(t)
	field.exportOne(t, "core")
	want := []string{"out core 4 exported", "in core 1 archived", "out core 3 acknowledged", "out core 2 acknowledged", "out core 1 acknowledged"}
	for _, limit := range []int{0, 1, 2, 4, 5, 6} {
		if got := short(field.listed(t, bridge.BundleFilter{Page: bridge.Page{Limit: limit}})); !slices.Equal(got, want) {
			t.Errorf("by pages of %d: %q, want %q", limit, got, want)
		}
	}
	for _, c := range []struct {
		filter bridge.BundleFilter
		want   []string
	}{
		{bridge.BundleFilter{Direction: "in"}, want[1:2]},
		{bridge.BundleFilter{Direction: "out", Page: bridge.Page{Limit: 2}}, []string{want[0], want[2], want[3], want[4]}},
		{bridge.BundleFilter{State: "exported"}, want[:1]},
		{bridge.BundleFilter{State: "acknowledged", Direction: "out", Page: bridge.Page{Limit: 1}}, want[2:]},
		{bridge.BundleFilter{Peer: "core", State: "held"}, nil},
		{bridge.BundleFilter{Peer: "moon"}, nil},
	} {
		if got := short(field.listed(t, c.filter)); !slices.Equal(got, c.want) {
			t.Errorf("%+v lists %q, want %q", c.filter, got, c.want)
		}
	}
	if l := field.listed(t, bridge.BundleFilter{})[0]; l.File == "" || l.ID == "" || l.Since == "" {
		t.Errorf("%+v", l)
	}
}
