package eventstore

import (
	"maps"
	"slices"

	"github.com/jackc/pgx/v5"
)

// Tell queues word of a topic for all processes on this log, which they get
// with the commit, see [Store.Hear]. A topic is no number.
func Tell(b *pgx.Batch, topic string) { b.Queue(`SELECT pg_notify($1, $2)`, channel, topic) }

// Hear has f called whenever a transaction was committed that tells of the
// topic, in whichever process, this one included, and whenever word of it may
// have been lost. f must be quick, and is called until the store is closed.
// While the database is away nothing is heard: what must not be missed is asked
// for now and then as well.
func (s *Store) Hear(topic string, f func()) {
	s.feed.mu.Lock()
	s.feed.heard[topic] = append(s.feed.heard[topic], f)
	s.feed.mu.Unlock()
	s.listen()
}

// told calls those who hear of a topic.
func (f *feed) told(topic string) {
	f.mu.Lock()
	heard := f.heard[topic]
	f.mu.Unlock()
	for _, call := range heard {
		call()
	}
}

// missed calls all who hear of anything.
func (f *feed) missed() {
	f.mu.Lock()
	topics := slices.Collect(maps.Keys(f.heard))
	f.mu.Unlock()
	for _, topic := range topics {
		f.told(topic)
	}
}
