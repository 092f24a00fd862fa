// Package session keeps what refresh tokens stand for:
//
//	login ─▶ token 1 ─refresh▶ token 2 ─refresh▶ token 3 …     one session
//	            └─ shown again later: somebody has a copy ─▶ the session is closed
//
// # Promised
//
//   - A refresh token is 256 random bits, shown once; only its SHA-256 is kept.
//   - It is good once, for seven days. Its successor replaces it.
//   - A spent token that is shown again closes its session, whoever showed it
//     (RFC 9700, 4.14.2): the thief and the owner cannot be told apart. In the
//     first ten seconds it is given another successor instead: the answer that
//     held the first one may have been lost.
//
// Sessions that have expired are removed on the way, a few at each opening.
package session

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
)

const (
	// Lifetime is how long a refresh token is good.
	Lifetime = 7 * 24 * time.Hour
	// Grace is how long a spent token is still taken for a repeated call.
	Grace = 10 * time.Second

	tokenBytes = 32
	tokenText  = 43 // in base64url
)

// ErrInvalid says that a refresh token is unknown, expired, or of a closed
// session.
var ErrInvalid = errors.New("the refresh token is not valid: log in again")

// ReusedError says that a spent token was shown again and that its session
// was closed for it.
type ReusedError struct {
	Session string
}

func (e *ReusedError) Error() string {
	return "the refresh token was used before, so its session was closed: log in again"
}

// Store keeps the sessions of one site. It is safe for concurrent use.
type Store struct {
	pool *pgxpool.Pool
	now  func() time.Time
}

// New returns a store in a migrated database. A nil now means time.Now.
func New(pool *pgxpool.Pool, now func() time.Time) *Store {
	if now == nil {
		now = time.Now
	}
	return &Store{pool: pool, now: now}
}

// Session is one login and what followed from it.
type Session struct {
	ID    string
	User  string
	Token string // the refresh token to give out; empty when closed
}

// Open begins a user's session.
func (s *Store) Open(ctx context.Context, user string) (Session, error) {
	id, err := uuid.NewRandom()
	if err != nil {
		return Session{}, fmt.Errorf("make a session id: %w", err)
	}
	now, out := s.now().UTC(), Session{ID: id.String(), User: user}
	err = pgx.BeginFunc(ctx, s.pool, func(tx pgx.Tx) error {
		b := &pgx.Batch{}
		b.Queue(`DELETE FROM sessions WHERE id IN
			(SELECT id FROM sessions WHERE expires_at < $1 ORDER BY expires_at LIMIT 20 FOR UPDATE SKIP LOCKED)`, now)
		b.Queue(`INSERT INTO sessions (id, user_id, opened_at, expires_at) VALUES ($1, $2, $3, $4)`,
			out.ID, user, now, now.Add(Lifetime))
		out.Token = queueToken(b, out.ID, now)
		return tx.SendBatch(ctx, b).Close()
	})
	if err != nil {
		return Session{}, fmt.Errorf("open a session: %w", err)
	}
	return out, nil
}

// queueToken queues a new token of a session and returns it.
func queueToken(b *pgx.Batch, session string, now time.Time) string {
	raw := make([]byte, tokenBytes)
	rand.Read(raw) // never fails: crypto/rand ends the program instead
	token := base64.RawURLEncoding.EncodeToString(raw)
	hash := sha256.Sum256([]byte(token))
	b.Queue(`INSERT INTO refresh_tokens (hash, session_id, expires_at) VALUES ($1, $2, $3)`,
		hash[:], session, now.Add(Lifetime))
	return token
}

// spent is what the database knows of a token.
type spent struct {
	session Session
	expires time.Time
	used    *time.Time
	closed  bool
}

// No lock is needed: of two calls with one token at the same moment the second
// is within the grace of the first, and what is given out by a session that is
// closed meanwhile belongs to a closed session.
//
//nolint:gosec // a statement, no credential
const selectToken = `
	SELECT s.id::text, s.user_id, t.expires_at, t.used_at, s.closed_at IS NOT NULL
	FROM refresh_tokens AS t JOIN sessions AS s ON s.id = t.session_id
	WHERE t.hash = $1`

func find(ctx context.Context, tx pgx.Tx, hash [sha256.Size]byte) (spent, error) {
	var t spent
	err := tx.QueryRow(ctx, selectToken, hash[:]).Scan(&t.session.ID, &t.session.User, &t.expires, &t.used, &t.closed)
	if errors.Is(err, pgx.ErrNoRows) {
		return t, ErrInvalid
	}
	return t, err
}

// Refresh spends a token and returns its session with the next one. Errors:
// [ErrInvalid], [*ReusedError], or the database's.
func (s *Store) Refresh(ctx context.Context, token string) (Session, error) {
	if len(token) != tokenText {
		return Session{}, ErrInvalid
	}
	hash, now := sha256.Sum256([]byte(token)), s.now().UTC()
	var out Session
	var reused bool
	err := pgx.BeginFunc(ctx, s.pool, func(tx pgx.Tx) error {
		t, err := find(ctx, tx, hash)
		if err != nil {
			return err
		}
		if t.closed || !now.Before(t.expires) {
			return ErrInvalid
		}
		out = t.session
		if reused = t.used != nil && now.Sub(*t.used) > Grace; reused {
			_, err := tx.Exec(ctx, `UPDATE sessions SET closed_at = clock_timestamp() WHERE id = $1`, out.ID)
			return err
		}
		b := &pgx.Batch{}
		b.Queue(`UPDATE refresh_tokens SET used_at = coalesce(used_at, $2) WHERE hash = $1`, hash[:], now)
		b.Queue(`UPDATE sessions SET expires_at = $2 WHERE id = $1`, out.ID, now.Add(Lifetime))
		out.Token = queueToken(b, out.ID, now)
		return tx.SendBatch(ctx, b).Close()
	})
	switch {
	case errors.Is(err, ErrInvalid):
		return Session{}, ErrInvalid
	case err != nil:
		return Session{}, fmt.Errorf("refresh a session: %w", err)
	case reused:
		return Session{}, &ReusedError{Session: out.ID}
	}
	return out, nil
}

// Close ends the session that a token belongs to and returns it, or
// [ErrInvalid] for a token that is none. To close twice is no error.
func (s *Store) Close(ctx context.Context, token string) (Session, error) {
	if len(token) != tokenText {
		return Session{}, ErrInvalid
	}
	hash := sha256.Sum256([]byte(token))
	var out Session
	err := s.pool.QueryRow(ctx, `
		UPDATE sessions AS s SET closed_at = coalesce(closed_at, clock_timestamp())
		FROM refresh_tokens AS t WHERE t.hash = $1 AND s.id = t.session_id
		RETURNING s.id::text, s.user_id`, hash[:]).Scan(&out.ID, &out.User)
	switch {
	case errors.Is(err, pgx.ErrNoRows):
		return Session{}, ErrInvalid
	case err != nil:
		return Session{}, fmt.Errorf("close a session: %w", err)
	}
	return out, nil
}
