package simulate

import (
	"fmt"
	"maps"
	"slices"

	"sallyport/bridge/bundle"
	"sallyport/bridge/link"
)

// site is one site of a [Memory]. What is in database and in the folders
// survives a crash; there is nothing else.
type site struct {
	world *Memory
	name  string
	database
	backup         *database
	lost           bool // its log was once shortened by a restore
	outbox         map[string][]*file
	inbox, staging []*file
	steps          int
}

type database struct {
	log   []event // from position 1; the first is a stand-in
	chain []bundle.Hash
	ends  map[string]*end
}

// end is a link's row with the tables that belong to it.
type end struct {
	link.End
	plans    map[int64]plan
	makings  map[int64]link.Making
	planned  int64 // the last number
	held     map[int64]bool
	rejected map[int64]bundle.Code
	mirror   []entry
}

// plan is what a number holds: the range, and the core once it was made.
type plan struct{ after, through int64 }

func (d database) clone() database {
	c := database{log: slices.Clone(d.log), chain: slices.Clone(d.chain), ends: map[string]*end{}}
	for peer, e := range d.ends {
		x := *e
		x.plans, x.makings = maps.Clone(e.plans), maps.Clone(e.makings)
		x.held, x.rejected, x.mirror = maps.Clone(e.held), maps.Clone(e.rejected), slices.Clone(e.mirror)
		c.ends[peer] = &x
	}
	return c
}

// append gives an event its place.
func (s *site) append(e event) {
	pos := len(s.log)
	e.line = fmt.Appendf(nil, "%s %d %s", s.name, pos, s.world.fresh())
	s.log, s.chain = append(s.log, e), append(s.chain, s.chain[pos-1].Next(e.line))
}

func (s *site) link(peer string) {
	e := &end{plans: map[int64]plan{}, makings: map[int64]link.Making{}, held: map[int64]bool{}, rejected: map[int64]bundle.Code{}}
	e.Out.Epoch, e.In.Epoch = epochOf(s.name), epochOf(peer)
	e.In.Chain = bundle.Start(epochOf(peer), peer)
	e.Self.Incarnation = s.world.fresh()
	s.ends[peer] = e
}

// telling is what a manifest written now says.
func (e *end) telling() link.Telling {
	t := link.Telling{Position: e.In.Through, Rejected: []bundle.Rejection{}}
	here := slices.Collect(maps.Keys(e.held))
	for _, n := range slices.Sorted(maps.Keys(e.rejected)) {
		if n > e.In.Seq && !e.held[n] {
			t.Rejected, here = append(t.Rejected, bundle.Rejection{Seq: n, Code: e.rejected[n]}), append(here, n)
		}
	}
	t.Missing = e.In.Missing(here...)
	return t
}

// Export implements [World].
func (m *Memory) Export(name, peer string, p link.Pressure, crash int) error {
	s := m.sites[name]
	s.crashing(crash, func() { s.export(peer, p) })
	return nil
}

func (s *site) export(peer string, p link.Pressure) {
	e := s.ends[peer]
	wrote := false
	if e.Stopped == "" {
		for _, n := range e.Again(e.makings) {
			s.make(peer, n)
			wrote = true
		}
		for {
			n, ok := s.plan(peer)
			if !ok {
				break
			}
			s.make(peer, n)
			wrote = true
		}
	}
	if wrote {
		return
	}
	if why := e.BeaconDue(e.telling(), p); why != "" {
		s.beacon(peer, p)
	}
}

// plan commits the next number, or finds one that was never published. A
// bundle holds five positions at most.
func (s *site) plan(peer string) (int64, bool) {
	e := s.ends[peer]
	if e.planned > e.Out.Seq {
		return e.planned, true
	}
	last := min(int64(len(s.log))-1, e.Out.Through+5)
	crosses := false
	for pos := e.Out.Through + 1; pos <= last; pos++ {
		crosses = crosses || s.log[pos].crosses[peer]
	}
	if !crosses {
		last = e.Out.Through
		for pos := e.Out.Through + 1; pos < int64(len(s.log)); pos++ {
			if s.log[pos].crosses[peer] {
				last = pos
				break
			}
		}
		if last == e.Out.Through {
			return 0, false
		}
	}
	s.step()
	e.planned++
	e.plans[e.planned] = plan{e.Out.Through, last}
	s.step()
	return e.planned, true
}

// make writes a number's file and records it, as often as it is wanted.
func (s *site) make(peer string, n int64) {
	e := s.ends[peer]
	p := e.plans[n]
	heard := e.Heard.No
	f, ack, t := s.manifest(peer, bundle.Data, n, bundle.Range{After: p.after, Through: p.through})
	for pos := p.after + 1; pos <= p.through; pos++ {
		x := entry{chain: s.chain[pos]}
		if s.log[pos].crosses[peer] {
			x.line = string(s.log[pos].line)
		}
		f.payload = append(f.payload, x)
	}
	s.step()
	s.outbox[peer] = append(s.outbox[peer], f)
	s.step()
	if n > e.Out.Seq {
		e.Out.Seq, e.Out.Through, e.Out.Chain = n, p.through, s.chain[p.through]
		s.append(event{}) // the note of the export, which stays at home
	}
	e.makings[n] = link.Making{No: ack.No, Heard: heard}
	e.Tell(ack, t)
	s.step()
}

func (s *site) beacon(peer string, p link.Pressure) {
	e := s.ends[peer]
	f, ack, t := s.manifest(peer, bundle.Beacon, e.Out.Seq, bundle.Range{After: e.Out.Through, Through: e.Out.Through})
	s.step()
	s.outbox[peer] = append(s.outbox[peer], f)
	s.step()
	e.Tell(ack, t)
	if p == link.Overdue {
		e.Resends++
	}
}

// manifest begins a file: its number is stored before anything is written.
func (s *site) manifest(peer string, kind bundle.Kind, n int64, r bundle.Range) (*file, *bundle.Ack, link.Telling) {
	e := s.ends[peer]
	t := e.telling()
	ack := e.NextAck(t, nil)
	s.step()
	return &file{manifest: bundle.Manifest{Core: bundle.Core{Span: bundle.Span{Kind: kind, From: s.name, To: peer, Epoch: e.Out.Epoch, Seq: n, Range: r,
		Chain: bundle.ChainEnds{After: s.chain[r.After], Through: s.chain[r.Through]}}},
		Head: bundle.Head{Position: int64(len(s.log)) - 1, Seq: max(e.Out.Seq, n)}, Ack: ack}}, ack, t
}

// Import implements [World].
func (m *Memory) Import(name string, crash int) error {
	s := m.sites[name]
	var err error
	s.crashing(crash, func() { err = s.take() })
	return err
}

// take stages the inbox and goes through what is staged until nothing moves.
func (s *site) take() error {
	for len(s.inbox) > 0 {
		s.staging = append(s.staging, s.inbox[0])
		s.step() // staged, and still in the inbox
		s.inbox = s.inbox[1:]
	}
	for moved := true; moved; {
		moved = false
		for _, f := range slices.Clone(s.staging) {
			held, err := s.one(f)
			if err != nil {
				return err
			}
			if !held {
				s.staging = slices.DeleteFunc(s.staging, func(x *file) bool { return x == f })
				moved = true
			}
			s.step()
		}
	}
	s.forget()
	return nil
}

// forget drops the notes of held bundles that are not there any more.
func (s *site) forget() {
	for peer, e := range s.ends {
		maps.DeleteFunc(e.held, func(n int64, _ bool) bool {
			return !slices.ContainsFunc(s.staging, func(f *file) bool {
				c := f.manifest.Core
				return c.From == peer && c.Seq == n && c.Kind == bundle.Data
			})
		})
	}
}

// one does with a staged file what its place asks for; held says that it stays.
func (s *site) one(f *file) (held bool, err error) {
	c := f.manifest.Core
	e := s.ends[c.From]
	if e == nil || c.To != s.name {
		return false, nil // quarantined: untrusted, or for somebody else
	}
	if f.damaged {
		if c.Kind == bundle.Data && c.Seq > e.In.Seq {
			e.rejected[c.Seq] = bundle.Damaged
		}
		return false, nil
	}
	position := int64(0)
	if a := f.manifest.Ack; a != nil {
		position = min(a.Position, int64(len(s.log))-1)
	}
	if alarm := e.Hear(f.manifest, link.Ours{Head: int64(len(s.log)) - 1, Seq: e.planned, Chain: s.chain[position], Fresh: s.world.fresh()}); alarm != nil {
		e.Stopped = alarm.Error()
	}
	e.planned = max(e.planned, e.Out.Seq)
	s.step()
	if c.Kind == bundle.Beacon {
		return false, nil
	}
	if e.Stopped != "" {
		e.held[c.Seq] = true
		return true, nil
	}
	switch e.In.Judge(c) {
	case link.Hold:
		e.held[c.Seq] = true
		return true, nil
	case link.Fork:
		e.Stopped = "fork"
		return false, nil
	case link.Apply:
		return false, s.apply(e, f)
	}
	return false, nil
}

// apply moves the cursor over two positions a transaction.
func (s *site) apply(e *end, f *file) error {
	c := f.manifest.Core
	for e.In.Through < c.Range.Through {
		through := min(e.In.Through+2, c.Range.Through)
		part := f.payload[e.In.Through-c.Range.After : through-c.Range.After]
		if before := e.In.Through - c.Range.After; before > 0 && f.payload[before-1].chain != e.In.Chain {
			e.Stopped = "fork"
			return nil
		}
		e.mirror = append(e.mirror, part...)
		e.In.Applied(c, through, part[len(part)-1].chain, through == c.Range.Through)
		// A log that lost events contradicts what was applied, and must be found out.
		if err := s.world.same(c.From, s.name); err != nil && !s.world.sites[c.From].lost {
			return fmt.Errorf("after bundle %d was applied: %w", c.Seq, err)
		}
		s.step()
	}
	return nil
}
