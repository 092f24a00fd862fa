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
//   - Opening and ending a session are events in `session-<id>`, stored in one
//     transaction with the rows that are looked up. Refreshing is none. All
//     sessions of a user end with a new password and with deactivation, on
//     every site where that event arrives, see [Ends].
//   - A site whose log is read-only opens and ends sessions without events:
//     people must be able to look at it.
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

	"sallyport/domain"
	"sallyport/eventstore"
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
	log  *eventstore.Store
	pool *pgxpool.Pool
	now  func() time.Time
}

// New returns a store in the database of a log. A nil now means time.Now.
func New(log *eventstore.Store, pool *pgxpool.Pool, now func() time.Time) *Store {
	if now == nil {
		now = time.Now
	}
	return &Store{log: log, pool: pool, now: now}
}

// Caller is who opens or ends a session, as events tell it.
type Caller struct {
	IP    string
	Agent string // what the client calls itself
	Corr  string // the call's id
}

// Session is one login and what followed from it.
type Session struct {
	ID    string
	User  string
	Token string // the refresh token to give out; empty when closed
	// Position is where the log has that it was opened; 0: it was opened before,
	// or while the log was read-only.
	Position int64
}

// Open begins a user's session.
func (s *Store) Open(ctx context.Context, user string, by Caller) (Session, error) {
	id, err := uuid.NewRandom()
	if err != nil {
		return Session{}, fmt.Errorf("make a session id: %w", err)
	}
	now := s.now().UTC()
	if err := s.sweep(ctx, now); err != nil {
		return Session{}, err
	}
	out := Session{ID: id.String(), User: user, Token: newToken()}
	rows := func(ctx context.Context, tx pgx.Tx) error {
		b := &pgx.Batch{}
		b.Queue(`INSERT INTO sessions (id, user_id, opened_at, expires_at) VALUES ($1, $2, $3, $4)`,
			out.ID, user, now, now.Add(Lifetime))
		queueToken(b, out, now)
		return tx.SendBatch(ctx, b).Close()
	}
	stored, err := s.log.Append(ctx, eventstore.Append{Actor: domain.UserStream(user), Corr: by.Corr, With: rows, Writes: []eventstore.Write{{
		Stream: domain.SessionStream(out.ID), Facts: []domain.Fact{domain.OpenSession(user, by.IP, by.Agent, domain.ByPassword)}}}})
	if isReadOnly(err) {
		err = pgx.BeginFunc(ctx, s.pool, func(tx pgx.Tx) error { return rows(ctx, tx) })
	}
	if err != nil {
		return Session{}, fmt.Errorf("open a session: %w", err)
	}
	if len(stored) > 0 {
		out.Position = stored[0].Seq
	}
	return out, nil
}

// sweep removes some sessions that have expired. It has a transaction of its
// own: who holds rows of sessions must not wait for the log's head.
func (s *Store) sweep(ctx context.Context, now time.Time) error {
	_, err := s.pool.Exec(ctx, `DELETE FROM sessions WHERE id IN
		(SELECT id FROM sessions WHERE expires_at < $1 ORDER BY expires_at LIMIT 20 FOR UPDATE SKIP LOCKED)`, now)
	if err != nil {
		return fmt.Errorf("remove expired sessions: %w", err)
	}
	return nil
}

func isReadOnly(err error) bool {
	var readOnly *eventstore.ReadOnlyError
	return errors.As(err, &readOnly)
}

func newToken() string {
	raw := make([]byte, tokenBytes)
	rand.Read(raw) // never fails: crypto/rand ends the program instead
	return base64.RawURLEncoding.EncodeToString(raw)
}

func queueToken(b *pgx.Batch, of Session, now time.Time) {
	hash := sha256.Sum256([]byte(of.Token))
	b.Queue(`INSERT INTO refresh_tokens (hash, session_id, expires_at) VALUES ($1, $2, $3)`,
		hash[:], of.ID, now.Add(Lifetime))
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

type querier interface {
	QueryRow(ctx context.Context, sql string, args ...any) pgx.Row
}

func find(ctx context.Context, db querier, token string) (spent, error) {
	var t spent
	if len(token) != tokenText {
		return t, ErrInvalid
	}
	hash := sha256.Sum256([]byte(token))
	err := db.QueryRow(ctx, selectToken, hash[:]).Scan(&t.session.ID, &t.session.User, &t.expires, &t.used, &t.closed)
	if errors.Is(err, pgx.ErrNoRows) {
		return t, ErrInvalid
	}
	return t, err
}

// Refresh spends a token and returns its session with the next one. Errors:
// [ErrInvalid], [*ReusedError], or the database's.
func (s *Store) Refresh(ctx context.Context, token string, by Caller) (Session, error) {
	now := s.now().UTC()
	var out Session
	var reused bool
	err := pgx.BeginFunc(ctx, s.pool, func(tx pgx.Tx) error {
		t, err := find(ctx, tx, token)
		if err != nil {
			return err
		}
		if t.closed || !now.Before(t.expires) {
			return ErrInvalid
		}
		out = t.session
		if reused = t.used != nil && now.Sub(*t.used) > Grace; reused {
			return nil
		}
		out.Token = newToken()
		return succeed(ctx, tx, token, out, now)
	})
	if err == nil && reused {
		err = s.end(ctx, out, by, func(d domain.Session) []domain.Fact { return d.DetectReuse(by.IP, by.Agent) })
	}
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

// succeed stores a token's successor.
func succeed(ctx context.Context, tx pgx.Tx, token string, next Session, now time.Time) error {
	hash := sha256.Sum256([]byte(token))
	b := &pgx.Batch{}
	b.Queue(`UPDATE refresh_tokens SET used_at = coalesce(used_at, $2) WHERE hash = $1`, hash[:], now)
	b.Queue(`UPDATE sessions SET expires_at = $2 WHERE id = $1`, next.ID, now.Add(Lifetime))
	queueToken(b, next, now)
	return tx.SendBatch(ctx, b).Close()
}
