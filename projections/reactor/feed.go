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
// Most events of a busy log are wanted by nobody: of each only the type is looked
// at, and the rest is fetched of those that are returned.
const selectPage = `
	WITH place AS (%s),
	page AS MATERIALIZED (
		SELECT e.seq, e.wanted, CASE WHEN e.wanted THEN octet_length(e.line) ELSE 0 END AS size
		FROM place CROSS JOIN LATERAL (SELECT seq, line, type = ANY ($%d) AS wanted FROM events
		                               WHERE events.seq > place.seq ORDER BY events.seq LIMIT %d) AS e),
	ends AS MATERIALIZED (SELECT max(page.seq) AS last, max(page.seq) - max(place.seq) <> count(*) AS holed FROM page CROSS JOIN place),
	gap AS (SELECT min(want) AS hole, min(seq) AS behind
	        FROM (SELECT page.seq, place.seq + row_number() OVER (ORDER BY page.seq) AS want FROM page CROSS JOIN place) AS counted
	        WHERE want <> seq),
	chosen AS (SELECT seq, wanted, sum(size) OVER (ORDER BY seq ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS before
	           FROM page WHERE wanted OR seq = (SELECT last FROM ends))
	SELECT e.seq, e.origin, e.id::text, e.stream, e.type, e.corr, CASE WHEN c.wanted THEN e.line ELSE '' END, ends.last,
	       CASE WHEN ends.holed THEN (SELECT hole FROM gap) ELSE 0 END, CASE WHEN ends.holed THEN (SELECT behind FROM gap) ELSE 0 END
	FROM ends CROSS JOIN chosen AS c CROSS JOIN LATERAL (SELECT * FROM events WHERE events.seq = c.seq OFFSET 0) AS e
	WHERE coalesce(c.before, 0) < %d
	ORDER BY c.seq`

// SelectQuery implements [wsql.SchemaAdapter].
func (s schema) SelectQuery(topic, group string, offsets wsql.OffsetsAdapter) wsql.Query {
	place := offsets.NextOffsetQuery(topic, group)
	return wsql.Query{Query: fmt.Sprintf(selectPage, place.Query, len(place.Args)+1, pageEvents, pageBytes), Args: append(place.Args, s.types)}
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
