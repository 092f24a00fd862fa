package projections

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/jackc/pgx/v5"

	"sallyport/domain"
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
	Limits     domain.LimitsOverridden  // the user's own
	Access     map[string]domain.Access // what was said of single request types
	CreatedAt  time.Time                // when the user was registered, by the clock of that site
	Pos        int64                    // of the user's newest event, in its origin's log
}

// LogValue keeps everything but the id out of logs.
func (u User) LogValue() slog.Value { return slog.StringValue(u.ID) }

const selectUsers = `SELECT id, username, email, full_name, role, profile, active,
	credential_algorithm, credential_hash, limits, access, created_at, pos FROM readmodel.users `

func scanUser(row pgx.CollectableRow) (User, error) {
	var u User
	err := row.Scan(&u.ID, &u.Username, &u.Email, &u.FullName, &u.Role, &u.Profile, &u.Active,
		&u.Credential.Algorithm, &u.Credential.Hash, &u.Limits, &u.Access, &u.CreatedAt, &u.Pos)
	u.CreatedAt = u.CreatedAt.UTC()
	if len(u.Access) == 0 {
		u.Access = nil
	}
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

// UserFrom returns the first user whose username is not before a text, or the
// first of all, or [ErrNotFound] if there is none.
func (r *Reader) UserFrom(ctx context.Context, username string) (User, error) {
	u, err := one(ctx, r, scanUser, selectUsers+`WHERE username >= $1 ORDER BY username, pos LIMIT 1`, text(username))
	if errors.Is(err, ErrNotFound) {
		return one(ctx, r, scanUser, selectUsers+`ORDER BY username, pos LIMIT 1`)
	}
	return u, err
}

// ActiveAdmins returns some of those who may administer the site, no more than
// limit, as the tables say.
func (r *Reader) ActiveAdmins(ctx context.Context, limit int) ([]User, error) {
	return many(ctx, r, scanUser, selectUsers+`WHERE role = $1 AND active ORDER BY id LIMIT $2`, domain.RoleAdmin, limit)
}

// ProfileInUse reports whether any user has a profile.
func (r *Reader) ProfileInUse(ctx context.Context, profile string) (bool, error) {
	return one(ctx, r, pgx.RowTo[bool], `SELECT EXISTS (SELECT FROM readmodel.users WHERE profile = $1)`, text(profile))
}

// AnyUser reports whether the site knows a user yet.
func (r *Reader) AnyUser(ctx context.Context) (bool, error) {
	return one(ctx, r, pgx.RowTo[bool], `SELECT EXISTS (SELECT FROM readmodel.users)`)
}

// UserCount says how many users have a role, and are active or not.
type UserCount struct {
	Role   domain.UserRole
	Active bool
	Count  int64
}

// CountUsers counts all users.
func (r *Reader) CountUsers(ctx context.Context) ([]UserCount, error) {
	return many(ctx, r, pgx.RowToStructByPos[UserCount], `SELECT role, active, count(*) FROM readmodel.users GROUP BY role, active`)
}
