package eventstore

import (
	"errors"
	"maps"

	"github.com/jackc/pgx/v5"
)

// foresight is what the writer knows of the log's end without asking. While it
// is the only one to append, that is all: the head is where it left it, and a
// group whose appends say what versions they expect travels in a single trip,
// in which the database refuses everything unless it finds just that. When
// others append as well, the writer asks first, as that costs less than being
// wrong every other time. The zero value knows nothing.
type foresight struct {
	last  Head
	alone bool // nobody moved the head between the writer's last two groups
}

// asked takes note of a head that was locked.
func (f *foresight) asked(h Head) { f.alone = h.Seq == f.last.Seq && h.Chain == f.last.Chain }

// left takes note of the head that a group left behind.
func (f *foresight) left(h Head) { f.last = h }

// surprised takes note that something was otherwise.
func (f *foresight) surprised() { f.alone = false }

// expectation is a head, and the versions of streams, that a transaction
// relies on.
type expectation struct {
	head Head
	vers map[string]int64
}

// of returns what a group may rely on; nil: it has to ask. seen is how far the
// log is known to reach.
func (f *foresight) of(group []*pending, seen int64) *expectation {
	if !f.alone || seen != f.last.Seq || hasWith(group) {
		return nil
	}
	e := &expectation{head: f.last, vers: make(map[string]int64, len(group))}
	for _, p := range group {
		for _, w := range p.append.Writes {
			if _, known := e.vers[w.Stream]; known {
				continue
			}
			if w.Expected == Any {
				return nil
			}
			e.vers[w.Stream] = int64(w.Expected)
		}
	}
	return e
}

// after is the versions for a batch to count on from.
func (e *expectation) after() map[string]int64 { return maps.Clone(e.vers) }

// codeUnforeseen is what log_expect raises, see its migration.
const codeUnforeseen = "SP001"

// errUnforeseen says that a transaction relied on what is not so. It stored
// nothing, and its group is to ask first.
var errUnforeseen = errors.New("the log is not as it was foreseen")

// queue queues what begins the transaction, locks the head and refuses all
// that follows unless everything is as expected.
func (e *expectation) queue(to *pgx.Batch, group []*pending) {
	streams, vers := make([]string, 0, len(e.vers)), make([]int64, 0, len(e.vers))
	for stream, ver := range e.vers {
		streams, vers = append(streams, stream), append(vers, ver)
	}
	to.Queue("begin")
	queueAlso(to, group)
	to.Queue(`SELECT log_expect($1, $2, $3, $4, $5, $6)`, e.head.Epoch, e.head.Seq, e.head.Chain[:], writerVersion, streams, vers)
}
