package rebuild

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"sallyport/projections/tally"
)

// Status says how one read model stands.
type Status struct {
	Model string `json:"model"`
	Rows  int64  `json:"rows"`
	Bytes int64  `json:"bytes"` // on disk, indexes included
	// Seq is the log's position that it reflects: that of the head where it
	// commits with the events, and how far is counted where it follows them.
	Seq int64 `json:"seq"`
	// RebuiltAt, RebuiltSeq and TookMS are of its last rebuild; nil and 0: there
	// was none.
	RebuiltAt  *time.Time `json:"rebuilt_at"`
	RebuiltSeq int64      `json:"rebuilt_seq"`
	TookMS     int64      `json:"took_ms"`
	// Leftover is how many bytes a rebuild has made or replaced and not dropped:
	// it is running, or was killed.
	Leftover int64    `json:"leftover_bytes"`
	Together []string `json:"together"` // what is rebuilt with it, itself included
}

// Overview is how all read models stand at one moment.
type Overview struct {
	Models []Status `json:"models"`
	// Running says that a rebuild is at work: then what is left over is its own.
	Running bool `json:"running"`
}

const selectStatus = `
	SELECT CASE WHEN $2 THEN (SELECT max(seq) FROM readmodel.requests_counted) ELSE (SELECT seq FROM log_head) END, (SELECT count(*) FROM %[1]s), pg_total_relation_size('%[1]s'::regclass),
	       (SELECT coalesce(sum(pg_total_relation_size(c.oid)), 0)::bigint FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
	        WHERE n.nspname IN ('readmodel_rebuild', 'readmodel_replaced') AND c.relkind = 'r' AND c.relname = $1),
	       r.rebuilt_at, coalesce(r.seq, 0), coalesce(r.took_ms, 0)
	FROM (SELECT) AS one LEFT JOIN rebuilds AS r ON r.model = $1`

// Only the one that rebuilds holds this lock.
const selectRunning = `
	WITH key AS (SELECT hashtextextended('sallyport/rebuild', 0) AS k)
	SELECT EXISTS (SELECT FROM pg_locks AS l, key WHERE l.locktype = 'advisory' AND l.granted AND l.objsubid = 1
		AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
		AND l.classid::bigint = (k >> 32) & 4294967295 AND l.objid::bigint = k & 4294967295)`

// Look says how the read models stand, all at one moment. It counts rows, which
// takes a while where there are many, and locks nothing.
func Look(ctx context.Context, pool *pgxpool.Pool) (o Overview, err error) {
	moment := pgx.TxOptions{IsoLevel: pgx.RepeatableRead, AccessMode: pgx.ReadOnly}
	err = pgx.BeginTxFunc(ctx, pool, moment, func(tx pgx.Tx) error {
		for _, u := range units() {
			for _, m := range u.Models {
				s := Status{Model: m, Together: u.Models}
				table := pgx.Identifier{"readmodel", m}.Sanitize()
				err := tx.QueryRow(ctx, fmt.Sprintf(selectStatus, table), m, slices.Contains(tally.Models(), m)).Scan(&s.Seq, &s.Rows, &s.Bytes, &s.Leftover, &s.RebuiltAt, &s.RebuiltSeq, &s.TookMS)
				if err != nil {
					return fmt.Errorf("look at the read model %s: %w", m, err)
				}
				o.Models = append(o.Models, s)
			}
		}
		return tx.QueryRow(ctx, selectRunning).Scan(&o.Running)
	})
	return o, err
}
