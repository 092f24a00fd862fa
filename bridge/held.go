package bridge

import (
	"maps"
	"slices"
	"sync"

	"sallyport/bridge/bundle"
)

// held remembers what was said of the staged files that wait, so that a look at
// the inbox does not read all of them again while nothing has changed.
type held struct {
	mu    sync.Mutex
	files map[string]verdict
}

// verdict is an outcome and the state of the link that it was reached in.
type verdict struct {
	outcome Outcome
	at      standing
}

// standing is all of a link that decides whether a bundle must wait; zero for
// a bundle whose sender this program cannot read.
type standing struct {
	card    Card
	through int64
	chain   bundle.Hash
	stopped string
}

func standingOf(links []Link, peer string) standing {
	for _, l := range links {
		if l.Card.Name == peer {
			return standing{card: l.Card, through: l.In.Through, chain: l.In.Chain, stopped: l.Stopped}
		}
	}
	return standing{}
}

// still returns the outcome of a staged file if nothing changed since.
func (h *held) still(staged string, links []Link) (Outcome, bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	v, ok := h.files[staged]
	return v.outcome, ok && v.at == standingOf(links, v.outcome.Peer)
}

func (h *held) add(staged string, o Outcome, links []Link) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.files == nil {
		h.files = map[string]verdict{}
	}
	h.files[staged] = verdict{outcome: o, at: standingOf(links, o.Peer)}
}

// keep forgets all but the given files.
func (h *held) keep(staged []string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	maps.DeleteFunc(h.files, func(name string, _ verdict) bool { return !slices.Contains(staged, name) })
}
