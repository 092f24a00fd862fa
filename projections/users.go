package projections

import (
	"context"
	"log/slog"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"sallyport/domain"
	"sallyport/eventstore"
)

// User is one user as both sites know them.
type User struct {
	ID         string
	Username   string
	Email      string
	FullName   string
	Role       domain.UserRole
	Profile    string // the profile's name
	Active     bool
	Credential domain.Credential
	CreatedAt  time.Time // when the user was registered, by the clock of that site
	Pos        int64     // of the user's newest event, in its origin's log
}

// LogValue keeps everything but the id out of logs.
func (u User) LogValue() slog.Value { return slog.StringValue(u.ID) }

const upsertUsers = `
	INSERT INTO readmodel.users AS u (id, username, email, full_name, role, profile, active,
	                                  credential_algorithm, credential_hash, created_at, pos)
	SELECT id, username, email, full_name, role, profile, true, algorithm, hash, created_at, pos
	FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[], $8::text[],
	            $9::timestamptz[], $10::bigint[])
	     AS e(id, username, email, full_name, role, profile, algorithm, hash, created_at, pos)
	ON CONFLICT (id) DO UPDATE SET username = excluded.username, email = excluded.email,
		full_name = excluded.full_name, role = excluded.role, profile = excluded.profile, active = excluded.active,
		credential_algorithm = excluded.credential_algorithm, credential_hash = excluded.credential_hash,
		created_at = excluded.created_at, pos = excluded.pos
	WHERE excluded.pos > u.pos`

func applyUsers(b *pgx.Batch, records []eventstore.Record) error {
	var users latest[User]
	for _, r := range records {
		f, ok := r.Fact.(domain.UserRegistered)
		if !ok {
			continue
		}
		id := strings.TrimPrefix(r.Stream, domain.UserStream(""))
		users.fold(id, User{ID: id, Username: f.Username, Email: f.Email, FullName: f.FullName, Role: f.Role,
			Profile: f.Profile, Credential: f.Credential, CreatedAt: r.At, Pos: r.Pos}, newerUser)
	}
	if len(users.keys) == 0 {
		return nil
	}
	queueUsers(b, users)
	return nil
}

func newerUser(before, after User) User {
	if after.Pos > before.Pos {
		return after
	}
	return before
}

func queueUsers(b *pgx.Batch, users latest[User]) {
	n := len(users.keys)
	var columns [7][]string
	for i := range columns {
		columns[i] = make([]string, 0, n)
	}
	at, pos := make([]time.Time, 0, n), make([]int64, 0, n)
	for _, id := range users.keys {
		u := users.rows[id]
		for i, s := range []string{u.Username, u.Email, u.FullName, string(u.Role), u.Profile, u.Credential.Algorithm, u.Credential.Hash} {
			columns[i] = append(columns[i], text(s))
		}
		at, pos = append(at, u.CreatedAt), append(pos, u.Pos)
	}
	b.Queue(upsertUsers, users.keys, columns[0], columns[1], columns[2], columns[3], columns[4], columns[5], columns[6], at, pos)
}

const selectUsers = `SELECT id, username, email, full_name, role, profile, active,
	credential_algorithm, credential_hash, created_at, pos FROM readmodel.users `

func scanUser(row pgx.CollectableRow) (User, error) {
	var u User
	err := row.Scan(&u.ID, &u.Username, &u.Email, &u.FullName, &u.Role, &u.Profile, &u.Active,
		&u.Credential.Algorithm, &u.Credential.Hash, &u.CreatedAt, &u.Pos)
	u.CreatedAt = u.CreatedAt.UTC()
	return u, err
}

// User returns the user of an id, or [ErrNotFound].
func (r *Reader) User(ctx context.Context, id string) (User, error) {
	return one(ctx, r, scanUser, selectUsers+`WHERE id = $1`, text(id))
}

// UserByName returns the user of a username, or [ErrNotFound].
func (r *Reader) UserByName(ctx context.Context, username string) (User, error) {
	return one(ctx, r, scanUser, selectUsers+`WHERE username = $1 ORDER BY pos LIMIT 1`, text(username))
}

// Users returns a page of all users, ordered by username, and the cursor of
// the next page: empty at the end. A cursor that this method did not give is
// refused with [ErrCursor].
func (r *Reader) Users(ctx context.Context, p Page) ([]User, string, error) {
	username, id, err := p.after()
	if err != nil {
		return nil, "", err
	}
	users, err := many(ctx, r, scanUser, selectUsers+`WHERE (username, id) > ($1, $2) ORDER BY username, id LIMIT $3`,
		text(username), text(id), p.limit()+1)
	if err != nil || len(users) <= p.limit() {
		return users, "", err
	}
	users = users[:p.limit()]
	last := users[len(users)-1]
	return users, cursor(last.Username, last.ID), nil
}

// AnyUser reports whether the site knows a user yet.
func (r *Reader) AnyUser(ctx context.Context) (bool, error) {
	return one(ctx, r, pgx.RowTo[bool], `SELECT EXISTS (SELECT FROM readmodel.users)`)
}
