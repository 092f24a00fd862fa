package reactor

import (
	"database/sql"
	"errors"
	"fmt"
	"strconv"

	wsql "github.com/ThreeDotsLabs/watermill-sql/v3/pkg/sql"
	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/ThreeDotsLabs/watermill/message/router/middleware"

	"sallyport/eventstore"
)

// Names of a message's metadata. Its payload is the event's line, its UUID the
// event's id.
const (
	metaSeq    = "seq"
	metaOrigin = "origin"
	metaStream = "stream"
	metaType   = "type"
	metaCorr   = "corr"
)

// Bounds of one page: events looked at, and bytes of the lines taken along.
// One line may exceed the latter.
const (
	pageEvents = 1000
	pageBytes  = 2 << 20
)

// schema makes the log a topic for watermill-sql. Ordering by seq is safe
// where its own adapter must wait for the cluster's oldest transaction: the
// head's lock makes the order of seq the order of commits.
type schema struct {
	types []string // the events that somebody handles
	holes *holes
	read  *progress
}

// progress is how far a handler's subscriber has read, which is one goroutine.
type progress struct {
	seq int64 // of the last event
	cut bool  // its page was ended by its bytes
}

// holes tells of each hole in the log once. Whoever lost a row has lost what
// would have followed from it; what comes behind is handled all the same.
type holes struct {
	log  *eventstore.Store
	last int64 // that was told
}

func (h *holes) found(want, got int64) {
	if want > h.last {
		h.last = want
		_ = h.log.Hole(want, got) // nothing fails: people are told
	}
}

var errReadOnly = errors.New("the log is written by the event store, not through watermill")

// InsertQuery refuses: reactors only read.
func (schema) InsertQuery(string, message.Messages) (wsql.Query, error) {
	return wsql.Query{}, errReadOnly
}

// SchemaInitializingQueries returns none: migrations made the tables.
func (schema) SchemaInitializingQueries(string) []wsql.Query { return nil }

// SubscribeIsolationLevel is the weakest: each statement sees what is
// committed, and seq has no holes.
func (schema) SubscribeIsolationLevel() sql.IsolationLevel { return sql.LevelReadCommitted }

// selectPage reads the page after the offset. Of events that nobody wants only
// the page's last is returned, without its line: acknowledging it moves the
// offset past all of them. As seq has no holes, the n-th row is the n-th seq.
const selectPage = `
	WITH place AS (%s),
	page AS (SELECT e.seq, e.origin, e.id, e.stream, e.type, e.corr, e.line, e.type = ANY ($2) AS wanted,
	                place.seq + row_number() OVER (ORDER BY e.seq) AS want
	         FROM place CROSS JOIN LATERAL (SELECT * FROM events WHERE events.seq > place.seq ORDER BY events.seq LIMIT $3) AS e),
	sized AS (SELECT *, max(seq) OVER () AS last,
	                 min(want) FILTER (WHERE want <> seq) OVER () AS hole, min(seq) FILTER (WHERE want <> seq) OVER () AS behind,
	                 sum(CASE WHEN wanted THEN octet_length(line) ELSE 0 END)
	                     OVER (ORDER BY seq ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS before
	          FROM page)
	SELECT seq, origin, id::text, stream, type, corr, CASE WHEN wanted THEN line ELSE '' END, last, coalesce(hole, 0), coalesce(behind, 0)
	FROM sized WHERE (wanted OR seq = last) AND coalesce(before, 0) < $4
	ORDER BY seq`

// SelectQuery implements [wsql.SchemaAdapter].
func (s schema) SelectQuery(topic, group string, offsets wsql.OffsetsAdapter) wsql.Query {
	place := offsets.NextOffsetQuery(topic, group)
	return wsql.Query{Query: fmt.Sprintf(selectPage, place.Query),
		Args: append(place.Args, s.types, pageEvents, pageBytes)}
}

// UnmarshalMessage implements [wsql.SchemaAdapter].
func (s schema) UnmarshalMessage(row wsql.Scanner) (wsql.Row, error) {
	var seq, last, hole, behind int64
	var origin, id, stream, typ, corr string
	var line []byte
	if err := row.Scan(&seq, &origin, &id, &stream, &typ, &corr, &line, &last, &hole, &behind); err != nil {
		return wsql.Row{}, fmt.Errorf("read an event for the reactor: %w", err)
	}
	*s.read = progress{seq: seq, cut: seq < last}
	if hole > 0 {
		s.holes.found(hole, behind)
	}
	msg := message.NewMessage(id, line)
	msg.Metadata = message.Metadata{metaSeq: strconv.FormatInt(seq, 10), metaOrigin: origin,
		metaStream: stream, metaType: typ, metaCorr: corr}
	middleware.SetCorrelationID(corr, msg)
	return wsql.Row{Offset: seq, UUID: []byte(id), Payload: line, Msg: msg}, nil
}

// offsets keeps a reactor's place in reactor_offsets.
type offsets struct{}

// SchemaInitializingQueries returns none: migrations made the table.
func (offsets) SchemaInitializingQueries(string) []wsql.Query { return nil }

// BeforeSubscribingQueries returns none: the places were made, see [Reactor.Run].
func (offsets) BeforeSubscribingQueries(string, string) []wsql.Query { return nil }

// NextOffsetQuery returns the place, or no row while another process is at it.
// The lock is an advisory one: a row lock would give this transaction, which
// lasts as long as the handlers run, an id that keeps the head's dead row
// versions from being cleaned away.
func (offsets) NextOffsetQuery(_, group string) wsql.Query {
	return wsql.Query{Query: `SELECT seq FROM reactor_offsets
		WHERE reactor = $1 AND pg_try_advisory_xact_lock(hashtextextended('sallyport/reactor/' || reactor, 0))`,
		Args: []any{group}}
}

// AckMessageQuery moves the place forward, never back, once a page: a handler
// that moves it with its own transactions finds nobody in the way before that.
func (offsets) AckMessageQuery(_ string, row wsql.Row, group string) wsql.Query {
	return wsql.Query{Query: `UPDATE reactor_offsets SET seq = $2 WHERE reactor = $1 AND seq < $2`,
		Args: []any{group, row.Offset}}
}

// ConsumedMessageQuery is asked before each message of a page. Its trip keeps
// a transaction whose handlers are slow from being taken for one asleep, and
// lets it commit without waiting for the disk, which appends need more: after a
// crash of the database the last places are forgotten, and what was handled
// since is handled again, as promised.
func (offsets) ConsumedMessageQuery(string, wsql.Row, string, []byte) wsql.Query {
	return wsql.Query{Query: `SET LOCAL synchronous_commit = off`}
}
