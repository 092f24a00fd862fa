package projections

import (
	"context"
	"encoding/hex"
	"fmt"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
)

// kept leaves out, of a request q and its answer s, what this site or the one
// with which it shares them has cleared away: both hold the rest.
const kept = `NOT coalesce(` + finishedBy + `(SELECT max(r.through) FROM readmodel.retention AS r, log_head AS h
	WHERE $1::text IN ('', h.site) OR r.site IN ($1, h.site)), false)`

// Scope says which rows a digest is of. The zero value is all of them.
type Scope struct {
	// RequestOrigin narrows requests, and the responses to them, to those of
	// one request site: what the response site shares with that site.
	RequestOrigin string
	// All adds the read models that are the site's own, and to the settings those
	// that are not public.
	All bool
}

// digests select, for each read model that both sites hold, the key and the
// hash of every row. Times are written as numbers, so that no setting of a
// session shows in them.
var digests = []struct{ name, rows string }{
	{"users", `SELECT id AS key, ROW(id, username, email, full_name, role, profile, active, credential_algorithm,
		credential_hash, limits, access, extract(epoch FROM created_at), pos)::text AS content FROM readmodel.users WHERE $1::text IS NOT NULL`},
	{"profiles", `SELECT name AS key, ROW(name, definition, retired, pos)::text AS content FROM readmodel.profiles
		WHERE $1::text IS NOT NULL`},
	{"request_types", `SELECT name AS key, ROW(name, definition, retired, pos)::text AS content FROM readmodel.request_types
		WHERE $1::text IS NOT NULL`},
	{"request_type_versions", `SELECT name || '/' || version AS key, ROW(name, version, definition, pos)::text AS content
		FROM readmodel.request_type_versions WHERE $1::text IS NOT NULL`},
	{"settings", `SELECT key, ROW(key, definition, pos)::text AS content FROM readmodel.settings
		WHERE (definition ->> 'public')::boolean AND $1::text IS NOT NULL`},
	{"requests", `SELECT id AS key, ROW(q.id, q.origin, q.pos, q.user_id, q.type, q.type_version, q.params, q.name, q.priority,
		extract(epoch FROM q.created_at), q.cancelled_pos, retried_pos, retried_failure)::text AS content
		FROM readmodel.requests AS q LEFT JOIN readmodel.responses AS s ON s.request_id = q.id
		WHERE $1::text IN ('', origin) AND ` + kept},
	{"responses", `SELECT s.request_id AS key, ROW(s.request_id, s.status, s.attempts, s.responder, s.result,
		s.result_count, s.took_ms, s.truncated, s.cached, s.content_type, s.error_code, s.error_detail,
		extract(epoch FROM s.recorded_at), s.pos)::text AS content
		FROM readmodel.responses AS s LEFT JOIN readmodel.requests AS q ON q.id = s.request_id
		WHERE $1::text IN ('', q.origin) AND ` + kept},
}

// ownRows are all rows of a read model, whatever is in them.
const ownRows = `SELECT r::text AS key, r::text AS content FROM readmodel.%s AS r WHERE $1::text IS NOT NULL`

// rows says, by the name of each read model, what its digest is of.
func (s Scope) rows() map[string]string {
	all := map[string]string{}
	for _, d := range digests {
		all[d.name] = d.rows
	}
	if !s.All {
		return all
	}
	for _, u := range Units() {
		for _, m := range u.Models {
			if all[m] == "" || m == "settings" {
				all[m] = fmt.Sprintf(ownRows, m)
			}
		}
	}
	return all
}

const digestOf = `
	SELECT sha256(coalesce(string_agg(sha256(convert_to(content, 'UTF8')), ''::bytea ORDER BY key), ''::bytea))
	FROM (%s) AS rows`

// Digest returns, in hex, the SHA-256 over the hashes of all rows of each
// read model that both sites hold: users, profiles, request_types,
// request_type_versions, settings (the public ones), requests and responses.
// Two sites have equal digests for what has crossed between them, but for
// finished requests that either has cleared away. All are of one moment;
// nothing is locked. A scope may add what is the site's own.
func Digest(ctx context.Context, pool *pgxpool.Pool, s Scope) (map[string]string, error) {
	sums := map[string]string{}
	moment := pgx.TxOptions{IsoLevel: pgx.RepeatableRead, AccessMode: pgx.ReadOnly}
	err := pgx.BeginTxFunc(ctx, pool, moment, func(tx pgx.Tx) error {
		for name, rows := range s.rows() {
			var sum []byte
			if err := tx.QueryRow(ctx, fmt.Sprintf(digestOf, rows), s.RequestOrigin).Scan(&sum); err != nil {
				return fmt.Errorf("digest of %s: %w", name, err)
			}
			sums[name] = hex.EncodeToString(sum)
		}
		return nil
	})
	return sums, err
}
