package bridge

import (
	"sync"

	"sallyport/bridge/bundle"
)

// idle remembers, for each peer, how far the log was read beyond the last
// bundle without finding an event that crosses: a long tail of withheld events
// is read once, not at every turn. It is lost with the program and then made
// again by reading.
type idle struct {
	mu   sync.Mutex
	read map[string]tail
}

// tail is a run of withheld positions at the end of the log.
type tail struct {
	run
	chainAfter   bundle.Hash
	chainThrough bundle.Hash
}

// remember notes a plan in which nothing crosses.
func (i *idle) remember(p *plan) {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.read == nil {
		i.read = map[string]tail{}
	}
	i.read[p.Peer] = tail{run: run{After: p.After, Through: p.Through}, chainAfter: p.ChainAfter, chainThrough: p.ChainThrough}
}

// resume lets a plan that was just begun go on from the tail's end, if the
// tail begins where the plan does.
func (i *idle) resume(p *plan) {
	i.mu.Lock()
	defer i.mu.Unlock()
	t, ok := i.read[p.Peer]
	if !ok || t.After != p.After || t.chainAfter != p.ChainAfter || t.Through == t.After {
		return
	}
	p.Runs, p.Withheld = []run{t.run}, t.Through-t.After
	p.Through, p.ChainThrough = t.Through, t.chainThrough
}

// through is the last position known not to cross after a bundle that ended
// at after.
func (i *idle) through(peer string, after int64) int64 {
	i.mu.Lock()
	defer i.mu.Unlock()
	if t, ok := i.read[peer]; ok && t.After == after {
		return t.Through
	}
	return after
}
