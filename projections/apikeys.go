package projections

import (
	"context"
	"encoding/hex"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"sallyport/domain"
	"sallyport/eventstore"
)

// APIKey is an API key of this site. The key itself is known to nobody here.
type APIKey struct {
	ID         string
	User       string // the owner's id
	Name       string
	Prefix     string
	Hash       [32]byte // SHA-256 of the key
	Scopes     []domain.Scope
	CreatedAt  time.Time
	ExpiresAt  time.Time // zero: never
	RevokedAt  time.Time // zero: it is good
	LastUsedAt time.Time // zero: not yet, as far as was written down
}

// Good reports whether the key may still be used.
func (k APIKey) Good(now time.Time) bool {
	return k.RevokedAt.IsZero() && (k.ExpiresAt.IsZero() || now.Before(k.ExpiresAt))
}

// LogValue keeps everything but the id out of logs.
func (k APIKey) LogValue() slog.Value { return slog.StringValue(k.ID) }

//nolint:gosec // statements, no credentials
const (
	insertAPIKeys = `
	INSERT INTO readmodel.api_keys (id, user_id, name, prefix, hash, scopes, created_at, expires_at, pos)
	SELECT id, user_id, name, prefix, decode(hash, 'hex'), string_to_array(scopes, ' '), created_at, expires_at, pos
	FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::timestamptz[], $8::timestamptz[], $9::bigint[])
	     AS e(id, user_id, name, prefix, hash, scopes, created_at, expires_at, pos)
	ON CONFLICT (id) DO NOTHING`
	revokeAPIKeys = `
	UPDATE readmodel.api_keys AS k SET revoked_at = e.at, pos = e.pos
	FROM (SELECT DISTINCT ON (id) * FROM unnest($1::text[], $2::timestamptz[], $3::bigint[]) AS e(id, at, pos) ORDER BY id, pos DESC) AS e
	WHERE k.id = e.id AND e.pos > k.pos`
)

// applyAPIKeys keeps a table of one origin, the site itself: its events come
// in their order. Of several revocations of a key the newest stands, whether they
// come in one batch or in several.
func applyAPIKeys(b *pgx.Batch, records []eventstore.Record) error {
	var columns [6][]string
	var created, revokedAt []time.Time
	var expires []*time.Time
	var pos, revokedPos []int64
	var revoked []string
	for _, r := range records {
		id := strings.TrimPrefix(r.Stream, domain.APIKeyStream(""))
		switch f := r.Fact.(type) {
		case domain.APIKeyIssued:
			if _, err := hex.DecodeString(f.Hash); err != nil {
				return fmt.Errorf("the hash of the API key %s: %w", id, err)
			}
			for i, s := range []string{id, f.User, f.Name, f.Prefix, f.Hash, scopesText(f.Scopes)} {
				columns[i] = append(columns[i], text(s))
			}
			created, expires, pos = append(created, r.At), append(expires, (*time.Time)(f.ExpiresAt)), append(pos, r.Pos)
		case domain.APIKeyRevoked:
			revoked, revokedAt, revokedPos = append(revoked, id), append(revokedAt, r.At), append(revokedPos, r.Pos)
		}
	}
	if len(created) > 0 {
		b.Queue(insertAPIKeys, columns[0], columns[1], columns[2], columns[3], columns[4], columns[5], created, expires, pos)
	}
	if len(revoked) > 0 {
		b.Queue(revokeAPIKeys, revoked, revokedAt, revokedPos)
	}
	return nil
}

func scopesText(scopes []domain.Scope) string {
	names := make([]string, len(scopes))
	for i, s := range scopes {
		names[i] = string(s)
	}
	return strings.Join(names, " ")
}

//nolint:gosec // a statement, no credential
const selectAPIKeys = `SELECT k.id, k.user_id, k.name, k.prefix, k.hash, k.scopes, k.created_at, k.expires_at, k.revoked_at, u.last_used_at
	FROM readmodel.api_keys AS k LEFT JOIN api_key_uses AS u ON u.id = k.id `

func scanAPIKey(row pgx.CollectableRow) (APIKey, error) {
	var k APIKey
	var hash []byte
	var expires, revoked, used *time.Time
	err := row.Scan(&k.ID, &k.User, &k.Name, &k.Prefix, &hash, &k.Scopes, &k.CreatedAt, &expires, &revoked, &used)
	copy(k.Hash[:], hash)
	k.CreatedAt, k.ExpiresAt, k.RevokedAt, k.LastUsedAt = k.CreatedAt.UTC(), orZero(expires), orZero(revoked), orZero(used)
	return k, err
}

func orZero(t *time.Time) time.Time {
	if t == nil {
		return time.Time{}
	}
	return t.UTC()
}

// APIKey returns the key of a hash, or [ErrNotFound].
func (r *Reader) APIKey(ctx context.Context, hash [32]byte) (APIKey, error) {
	return one(ctx, r, scanAPIKey, selectAPIKeys+`WHERE k.hash = $1`, hash[:])
}

// APIKeys returns a page of the keys that were not revoked, in the order of
// their making, and the cursor of the next page: those of a user, or of all if
// the user is empty. See [Reader.Users] for cursors.
func (r *Reader) APIKeys(ctx context.Context, user string, p Page) ([]APIKey, string, error) {
	at, id, err := p.after()
	if err != nil {
		return nil, "", err
	}
	after := time.Time{}
	if at != "" {
		if after, err = time.Parse(time.RFC3339Nano, at); err != nil {
			return nil, "", ErrCursor
		}
	}
	keys, err := many(ctx, r, scanAPIKey, selectAPIKeys+`WHERE $1 IN ('', k.user_id) AND k.revoked_at IS NULL
		AND (k.created_at, k.id) > ($2, $3) ORDER BY k.created_at, k.id LIMIT $4`, text(user), after, text(id), p.limit()+1)
	if err != nil || len(keys) <= p.limit() {
		return keys, "", err
	}
	keys = keys[:p.limit()]
	last := keys[len(keys)-1]
	return keys, cursor(last.CreatedAt.Format(time.RFC3339Nano), last.ID), nil
}

// CountAPIKeys returns how many keys of a user are good.
func (r *Reader) CountAPIKeys(ctx context.Context, user string, now time.Time) (int, error) {
	return one(ctx, r, pgx.RowTo[int], `SELECT count(*) FROM readmodel.api_keys
		WHERE user_id = $1 AND revoked_at IS NULL AND (expires_at IS NULL OR expires_at > $2)`, text(user), now)
}

// APIKey returns the key of a hash, or [ErrNotFound].
func (d *Directory) APIKey(ctx context.Context, hash [32]byte) (APIKey, error) {
	return copied(lookUp(d, func() map[string]*APIKey { return d.keys }, string(hash[:]),
		func() (APIKey, error) { return d.reader.APIKey(ctx, hash) }))
}
