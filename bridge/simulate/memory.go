package simulate

import (
	"errors"
	"fmt"
	"slices"
	"strconv"

	"sallyport/bridge/bundle"
)

// Memory is a world without database, files and signatures: what is signed is
// believed, what was damaged is known to be. It is deterministic.
type Memory struct {
	sites  map[string]*site
	names  []string
	random uint64
}

// NewMemory returns a world in which the center has a link with every other site.
func NewMemory(p Plan) *Memory {
	m := &Memory{sites: map[string]*site{}, names: p.sites()}
	for _, name := range m.names {
		m.sites[name] = &site{world: m, name: name, database: database{log: []event{{}}, chain: []bundle.Hash{bundle.Start(epochOf(name), name)},
			ends: map[string]*end{}}, outbox: map[string][]*file{}}
	}
	for _, o := range p.Others {
		m.sites[p.Center].link(o)
		m.sites[o].link(p.Center)
	}
	return m
}

// epochOf gives each site's log an epoch; a real one is random.
func epochOf(name string) string { return bundle.Start("", name).String()[:32] }

// fresh gives a new incarnation; a real one is random.
func (m *Memory) fresh() string {
	m.random++
	return bundle.Start(strconv.FormatUint(m.random, 10), "").String()[:32]
}

// event is an entry of a log. Its chain is kept beside it.
type event struct {
	line    []byte
	crosses map[string]bool
}

// file is a bundle or a beacon.
type file struct {
	manifest bundle.Manifest
	payload  []entry
	damaged  bool
}

func (f *file) String() string {
	c := f.manifest.Core
	return fmt.Sprintf("%s %d of %s to %s, positions %d to %d, ack %+v", c.Kind, c.Seq, c.From, c.To, c.Range.After+1, c.Range.Through, f.manifest.Ack)
}

// entry is what a mirror holds of one position: a line, or nothing where the
// peer withheld it.
type entry struct {
	line  string
	chain bundle.Hash
}

// Append implements [World].
func (m *Memory) Append(name string, n int, toward uint) error {
	s := m.sites[name]
	for range n {
		e := event{crosses: map[string]bool{}}
		for _, peer := range m.names {
			e.crosses[peer], toward = toward&1 == 1, toward>>1
		}
		s.append(e)
	}
	return nil
}

// Outbox implements [World].
func (m *Memory) Outbox(name, peer string) []File {
	var files []File
	for _, f := range m.sites[name].outbox[peer] {
		files = append(files, File{From: name, To: peer, Content: f})
	}
	return files
}

// Remove implements [World].
func (m *Memory) Remove(f File) {
	s := m.sites[f.From]
	s.outbox[f.To] = slices.DeleteFunc(slices.Clone(s.outbox[f.To]), func(x *file) bool { return x == f.Content })
}

// Drop implements [World].
func (m *Memory) Drop(name string, f File) {
	m.sites[name].inbox = append(m.sites[name].inbox, f.Content.(*file))
}

// Damaged implements [World]. One time in four it is the manifest that is hit.
func (m *Memory) Damaged(f File, at int) File {
	hit := *f.Content.(*file)
	hit.damaged = true
	if at%4 == 0 {
		hit.manifest = bundle.Manifest{}
	}
	f.Content = &hit
	return f
}

// Backup implements [World].
func (m *Memory) Backup(name string) {
	s := m.sites[name]
	copied := s.database.clone()
	s.backup = &copied
}

// Restore implements [World]. A site that is told that it was restored says so
// at once; one that is not must find out.
func (m *Memory) Restore(name string, told bool) {
	s := m.sites[name]
	if s.backup == nil {
		return
	}
	if len(s.backup.log) < len(s.log) {
		s.lost = true
	}
	s.database = s.backup.clone()
	for _, e := range s.ends {
		if told {
			e.Restore(m.fresh(), 0)
		}
	}
}

// Lagging implements [World].
func (m *Memory) Lagging(from, to string) error {
	s, e, there := m.sites[from], m.sites[from].ends[to], m.sites[to].ends[from]
	if e.Stopped != "" {
		return fmt.Errorf("%s stopped its link with %s: %s", from, to, e.Stopped)
	}
	last := len(s.log) - 1
	for last > 0 && !s.log[last].crosses[to] {
		last--
	}
	switch {
	case there.In.Through < int64(last):
		return fmt.Errorf("%s has applied the log of %s through %d of %d, missing %v, held %v", to, from, there.In.Through, last, there.telling().Missing, there.held)
	case e.Unacknowledged():
		return fmt.Errorf("%s knows of %d of %d positions that %s has applied them", from, e.Out.AckedThrough, e.Out.Through, to)
	}
	return m.same(from, to)
}

// Lost implements [World].
func (m *Memory) Lost(one, other string) (bool, error) {
	if !m.sites[one].lost && !m.sites[other].lost {
		return false, nil
	}
	if m.sites[one].ends[other].Stopped != "" || m.sites[other].ends[one].Stopped != "" {
		return true, nil
	}
	return true, errors.Join(m.same(one, other), m.same(other, one))
}

// same holds what a site has of a peer's log against that log.
func (m *Memory) same(from, to string) error {
	s, there := m.sites[from], m.sites[to].ends[from]
	if int64(len(there.mirror)) != there.In.Through {
		return fmt.Errorf("%s holds %d entries of %s and says %d", to, len(there.mirror), from, there.In.Through)
	}
	for i, got := range there.mirror {
		pos := i + 1
		if pos >= len(s.log) || got.chain != s.chain[pos] {
			return fmt.Errorf("%s holds another history of %s at position %d", to, from, pos)
		}
		if want := string(s.log[pos].line); s.log[pos].crosses[to] != (got.line != "") || got.line != "" && got.line != want {
			return fmt.Errorf("%s holds %q of %s at position %d, want %q", to, got.line, from, pos, want)
		}
	}
	return nil
}

// crashed is what ends a program in the middle.
type crashed struct{}

// crashing runs fn and ends it after so many steps; 0: never.
func (s *site) crashing(steps int, fn func()) {
	s.steps = steps
	defer func() {
		if r := recover(); r != nil {
			if _, ok := r.(crashed); !ok {
				panic(r)
			}
		}
	}()
	fn()
}

// step is a place where the program may end.
func (s *site) step() {
	if s.steps > 0 {
		if s.steps--; s.steps == 0 {
			panic(crashed{})
		}
	}
}

var _ World = (*Memory)(nil)
