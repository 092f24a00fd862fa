package eventstore

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"sallyport/domain"
)

// batch is one transaction's worth of events under the head's lock: it gives
// places, extends the chain and queues the statements.
type batch struct {
	store      *Store
	head       Head
	vers       map[string]int64
	records    []Record
	statements *pgx.Batch
}

func newBatch(s *Store, head Head, vers map[string]int64) *batch {
	return &batch{store: s, head: head, vers: vers, statements: &pgx.Batch{}}
}

type sender interface {
	SendBatch(ctx context.Context, b *pgx.Batch) pgx.BatchResults
}

// A stream has one origin, so its last version has too. The look-up is a
// statement of its own: its snapshot must be younger than the lock.
const selectVersions = `
	SELECT s.stream, e.origin, e.ver
	FROM unnest($1::text[]) AS s(stream)
	CROSS JOIN LATERAL (SELECT origin, ver FROM events WHERE stream = s.stream ORDER BY ver DESC LIMIT 1) AS e`

// lockHead takes the head's lock and then reads the versions of the streams,
// in one trip, after whatever lead holds already.
func (s *Store) lockHead(ctx context.Context, to sender, lead *pgx.Batch, streams []string) (Head, map[string]int64, error) {
	seen, skip := s.Seen(), lead.Len()
	lead.Queue(selectHead + ` FOR UPDATE`)
	lead.Queue(selectVersions, streams)
	results := to.SendBatch(ctx, lead)
	head, vers, err := readHead(results, skip)
	if closeErr := results.Close(); err == nil {
		err = closeErr
	}
	if err == nil {
		err = s.mayAppend(head, seen)
	}
	if errors.As(err, new(*refusedError)) {
		return Head{}, nil, err
	}
	if err != nil {
		return Head{}, nil, fmt.Errorf("append: lock the log: %w; nothing was stored", err)
	}
	return head, vers, nil
}

func readHead(results pgx.BatchResults, skip int) (Head, map[string]int64, error) {
	for range skip {
		if _, err := results.Exec(); err != nil {
			return Head{}, nil, refusal(err)
		}
	}
	head, err := scanHead(results.QueryRow())
	if err != nil {
		return Head{}, nil, err
	}
	rows, err := results.Query()
	if err != nil {
		return Head{}, nil, err
	}
	vers := map[string]int64{}
	var stream, origin string
	var ver int64
	_, err = pgx.ForEachRow(rows, []any{&stream, &origin, &ver}, func() error {
		if vers[strings.Clone(stream)] = ver; origin != head.Site {
			vers[stream] = foreign
		}
		return nil
	})
	return head, vers, err
}

// refusal tells a statement's refusal, which is the fault of one append, from a
// database that is not to be reached.
func refusal(err error) error {
	var answer *pgconn.PgError
	if errors.As(err, &answer) && answer.SeverityUnlocalized == severityError {
		return &refusedError{err}
	}
	return err
}

// foreign marks a stream that another site writes.
const foreign int64 = -1

func streamsOf(group []*pending) []string {
	var streams []string
	for _, p := range group {
		for _, w := range p.append.Writes {
			streams = append(streams, w.Stream)
		}
	}
	return streams
}

// add gives an append its places, or rejects it and leaves the batch as it was.
func (b *batch) add(p *pending) error {
	if err := b.expect(p.append.Writes); err != nil {
		return err
	}
	from := len(b.records)
	for _, d := range p.drafts {
		b.head.Pos++
		b.head.Seq++
		b.vers[d.event.Stream]++
		e := d.event
		e.Pos, e.Ver = b.head.Pos, b.vers[e.Stream]
		line := d.line(e.Pos, e.Ver)
		b.head.Chain = b.head.Chain.Next(line)
		b.records = append(b.records, Record{Event: e, Seq: b.head.Seq, Origin: b.head.Site, Fact: d.fact, Line: line})
	}
	p.records = b.records[from:len(b.records):len(b.records)]
	return nil
}

// expect checks all writes against the versions after the batch so far.
func (b *batch) expect(writes []Write) error {
	grown := map[string]int64{}
	for _, w := range writes {
		have := b.vers[w.Stream]
		if have == foreign {
			return fmt.Errorf("stream %s belongs to another site, which alone may write it; nothing was stored", w.Stream)
		}
		have += grown[w.Stream]
		if w.Expected != Any && int64(w.Expected) != have {
			return &ConflictError{Stream: w.Stream, Expected: w.Expected, Actual: have}
		}
		grown[w.Stream] += int64(len(w.Facts))
	}
	return nil
}

// The notification is sent by the commit, to whoever listens in any process.
const updateHead = `UPDATE log_head SET seq = $1, pos = $2, chain = $3 RETURNING pg_notify('` + channel + `', seq::text)`

// queue queues the events, the read models and the head's new place.
func (b *batch) queue() error {
	queueEvents(b.statements, b.records)
	for _, p := range b.store.inline {
		if err := p.Apply(b.statements, b.records); err != nil {
			return fmt.Errorf("append: project: %w; nothing was stored", err)
		}
	}
	b.statements.Queue(updateHead, b.head.Seq, b.head.Pos, b.head.Chain[:])
	return nil
}

const events = "events (seq, origin, pos, id, stream, ver, type, at, actor, corr, line)"

func queueEvents(to *pgx.Batch, records []Record) {
	Copy(to, events, records, func(row *Row, r *Record) {
		row.Bigint(r.Seq)
		row.Text(r.Origin)
		row.Bigint(r.Pos)
		row.UUID(r.ID)
		row.Text(r.Stream)
		row.Bigint(r.Ver)
		row.Text(r.Type)
		row.Time(r.At)
		row.Text(r.Actor)
		row.Text(r.Corr)
		row.Bytes(r.Line)
	})
}

// Withheld is a run of positions that their origin did not send.
type Withheld struct {
	After   int64 // exclusive
	Through int64
	Chain   Hash // the origin's chain at Through
}

// Mirrored is a part of a peer's log, checked by the one who read it.
type Mirrored struct {
	Origin   string
	Events   []domain.Event
	Facts    []domain.Fact
	Lines    [][]byte // the exported lines, as long as Events
	Withheld []Withheld
	// With runs first, in the same transaction: it asserts and moves the
	// cursor, and enqueues work. It must not commit or roll back.
	With func(ctx context.Context, tx pgx.Tx) error
}

// Mirror stores a part of a peer's log as it is, gives it this site's seq,
// and projects it, in one transaction. The database refuses what is stored
// already. Keep it to 1,000 events: the head is locked meanwhile.
func (s *Store) Mirror(ctx context.Context, m Mirrored) error {
	var seq int64
	err := pgx.BeginFunc(ctx, s.pool, func(tx pgx.Tx) error {
		if m.With != nil {
			if err := m.With(context.WithValue(ctx, nestedKey{}, true), tx); err != nil {
				return err
			}
		}
		head, _, err := s.lockHead(ctx, tx, &pgx.Batch{}, nil)
		if err != nil {
			return err
		}
		b := newBatch(s, head, nil)
		for i, e := range m.Events {
			b.head.Seq++
			b.records = append(b.records, Record{Event: e, Seq: b.head.Seq, Origin: m.Origin, Fact: m.Facts[i], Line: m.Lines[i]})
		}
		queueWithheld(b.statements, m)
		if err := b.queue(); err != nil {
			return err
		}
		seq = b.head.Seq
		return Send(ctx, tx.Conn(), b.statements)
	})
	if err != nil {
		return fmt.Errorf("mirror %s: %w", m.Origin, err)
	}
	s.feed.moved(seq)
	return nil
}

func queueWithheld(to *pgx.Batch, m Mirrored) {
	for _, w := range m.Withheld {
		to.Queue(`INSERT INTO withheld (origin, "after", through, chain) VALUES ($1, $2, $3, $4)`,
			m.Origin, w.After, w.Through, w.Chain[:])
	}
}
