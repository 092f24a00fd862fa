package projections

import (
	"context"
	"fmt"
	"strings"
	"unicode"

	"github.com/google/uuid"

	"sallyport/domain"
)

// UserFilter says which users a list is of. The zero value is all of them.
type UserFilter struct {
	// Search is what a username, an address or a full name has in it, in letters
	// of either case.
	Search  string
	Role    domain.UserRole
	Profile string
	Active  *bool // nil: whether or not
	Page
}

// Users returns a page of the users that the filter names, ordered by
// username, and the cursor of the next page: empty at the end. A cursor that
// this method did not give is refused with [ErrCursor].
func (r *Reader) Users(ctx context.Context, f UserFilter) ([]User, string, error) {
	w, err := f.conditions()
	if err != nil {
		return nil, "", err
	}
	users, err := r.usersWhere(ctx, w, f.limit()+1)
	if err != nil || len(users) <= f.limit() {
		return users, "", err
	}
	users = users[:f.limit()]
	return users, afterUser(users[len(users)-1]), nil
}

func afterUser(u User) string { return cursor(u.Username, u.ID) }

// Every row is looked at, which takes a tenth of a second for 100,000 users
// (ADR 13).
func (f UserFilter) conditions() (w conditions, _ error) {
	username, id, err := f.after()
	if err == nil && f.Cursor != "" && uuid.Validate(id) != nil { // another list's
		err = ErrCursor
	}
	w.add(f.Cursor != "", "(username, id) > (?, ?)", text(username), text(id))
	w.add(f.Search != "", `(username || E'\n' || email || E'\n' || full_name) ~ ?`, text(inEitherCase(f.Search)))
	w.add(f.Role != "", "role = ?", text(string(f.Role)))
	w.add(f.Profile != "", "profile = ?", text(f.Profile))
	if f.Active != nil {
		w.add(true, "active = ?", *f.Active)
	}
	return w, err
}

func (r *Reader) usersWhere(ctx context.Context, w conditions, limit int) ([]User, error) {
	w.args = append(w.args, limit)
	return many(ctx, r, scanUser, selectUsers+w.where()+fmt.Sprintf(` ORDER BY username, id LIMIT $%d`, len(w.args)), w.args...)
}

// inEitherCase is a regular expression that matches a text in letters of
// either case, whatever the database's locale knows of letters.
func inEitherCase(s string) string {
	var b strings.Builder
	for _, r := range s {
		switch other := unicode.SimpleFold(r); {
		case other != r:
			b.WriteByte('[')
			for ; other != r; other = unicode.SimpleFold(other) {
				b.WriteRune(other)
			}
			b.WriteString(string(r) + "]")
		case r < unicode.MaxASCII && !unicode.IsDigit(r):
			b.WriteString(`\` + string(r))
		default:
			b.WriteRune(r)
		}
	}
	return b.String()
}

// Entitled is a user who may use a request type.
type Entitled struct {
	User
	Rights domain.Rights
}

// atOnce is how many users are weighed in one go.
const atOnce = 1000

// EntitledTo returns a page of the users who may use a request type, ordered
// by username, and the cursor of the next page: empty at the end. A cursor that
// this method did not give is refused with [ErrCursor].
func (r *Reader) EntitledTo(ctx context.Context, t domain.RequestTypeDefined, p Page) ([]Entitled, string, error) {
	profiles, err := r.Profiles(ctx, false)
	if err != nil {
		return nil, "", err
	}
	known := make(map[string]*domain.ProfileDefined, len(profiles))
	var allowing []string
	for _, one := range profiles {
		known[one.Name] = &one.ProfileDefined
		if (domain.Rights{Active: true, Profile: &one.ProfileDefined}).Rule(t.Name, t.Public).Allowed {
			allowing = append(allowing, one.Name)
		}
	}
	var found []Entitled
	for {
		users, err := r.perhapsEntitled(ctx, t.Name, allowing, p.Cursor)
		if err != nil {
			return nil, "", err
		}
		for _, u := range users {
			rights := domain.Rights{Active: u.Active, Profile: known[u.Profile], Limits: u.Limits, Access: u.Access}
			if !rights.Rule(t.Name, t.Public).Allowed {
				continue
			}
			if len(found) == p.limit() {
				return found, afterUser(found[len(found)-1].User), nil
			}
			found = append(found, Entitled{u, rights})
		}
		if len(users) < atOnce {
			return found, "", nil
		}
		p.Cursor = afterUser(users[len(users)-1])
	}
}

// perhapsEntitled are the users whose profile allows a type, and those of whom
// something was said about it: nobody else can be entitled.
func (r *Reader) perhapsEntitled(ctx context.Context, requestType string, allowing []string, cursor string) ([]User, error) {
	w, err := UserFilter{Page: Page{Cursor: cursor}}.conditions()
	if err != nil {
		return nil, err
	}
	w.add(true, "(profile = ANY (?) OR access -> ? IS NOT NULL)", allowing, text(requestType))
	return r.usersWhere(ctx, w, atOnce)
}
