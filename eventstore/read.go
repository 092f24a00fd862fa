package eventstore

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"sallyport/domain"
)

// MaxPage bounds a page of events.
const MaxPage = 5000

const selectRecords = `SELECT seq, origin, stored_at, line FROM events `

// Read returns up to limit events with seq > after, in the order in which
// this site stored them, and asserts that none is missing. An empty page
// means the end of the log.
func (s *Store) Read(ctx context.Context, after int64, limit int) ([]Record, error) {
	records, err := s.query(ctx, selectRecords+`WHERE seq > $1 ORDER BY seq LIMIT $2`, after, page(limit))
	if err != nil {
		return nil, err
	}
	for i, r := range records {
		if want := after + 1 + int64(i); r.Seq != want {
			return nil, s.Hole(want, r.Seq)
		}
	}
	return records, nil
}

// ReadStream returns all events of a stream in the order of their versions;
// none if it does not exist.
func (s *Store) ReadStream(ctx context.Context, stream string) ([]Record, error) {
	return s.query(ctx, selectRecords+`WHERE stream = $1 ORDER BY ver`, stream)
}

// At returns this site's own events at some positions, in order.
func (s *Store) At(ctx context.Context, positions []int64) ([]Record, error) {
	return s.query(ctx, selectRecords+`WHERE origin = $1 AND pos = ANY ($2) ORDER BY pos`, s.site.Site, positions)
}

func page(limit int) int { return min(max(limit, 1), MaxPage) }

func (s *Store) query(ctx context.Context, sql string, args ...any) ([]Record, error) {
	rows, err := s.pool.Query(ctx, sql, args...)
	if err != nil {
		return nil, fmt.Errorf("read the log: %w", err)
	}
	records, err := pgx.CollectRows(rows, scanRecord)
	if err != nil {
		return nil, fmt.Errorf("read the log: %w", err)
	}
	return records, nil
}

func scanRecord(row pgx.CollectableRow) (Record, error) {
	var r Record
	if err := row.Scan(&r.Seq, &r.Origin, &r.StoredAt, &r.Line); err != nil {
		return Record{}, err
	}
	var err error
	if r.Event, err = decodeLine(r.Line); err != nil {
		return Record{}, fmt.Errorf("seq %d: %w; run `sallyport audit verify`", r.Seq, err)
	}
	if r.Event, err = domain.Upcast(r.Event); err != nil {
		return r, err
	}
	r.Fact, err = domain.Decode(r.Event)
	return r, err
}

// Line is a stored line as the bridge and the auditor read it: undecoded.
type Line struct {
	Pos    int64
	Stream string
	Type   string
	Bytes  []byte
}

// MaxPageBytes bounds a page of lines, in bytes: a line may be 16 MiB long,
// and a page of thousands of them would not fit into memory.
const MaxPageBytes = 16 << 20

// The sum is made of the lengths alone, so that what does not belong to the
// page is neither unpacked nor sent.
const selectLines = `
	SELECT pos, stream, type, line FROM (
		SELECT pos, stream, type, line, octet_length(line) AS bytes,
		       sum(octet_length(line)) OVER (ORDER BY pos ROWS UNBOUNDED PRECEDING) AS through_here
		FROM (SELECT pos, stream, type, line FROM events
		      WHERE origin = $1 AND pos > $2 AND pos <= $3 ORDER BY pos LIMIT $4) AS page) AS measured
	WHERE through_here <= $5 OR through_here = bytes ORDER BY pos`

// ReadLines returns lines of one origin with pos in (after, through], in
// order: up to limit of them and up to [MaxPageBytes], but one line at least,
// however long. Only an empty page means that there are no more. Positions
// that the origin withheld are missing.
func (s *Store) ReadLines(ctx context.Context, origin string, after, through int64, limit int) ([]Line, error) {
	rows, err := s.pool.Query(ctx, selectLines, origin, after, through, page(limit), MaxPageBytes)
	if err != nil {
		return nil, fmt.Errorf("read the log of %s: %w", origin, err)
	}
	lines, err := pgx.CollectRows(rows, pgx.RowToStructByPos[Line])
	if err != nil {
		return nil, fmt.Errorf("read the log of %s: %w", origin, err)
	}
	return lines, nil
}

// ReadWithheld returns the runs of positions that an origin withheld from
// this site, in order, up to limit from after on.
func (s *Store) ReadWithheld(ctx context.Context, origin string, after int64, limit int) ([]Withheld, error) {
	rows, err := s.pool.Query(ctx, `SELECT "after", through, chain FROM withheld
		WHERE origin = $1 AND "after" >= $2 ORDER BY "after" LIMIT $3`, origin, after, page(limit))
	if err != nil {
		return nil, fmt.Errorf("read what %s withheld: %w", origin, err)
	}
	return pgx.CollectRows(rows, func(row pgx.CollectableRow) (Withheld, error) {
		var w Withheld
		var chain []byte
		if err := row.Scan(&w.After, &w.Through, &chain); err != nil {
			return w, err
		}
		w.Chain = Hash(chain)
		return w, nil
	})
}

// Origins returns, for each stream that exists, the site that writes it.
func (s *Store) Origins(ctx context.Context, streams []string) (map[string]string, error) {
	rows, err := s.pool.Query(ctx, `SELECT stream, origin FROM events WHERE stream = ANY($1) AND ver = 1`, streams)
	if err != nil {
		return nil, fmt.Errorf("look up the streams' origins: %w", err)
	}
	origins := make(map[string]string, len(streams))
	var stream, origin string
	_, err = pgx.ForEachRow(rows, []any{&stream, &origin}, func() error {
		origins[stream] = origin
		return nil
	})
	return origins, err
}

// Pool opens a connection pool with the settings that the log relies on: a
// holder of the head that falls asleep is cut off after ten seconds, and tables
// are read by their indexes. A connection keeps the plans that it made when the
// tables were small, and a plan that reads a whole table would cost more with
// each event until somebody analyses it. Each of change may add to them.
func Pool(ctx context.Context, url string, maxConns int32, change ...func(*pgxpool.Config)) (*pgxpool.Pool, error) {
	c, err := pgxpool.ParseConfig(url)
	if err != nil {
		return nil, errors.New("the database URL does not parse (it is not shown: it may hold a password)")
	}
	c.MaxConns = maxConns
	c.MaxConnIdleTime = 5 * time.Minute
	c.ConnConfig.RuntimeParams["application_name"] = programName(domain.Generation())
	c.ConnConfig.RuntimeParams["timezone"] = "UTC"
	c.ConnConfig.RuntimeParams["enable_seqscan"] = "off"
	c.ConnConfig.RuntimeParams["jit"] = "off" // it takes what is off for dear, and compiles it
	c.ConnConfig.RuntimeParams["lock_timeout"] = "10s"
	c.ConnConfig.RuntimeParams["idle_in_transaction_session_timeout"] = "10s"
	for _, f := range change {
		f(c)
	}
	pool, err := pgxpool.NewWithConfig(ctx, c)
	if err != nil {
		return nil, fmt.Errorf("open the database: %w", err)
	}
	return pool, nil
}
