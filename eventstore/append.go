package eventstore

import (
	"context"
	"fmt"
	"math"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"sallyport/domain"
)

// Version is what a write expects of its stream.
type Version int64

const (
	// Any accepts every version.
	Any Version = -1
	// NoStream demands that the stream does not exist yet. It is the zero value.
	NoStream Version = 0
)

func (v Version) String() string {
	switch v {
	case Any:
		return "any"
	case NoStream:
		return "no stream"
	default:
		return fmt.Sprintf("version %d", int64(v))
	}
}

// Write is what an append adds to one stream.
type Write struct {
	Stream   string
	Expected Version
	Facts    []domain.Fact
}

// Append is a set of writes that are stored together or not at all.
type Append struct {
	// ID is the id of the first event, a UUID; empty: one is made. What is stored
	// already under its id is not stored again: see [Store.Append].
	ID     string
	Writes []Write
	// Actor is who is answerable: `user-<id>`, `site:<name>` or `cli:<os user>`.
	Actor string
	// Corr is the id of the request or command that began this; empty: the id
	// of the append's first event.
	Corr string
	// Cause is the id of the event or command that led to this, if any.
	Cause string
	// With runs the caller's own statements in the same transaction, before
	// the head is locked. Its failure rejects this append alone. It may run
	// more than once, and must not commit or roll back.
	With func(ctx context.Context, tx pgx.Tx) error
	// Also is one statement more, before the head is locked, which travels with the
	// log's own and costs no trip. It rejects the append by raising an error, which
	// then is the append's; what it returns is not looked at. It may run more than
	// once.
	Also *Statement
}

// Statement is a statement of the caller's own, which is run once for all
// appends of a group that bring it: its parameters are arrays of text, with an
// element for each of them.
type Statement struct {
	SQL  string
	Args []string // this append's elements; equal SQL has equally many
}

// Exec runs the statement in the caller's own transaction.
func (s *Statement) Exec(ctx context.Context, tx pgx.Tx) error {
	args := make([]any, len(s.Args))
	for i, arg := range s.Args {
		args[i] = []string{arg}
	}
	_, err := tx.Exec(ctx, s.SQL, args...)
	return err
}

// Record is an event as this site stored it.
type Record struct {
	// Event is as it would be written today, see [domain.Upcast].
	domain.Event
	Seq    int64  // the order in which this site stored it
	Origin string // the site that wrote it
	Fact   domain.Fact
	// StoredAt is when this site stored it; zero in the result of an append.
	StoredAt time.Time
	// Line is the exported line, without line feed: what is hashed, of the version
	// in which it was written.
	Line []byte
}

// Begins reports whether the record begins its stream and is stored by the
// transaction that applies it: no read model can know of the stream.
func (r *Record) Begins() bool { return r.Ver == 1 && r.StoredAt.IsZero() }

// maxEvents bounds one append; what is larger belongs into several.
const maxEvents = 1000

// prepare encodes and checks all that needs no lock.
func (s *Store) prepare(a Append) (*pending, error) {
	if a.ID != "" && !isID(a.ID) {
		return nil, fmt.Errorf("%q is no event's id, which is a UUID in lower case; nothing was stored", a.ID)
	}
	now := s.now().UTC().Truncate(time.Microsecond)
	p := &pending{append: a, done: make(chan struct{})}
	corr := a.Corr
	for _, w := range a.Writes {
		if !domain.ValidStream(w.Stream) {
			return nil, fmt.Errorf("%q is no stream's name; nothing was stored", w.Stream)
		}
		for _, f := range w.Facts {
			id := a.ID
			if id == "" || len(p.drafts) > 0 {
				made, err := uuid.NewV7()
				if err != nil {
					return nil, fmt.Errorf("make an event id: %w", err)
				}
				id = made.String()
			}
			if corr == "" {
				corr = id
			}
			d, err := s.draft(domain.Event{ID: id, Stream: w.Stream, At: now,
				Actor: a.Actor, Corr: corr, Cause: a.Cause}, f)
			if err != nil {
				return nil, err
			}
			p.drafts = append(p.drafts, d)
		}
	}
	if n := len(p.drafts); n == 0 || n > maxEvents {
		return nil, fmt.Errorf("an append of %d events is refused: 1 to %d are allowed", n, maxEvents)
	}
	return p, nil
}

// Check returns why an append would be refused for what it says, such as a
// [*LineError], whatever is in the log. It stores nothing and asks no database.
func (s *Store) Check(a Append) error {
	_, err := s.prepare(a)
	return err
}

// isID holds an id to the one form that it has in lines.
func isID(id string) bool {
	parsed, err := uuid.Parse(id)
	return err == nil && parsed.String() == id
}

// draft encodes one event and applies the check that its receiver will apply,
// at the largest position there is, so that nothing can enter the log which
// the peer must refuse.
func (s *Store) draft(e domain.Event, f domain.Fact) (draft, error) {
	k, ok := domain.KindOf(f.EventType())
	if !ok {
		return draft{}, &domain.UnknownEventError{Type: f.EventType()}
	}
	e.Type, e.Schema = k.Type, k.Schema
	d, err := newDraft(e, f, s.writes(k))
	if err != nil {
		return draft{}, err
	}
	if err := s.check(d.line(math.MaxInt64>>10, math.MaxInt64>>10)); err != nil {
		return draft{}, &LineError{Type: e.Type, Stream: e.Stream, Cause: err}
	}
	return d, nil
}

// WriteAs makes the log write the given types in older versions, and all
// others in the catalogue's, until it is called again: peers that were not
// upgraded yet read no other. A version above the catalogue's is the catalogue's.
func (s *Store) WriteAs(versions map[string]int) { s.older.Store(&versions) }

// writes is the version in which a kind is written now.
func (s *Store) writes(k domain.Kind) int {
	if older := s.older.Load(); older != nil {
		if v := (*older)[k.Type]; v > 0 {
			return min(v, k.Schema)
		}
	}
	return k.Schema
}

type nestedKey struct{}

// Append stores the writes through the group writer and waits until they are
// durable. It returns the stored events, the last of which carries the
// position to wait for elsewhere. Errors: [*ConflictError], [*LineError], [ErrOverloaded],
// [*UnknownError], [ErrClosed], [ErrNested], or what With returned. A cancelled
// context returns its error only if nothing was or will be stored.
//
// An append that brings its ID may be repeated until its outcome is known: if
// it was stored, what was stored then is returned, however the streams have
// grown since; [*IDTakenError] if that is something else.
func (s *Store) Append(ctx context.Context, a Append) ([]Record, error) {
	if ctx.Value(nestedKey{}) != nil {
		return nil, ErrNested
	}
	p, err := s.prepare(a)
	if err != nil {
		return nil, err
	}
	records, err := s.writer.submit(ctx, p)
	if err != nil && a.ID != "" {
		return s.recall(ctx, p, err)
	}
	return records, err
}

// AppendTx stores the writes in the caller's transaction, whose commit makes
// them durable. It locks the head until then: call it last, and keep what
// follows short. For rare paths; Append is the fast one.
func (s *Store) AppendTx(ctx context.Context, tx pgx.Tx, a Append) ([]Record, error) {
	p, err := s.prepare(a)
	if err != nil {
		return nil, err
	}
	ctx = context.WithValue(ctx, nestedKey{}, true)
	if a.With != nil {
		if err := a.With(ctx, tx); err != nil {
			return nil, err
		}
	}
	lead := &pgx.Batch{}
	queueAlso(lead, []*pending{p})
	head, vers, err := s.lockHead(ctx, tx, lead, streamsOf([]*pending{p}))
	if err != nil {
		return nil, err
	}
	b := newBatch(s, head, vers)
	if err := b.add(p); err != nil {
		return nil, err
	}
	if err := b.queue(); err != nil {
		return nil, err
	}
	if err := Send(ctx, tx.Conn(), b.statements); err != nil {
		return nil, fmt.Errorf("append: %w; nothing was stored", err)
	}
	return p.records, nil
}
