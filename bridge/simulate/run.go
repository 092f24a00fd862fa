package simulate

import (
	"errors"
	"fmt"
	"slices"

	"sallyport/bridge/link"
)

// File is one file as it lies in a folder, on a medium or in a drawer.
type File struct {
	From, To string // as addressed
	Content  any    // the world's own
}

// World is what a schedule acts on: sites with their logs, links and folders.
// Its errors are what was broken; a crash that the schedule asked for is none.
type World interface {
	// Append adds n events to a site's log; toward decides, from bits, which of
	// them may go to which peer.
	Append(site string, n int, toward uint) error
	Export(site, peer string, p link.Pressure, crash int) error
	Import(site string, crash int) error
	// Outbox returns what lies there for a peer, oldest first.
	Outbox(site, peer string) []File
	// Remove takes a file out of its sender's outbox.
	Remove(File)
	// Drop puts a file into a site's inbox.
	Drop(site string, f File)
	// Damaged returns the file with another byte somewhere.
	Damaged(f File, at int) File
	Backup(site string)
	Restore(site string, told bool)
	// Lagging says how far the link between two sites is from the end, in the
	// direction from the first to the second; nil when all has arrived and is
	// acknowledged.
	Lagging(from, to string) error
	// Lost reports whether one of two sites lost a part of its log. If the other
	// had applied some of it, the link must be stopped; else that is the error.
	Lost(one, other string) (bool, error)
}

// Rounds is how many rounds of a fair courier must be enough.
const Rounds = 6

// run is a schedule being executed.
type run struct {
	Plan
	world   World
	drawer  []File
	written []File
	untold  bool // a site was restored and not told so
}

// Run executes a schedule, then lets a fair courier carry until all has
// arrived, and returns what was broken.
func Run(p Plan, w World, actions []Action) error {
	r := &run{Plan: p, world: w}
	for i, a := range actions {
		if err := r.do(a); err != nil {
			return fmt.Errorf("action %d, %+v: %w", i+1, a, err)
		}
	}
	err := r.settle()
	// A site that was restored without being told, folders and all, may use the
	// numbers again that it forgot; it learns so from what its peers say later.
	for more := 2; err != nil && r.untold && more > 0; more-- {
		err = errors.Join(r.talk(), r.settle())
	}
	if err != nil {
		return err
	}
	return r.accuse()
}

func (r *run) do(a Action) error {
	switch a.Do {
	case Append:
		return r.world.Append(a.At, a.N, a.Toward)
	case Export:
		p := link.Turn
		if a.Hand {
			p = link.ByHand
		}
		defer r.note(a.At, a.To)
		return r.world.Export(a.At, a.To, p, a.Crash)
	case Import:
		return r.world.Import(a.At, a.Crash)
	case Backup:
		r.world.Backup(a.At)
	case Restore:
		r.world.Restore(a.At, a.Hand)
		r.untold = r.untold || !a.Hand
	case Deliver:
		if len(r.drawer) > 0 {
			i := a.N % len(r.drawer)
			f := r.drawer[i]
			r.drawer = slices.Delete(r.drawer, i, i+1)
			r.deliver(f, a.To)
		}
	case Replay:
		if len(r.written) > 0 {
			r.deliver(r.written[a.N%len(r.written)], a.To)
		}
	default:
		if files := r.world.Outbox(a.At, a.To); len(files) > 0 {
			r.move(a, files[a.N%len(files)])
		}
	}
	return nil
}

// move does to one file of an outbox what people do.
func (r *run) move(a Action, f File) {
	if a.Do != Copy {
		r.world.Remove(f)
	}
	switch a.Do {
	case Carry, Copy:
		r.world.Drop(a.To, f)
	case Damage:
		r.world.Drop(a.To, r.world.Damaged(f, a.N))
	case Delay:
		r.drawer = append(r.drawer, f)
	}
}

func (r *run) deliver(f File, to string) {
	if to == "" {
		to = f.To
	}
	r.world.Drop(to, f)
}

// note remembers what was written, for replays.
func (r *run) note(site, peer string) {
	if files := r.world.Outbox(site, peer); len(files) > 0 && len(r.written) < 64 {
		r.written = append(r.written, files[len(files)-1])
	}
}

// settle plays the fair courier: what is in drawers arrives now, and from then
// on everything that is written.
func (r *run) settle() error {
	for _, f := range r.drawer {
		r.deliver(f, "")
	}
	r.drawer = nil
	var lagging error
	for range Rounds {
		if err := r.round(link.Overdue); err != nil {
			return err
		}
		if lagging = r.lagging(); lagging == nil {
			return r.quiet()
		}
	}
	return fmt.Errorf("not converged after %d rounds: %w", Rounds, lagging)
}

// round lets every site take in, write, and have carried what it wrote.
func (r *run) round(p link.Pressure) error {
	for _, site := range r.sites() {
		if err := r.world.Import(site, 0); err != nil {
			return err
		}
	}
	for _, l := range r.links() {
		if err := r.world.Export(l[0], l[1], p, 0); err != nil {
			return err
		}
		for _, f := range r.world.Outbox(l[0], l[1]) {
			r.world.Remove(f)
			r.world.Drop(l[1], f)
		}
	}
	for _, site := range r.sites() {
		if err := r.world.Import(site, 0); err != nil {
			return err
		}
	}
	return nil
}

func (r *run) links() (all [][2]string) {
	for _, o := range r.Others {
		all = append(all, [2]string{r.Center, o}, [2]string{o, r.Center})
	}
	return all
}

func (r *run) lagging() error {
	for _, l := range r.links() {
		if lost, _ := r.world.Lost(l[0], l[1]); lost {
			continue
		}
		if err := r.world.Lagging(l[0], l[1]); err != nil {
			return err
		}
	}
	return nil
}

// talk gives every site one thing more to say.
func (r *run) talk() error {
	for _, site := range r.sites() {
		if err := r.world.Append(site, 1, ^uint(0)); err != nil {
			return err
		}
	}
	return nil
}

// accuse asserts that a site which lost events is found out as soon as it and
// its peers have talked once more.
func (r *run) accuse() error {
	for _, l := range r.links() {
		if lost, _ := r.world.Lost(l[0], l[1]); !lost {
			continue
		}
		if err := errors.Join(r.talk(), r.settle()); err != nil {
			return err
		}
		if _, err := r.world.Lost(l[0], l[1]); err != nil {
			return err
		}
	}
	return nil
}

// quiet asserts that a converged world has little left to say, and then
// nothing, even when people ask for it.
func (r *run) quiet() error {
	for range 3 {
		if err := r.round(link.Turn); err != nil {
			return err
		}
	}
	for _, l := range r.links() {
		if lost, _ := r.world.Lost(l[0], l[1]); lost {
			continue
		}
		if err := r.world.Export(l[0], l[1], link.ByHand, 0); err != nil {
			return err
		}
		if files := r.world.Outbox(l[0], l[1]); len(files) > 0 {
			return fmt.Errorf("%s still writes to %s though all has arrived and is acknowledged: %+v", l[0], l[1], files[0].Content)
		}
	}
	return r.lagging()
}

// Shrink returns a schedule as short as can be that still breaks something in
// a new world: actions are left out as long as the rest still fails.
func Shrink(p Plan, world func() World, actions []Action) []Action {
	fails := func(a []Action) bool { return Run(p, world(), a) != nil }
	for size := len(actions) / 2; size > 0; {
		shorter := false
		for i := 0; i+size <= len(actions); {
			rest := slices.Concat(actions[:i], actions[i+size:])
			if fails(rest) {
				actions, shorter = rest, true
				continue
			}
			i++
		}
		if !shorter {
			size /= 2
		}
	}
	return actions
}
