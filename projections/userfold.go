package projections

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"sallyport/domain"
	"sallyport/eventstore"
)

// userChange is what one batch changes of one user; nil: nothing. A user's
// events come from one origin in their order, so that what a batch says last
// is what stands, and a row whose pos is not below the change's has it all.
type userChange struct {
	registered bool // the row begins here; else it is there already
	pos        int64
	createdAt  time.Time
	username, email, fullName, role, profile,
	algorithm, hash *string
	active *bool
	limits *domain.LimitsOverridden
	access map[string]*domain.Access // nil under a name: nothing is said of it any more
}

func (c userChange) after(r eventstore.Record) userChange {
	if r.Pos <= c.pos {
		return c
	}
	c.pos = r.Pos
	switch f := r.Fact.(type) {
	case domain.UserRegistered:
		yes := true
		c = userChange{registered: true, pos: r.Pos, createdAt: r.At, username: &f.Username, email: &f.Email,
			fullName: &f.FullName, profile: &f.Profile, active: &yes, limits: &domain.LimitsOverridden{}}
		c.setRole(f.Role)
		c.setCredential(f.Credential)
	case domain.UserProfileChanged:
		newer(&c.email, f.Email)
		newer(&c.fullName, f.FullName)
		newer(&c.profile, f.Profile)
	case domain.UserRoleChanged:
		c.setRole(f.Role)
	case domain.UserPasswordChanged:
		c.setCredential(f.Credential)
	case domain.UserDeactivated, domain.UserReactivated:
		_, active := f.(domain.UserReactivated)
		c.active = &active
	case domain.LimitsOverridden:
		c.limits = &f
	case domain.LimitsCleared:
		c.limits = &domain.LimitsOverridden{}
	default:
		c.setAccess(f)
	}
	return c
}

func (c *userChange) setRole(r domain.UserRole) {
	role := string(r)
	c.role = &role
}

func (c *userChange) setCredential(given domain.Credential) {
	c.algorithm, c.hash = &given.Algorithm, &given.Hash
}

func (c *userChange) setAccess(f domain.Fact) {
	if c.access == nil {
		c.access = map[string]*domain.Access{}
	}
	if cleared, ok := f.(domain.AccessCleared); ok {
		c.access[cleared.RequestType] = nil
		return
	}
	for name, said := range domain.ApplyAccess(nil, f) {
		c.access[name] = &said
	}
}

func newer[V any](old **V, by *V) {
	if by != nil {
		*old = by
	}
}

func applyUsers(b *pgx.Batch, records []eventstore.Record) error {
	var changes latest[userChange]
	for _, r := range records {
		if k, _ := domain.KindOf(r.Type); k.Stream != userStream {
			continue
		}
		id := strings.TrimPrefix(r.Stream, domain.UserStream(""))
		changes.fold(id, userChange{}.after(r), func(before, _ userChange) userChange { return before.after(r) })
	}
	var begun, changed userRows
	for _, id := range changes.keys {
		rows := &changed
		if changes.rows[id].registered {
			rows = &begun
		}
		if err := rows.add(id, changes.rows[id]); err != nil {
			return err
		}
	}
	begun.queue(b, upsertUsers)
	changed.queue(b, updateUsers)
	return nil
}

const userStream = "user"

const changedUsers = `unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[], $8::text[],
	            $9::boolean[], $10::text[], $11::text[], $12::timestamptz[], $13::bigint[])
	     AS c(id, username, email, full_name, role, profile, algorithm, hash, active, limits, access, created_at, pos)`

// Under a name of which nothing is said any more, access holds null.
const upsertUsers = `
	INSERT INTO readmodel.users AS u (id, username, email, full_name, role, profile, active,
	                                  credential_algorithm, credential_hash, limits, access, created_at, pos)
	SELECT id, username, email, full_name, role, profile, active, algorithm, hash,
	       limits::jsonb, jsonb_strip_nulls(access::jsonb), created_at, pos
	FROM ` + changedUsers + `
	ON CONFLICT (id) DO UPDATE SET username = excluded.username, email = excluded.email,
		full_name = excluded.full_name, role = excluded.role, profile = excluded.profile, active = excluded.active,
		credential_algorithm = excluded.credential_algorithm, credential_hash = excluded.credential_hash,
		limits = excluded.limits, access = excluded.access, created_at = excluded.created_at, pos = excluded.pos
	WHERE excluded.pos > u.pos`

const updateUsers = `
	UPDATE readmodel.users AS u SET email = coalesce(c.email, u.email), full_name = coalesce(c.full_name, u.full_name),
		role = coalesce(c.role, u.role), profile = coalesce(c.profile, u.profile), active = coalesce(c.active, u.active),
		credential_algorithm = coalesce(c.algorithm, u.credential_algorithm),
		credential_hash = coalesce(c.hash, u.credential_hash), limits = coalesce(c.limits::jsonb, u.limits),
		access = jsonb_strip_nulls(u.access || c.access::jsonb), pos = c.pos
	FROM ` + changedUsers + `
	WHERE u.id = c.id AND c.pos > u.pos`

// userRows are the columns that both statements take.
type userRows struct {
	ids       []string
	texts     [7][]*string
	active    []*bool
	limits    []*string
	access    []string
	createdAt []time.Time
	pos       []int64
}

func (u *userRows) add(id string, c userChange) error {
	access, err := json.Marshal(c.access)
	if err != nil {
		return fmt.Errorf("project the access of a user: %w", err)
	}
	if c.access == nil {
		access = []byte("{}")
	}
	var limits *string
	if c.limits != nil {
		text, err := json.Marshal(c.limits)
		if err != nil {
			return fmt.Errorf("project the limits of a user: %w", err)
		}
		limits = new(string(text))
	}
	for i, s := range []*string{c.username, c.email, c.fullName, c.role, c.profile, c.algorithm, c.hash} {
		if s != nil {
			s = new(text(*s))
		}
		u.texts[i] = append(u.texts[i], s)
	}
	u.ids, u.active, u.limits, u.access = append(u.ids, id), append(u.active, c.active), append(u.limits, limits), append(u.access, string(access))
	u.createdAt, u.pos = append(u.createdAt, c.createdAt), append(u.pos, c.pos)
	return nil
}

func (u *userRows) queue(b *pgx.Batch, statement string) {
	if len(u.ids) > 0 {
		b.Queue(statement, u.ids, u.texts[0], u.texts[1], u.texts[2], u.texts[3], u.texts[4], u.texts[5], u.texts[6],
			u.active, u.limits, u.access, u.createdAt, u.pos)
	}
}
