package reactor

import (
	"testing"

	"github.com/ThreeDotsLabs/watermill"

	"sallyport/eventstore/eventstoretest"
)

// Who is behind reads on at once; who is not, or has no place to read from,
// lets others work.
func TestWhoIsBehindDoesNotPause(t *testing.T) {
	t.Parallel()
	site := eventstoretest.New(t, eventstoretest.Setup{})
	for name, c := range map[string]struct {
		behind int64
		cut    bool
		noMsg  bool
		pauses bool
	}{
		"a page behind":                     {pageEvents, false, false, false},
		"nearly a page behind":              {pageEvents - 1, false, false, true},
		"a few large events behind":         {2, true, false, false},
		"behind, and another process reads": {pageEvents, true, true, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := &pace{ctx: t.Context(), log: site.Store, read: &progress{site.Store.Seen() - c.behind, c.cut}}
			p.HandleError(watermill.NopLogger{}, c.noMsg, nil) // the first look comes at any time
			p.seen = 0                                         // the log has grown since
			if pause := p.HandleError(watermill.NopLogger{}, c.noMsg, nil); (pause > 0) != c.pauses {
				t.Errorf("it pauses for %s", pause)
			}
		})
	}
}
