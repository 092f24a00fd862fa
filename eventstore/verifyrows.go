package eventstore

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"
)

// Each finds the first row that is not as the order of the whole log wants it:
// what a walk along one origin's positions cannot see. They look at one moment
// of the log each, and read indexes only, but for what they find.
var rowChecks = []struct{ problem, sql string }{
	{"its seq does not follow the one before: %d", `
		SELECT origin, pos, seq FROM events WHERE seq = (
			SELECT seq FROM (SELECT seq, lag(seq, 1, 0::bigint) OVER (ORDER BY seq) AS before FROM events) AS s WHERE seq <> before + 1 ORDER BY seq LIMIT 1)`},
	{"the log ends at seq %d, and the head says otherwise", `
		SELECT e.origin, e.pos, e.seq FROM log_head AS h, LATERAL (SELECT * FROM events ORDER BY seq DESC LIMIT 1) AS e WHERE e.seq <> h.seq`},
	{"it lies behind the head of its log, as seq %d", `
		SELECT e.origin, e.pos, e.seq FROM log_head AS h, LATERAL (SELECT * FROM events WHERE origin = h.site ORDER BY pos DESC LIMIT 1) AS e WHERE e.pos > h.pos`},
	{"its version in its stream does not follow the one before: seq %d", `
		SELECT e.origin, e.pos, e.seq FROM (
			SELECT stream, ver, origin, lag(ver, 1, 0::bigint) OVER w AS before, lag(origin) OVER w AS owner
			FROM events WINDOW w AS (PARTITION BY stream ORDER BY ver)) AS v
		JOIN events AS e ON e.stream = v.stream AND e.ver = v.ver AND e.origin = v.origin
		LEFT JOIN events AS p ON p.stream = v.stream AND p.ver = v.before AND p.origin = v.origin
		WHERE (v.ver <> v.before + 1 OR v.owner <> v.origin)
		  -- unless what comes between was withheld from us, or was lost
		  AND (v.owner <> v.origin OR NOT EXISTS (
			SELECT FROM withheld AS w WHERE w.origin = v.origin AND w."after" < e.pos AND w.through > coalesce(p.pos, 0)))
		ORDER BY e.seq LIMIT 1`},
}

// VerifyRows holds the whole log, all origins together, against what is promised
// of seq, of the head and of the versions in streams. It returns false in OK
// with the first row that breaks it; origin and position are the row's.
func (s *Store) VerifyRows(ctx context.Context) (Verified, error) {
	for _, c := range rowChecks {
		var v Verified
		var seq int64
		err := s.pool.QueryRow(ctx, c.sql).Scan(&v.Origin, &v.BadPosition, &seq)
		if errors.Is(err, pgx.ErrNoRows) {
			continue
		}
		if err != nil {
			return Verified{}, fmt.Errorf("verify the order of the log: %w", err)
		}
		v.Problem = fmt.Sprintf(c.problem, seq)
		return v, nil
	}
	return Verified{OK: true}, nil
}
