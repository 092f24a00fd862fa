package simulate

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"strings"
)

// Action is one step of a schedule.
type Action struct {
	Do string `json:"do"`
	// At is the site that acts, or from which a file is carried; To the peer.
	At string `json:"at,omitempty"`
	To string `json:"to,omitempty"`
	// N is how many events, or which file.
	N int `json:"n,omitempty"`
	// Toward has a bit for each peer of each event: whether it may go there.
	Toward uint `json:"toward,omitempty"`
	// Crash ends the program after so many steps; 0: it runs to its end.
	Crash int `json:"crash,omitempty"`
	// Hand says that a person runs an export, or that a restored site is told so.
	Hand bool `json:"hand,omitempty"`
}

// What an action may do.
const (
	Append  = "append"  // N events at At; the bits of Toward say which may go to whom
	Export  = "export"  // At writes what is due for To
	Import  = "import"  // At takes in what lies in its inbox
	Carry   = "carry"   // one file of At's outbox is moved to To's inbox
	Copy    = "copy"    // the same, but it stays in the outbox too
	Lose    = "lose"    // one file of At's outbox is gone
	Damage  = "damage"  // it arrives at To with other bytes
	Delay   = "delay"   // it goes into a drawer
	Deliver = "deliver" // a file from the drawer arrives at To, right or wrong
	Replay  = "replay"  // a file that was once written arrives at To, right or wrong
	Backup  = "backup"  // At's database is copied
	Restore = "restore" // At's database is as it was when it was copied
)

// Plan says which faults a schedule may hold and between whom.
type Plan struct {
	Center  string   // the site that has a link with each of the others
	Others  []string // one or two
	Actions int
	// Restores lets databases be restored from backups.
	Restores bool
}

func (p Plan) sites() []string { return append([]string{p.Center}, p.Others...) }

// Generate returns the schedule of a seed: always the same one.
func (p Plan) Generate(seed uint64) []Action {
	r := rand.New(rand.NewPCG(seed, 0x5a11_9047)) //nolint:gosec // a schedule is to be made again, not to be unguessable
	weights := []struct {
		do     string
		weight int
	}{
		{Append, 16}, {Export, 22}, {Import, 20}, {Carry, 24}, {Copy, 5}, {Lose, 5}, {Damage, 4}, {Delay, 4}, {Deliver, 4}, {Replay, 3},
		{Backup, 2}, {Restore, 2},
	}
	if !p.Restores {
		weights = weights[:len(weights)-2]
	}
	total := 0
	for _, w := range weights {
		total += w.weight
	}
	actions := make([]Action, 0, p.Actions)
	for len(actions) < p.Actions {
		pick := r.IntN(total)
		for _, w := range weights {
			if pick -= w.weight; pick < 0 {
				actions = append(actions, p.action(r, w.do))
				break
			}
		}
	}
	return actions
}

func (p Plan) action(r *rand.Rand, do string) Action {
	a := Action{Do: do, N: r.IntN(8)}
	other := p.Others[r.IntN(len(p.Others))]
	if a.At, a.To = p.Center, other; r.IntN(2) == 0 {
		a.At, a.To = other, p.Center
	}
	switch do {
	case Append:
		a.N, a.Toward = 1+r.IntN(4), uint(r.Uint32())
	case Export, Import:
		if r.IntN(5) == 0 {
			a.Crash = 1 + r.IntN(12)
		}
		a.Hand = r.IntN(4) == 0
	case Deliver, Replay:
		if a.To = p.sites()[r.IntN(len(p.Others)+1)]; r.IntN(4) > 0 {
			a.To = "" // where it was addressed to
		}
		a.N = r.IntN(64)
	case Restore:
		a.Hand = r.IntN(2) == 0
	}
	return a
}

// Trace writes a schedule so that [ParseTrace] reads it: an action a line.
func Trace(actions []Action) string {
	var b strings.Builder
	for _, a := range actions {
		line, err := json.Marshal(a)
		if err != nil {
			panic(err) // strings and numbers always encode
		}
		b.Write(append(line, '\n'))
	}
	return b.String()
}

// ParseTrace reads what [Trace] wrote.
func ParseTrace(trace string) ([]Action, error) {
	var actions []Action
	for i, line := range strings.Split(strings.TrimSpace(trace), "\n") {
		var a Action
		if err := json.Unmarshal([]byte(line), &a); err != nil {
			return nil, fmt.Errorf("line %d of the trace: %w", i+1, err)
		}
		actions = append(actions, a)
	}
	return actions, nil
}
