package commands

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"sallyport/domain"
	"sallyport/eventstore"
	"sallyport/internal/password"
)

// ImportedUser is a user of another system, with the password's hash from there.
type ImportedUser struct {
	Line                      int // where it was read
	Username, Email, FullName string
	Role                      domain.UserRole
	Profile                   string
	Credential                domain.Credential
	Active                    bool
}

// ImportProblem is why a user cannot be taken over.
type ImportProblem struct {
	Line     int    `json:"line"`
	Username string `json:"username"`
	Detail   string `json:"detail"`
}

// Imported says what an import did or, in a dry run, would do.
type Imported struct {
	Registered  int `json:"registered"`
	Deactivated int `json:"deactivated"` // of those registered
	Present     int `json:"present"`     // they were here already, and stay as they are
}

const (
	importBatch    = 200 // users an append
	importInactive = "not active in the system that the user was imported from"
)

// ImportUsers registers users on the response site. If there is a problem with
// any of them nothing is stored and all problems are told. Who is here already,
// with the same username and address, is passed over: an import that was
// interrupted is run again.
func (c *Commands) ImportUsers(ctx context.Context, by By, users []ImportedUser, dryRun bool) (Imported, []ImportProblem, error) {
	if err := c.only(domain.ResponseSite, "users are imported"); err != nil {
		return Imported{}, nil, err
	}
	i := importing{commands: c, names: map[string]int{}, emails: map[string]int{}, profiles: map[string]bool{}}
	for _, u := range users {
		if err := i.add(ctx, u); err != nil {
			return Imported{}, nil, err
		}
	}
	if dryRun || len(i.problems) > 0 {
		return i.planned, i.problems, nil
	}
	done, err := i.store(ctx, by)
	return done, nil, err
}

// importing is an import that is being planned.
type importing struct {
	commands      *Commands
	names, emails map[string]int // the lines that have them
	profiles      map[string]bool
	problems      []ImportProblem
	planned       Imported
	fresh         []freshUser
}

type freshUser struct {
	writes   []eventstore.Write
	inactive bool
}

func (i *importing) problem(u ImportedUser, format string, args ...any) {
	i.problems = append(i.problems, ImportProblem{Line: u.Line, Username: u.Username, Detail: fmt.Sprintf(format, args...)})
}

func (i *importing) add(ctx context.Context, u ImportedUser) error {
	if !i.unique(u) {
		return nil
	}
	facts, err := i.decide(ctx, u)
	if err != nil || facts == nil {
		return err
	}
	there, err := i.commands.userOf(ctx, u.Username)
	switch {
	case err != nil:
		return err
	case there != nil && strings.EqualFold(there.Email, u.Email):
		i.planned.Present++
		return nil
	case there != nil:
		i.problem(u, "username is taken here by somebody with another address")
		return nil
	}
	return i.plan(ctx, u, facts)
}

// unique sees that a username and an address are in the file once.
func (i *importing) unique(u ImportedUser) bool {
	before := len(i.problems)
	for _, seen := range []struct {
		what, value string
		lines       map[string]int
	}{{"username", u.Username, i.names}, {"email", strings.ToLower(u.Email), i.emails}} {
		if line, ok := seen.lines[seen.value]; ok && seen.value != "" {
			i.problem(u, "%s is that of line %d too", seen.what, line)
		} else {
			seen.lines[seen.value] = u.Line
		}
	}
	return len(i.problems) == before
}

// importNames are what the fields of a command are called in a file.
var importNames = map[string]string{"/username": "username", "/email": "email", "/full_name": "full_name", "/role": "role",
	"/profile": "profile_type", "/password": "hashed_password"}

// decide returns the facts of a user, or none after noting why not.
func (i *importing) decide(ctx context.Context, u ImportedUser) ([]domain.Fact, error) {
	known, looked := i.profiles[u.Profile]
	if !looked {
		var err error
		if known, err = i.commands.profileExists(ctx, u.Profile); err != nil {
			return nil, err
		}
		i.profiles[u.Profile] = known
	}
	command := domain.RegisterUser{Username: u.Username, Email: u.Email, FullName: u.FullName, Role: u.Role, Profile: u.Profile,
		ProfileExists: known, Credential: u.Credential}
	if password.Check(u.Credential) != nil {
		command.PasswordErrors = []domain.FieldError{{Pointer: "/password", Code: domain.FieldForm, Detail: "is no hash of bcrypt ($2a$, $2b$, $2y$, cost up to 14) or argon2id"}}
	}
	facts, err := domain.User{}.Decide(command)
	var refused *domain.Error
	if !errors.As(err, &refused) {
		return facts, err
	}
	for _, f := range refused.Fields {
		i.problem(u, "%s %s", importNames[f.Pointer], f.Detail)
	}
	return nil, nil
}

// plan prepares the writes of a user who is not here yet.
func (i *importing) plan(ctx context.Context, u ImportedUser, facts []domain.Fact) error {
	id, err := newID()
	if err != nil {
		return err
	}
	email, err := i.commands.claimEmail(ctx, id, u.Email)
	if errors.Is(err, errEmailTaken) {
		i.problem(u, "email is taken here by another user")
		return nil
	}
	if err != nil {
		return err
	}
	i.planned.Registered++
	if !u.Active {
		facts = append(facts, domain.UserDeactivated{Reason: importInactive})
		i.planned.Deactivated++
	}
	i.fresh = append(i.fresh, freshUser{inactive: !u.Active, writes: []eventstore.Write{
		{Stream: domain.UserStream(id), Facts: facts},
		{Stream: domain.UsernameStream(u.Username), Facts: []domain.Fact{domain.UsernameClaimed{User: id}}}, email}})
	return nil
}

// store appends what was planned, some users at a time.
func (i *importing) store(ctx context.Context, by By) (Imported, error) {
	done := Imported{Present: i.planned.Present}
	for len(i.fresh) > 0 {
		n := min(importBatch, len(i.fresh))
		var writes []eventstore.Write
		var inactive int
		for _, f := range i.fresh[:n] {
			if writes = append(writes, f.writes...); f.inactive {
				inactive++
			}
		}
		if _, err := i.commands.append(ctx, by, writes...); err != nil {
			return done, fmt.Errorf("import users: %w; %d were stored before: run the import again, it goes on behind them", err, done.Registered)
		}
		done.Registered, done.Deactivated, i.fresh = done.Registered+n, done.Deactivated+inactive, i.fresh[n:]
	}
	return done, nil
}

// userOf returns who has a username, or nil.
func (c *Commands) userOf(ctx context.Context, username string) (*domain.Particulars, error) {
	claims, err := c.log.ReadStream(ctx, domain.UsernameStream(username))
	if err != nil || len(claims) == 0 {
		return nil, err
	}
	claimed, ok := claims[len(claims)-1].Fact.(domain.UsernameClaimed)
	if !ok {
		return nil, nil
	}
	user, _, err := load[domain.User](ctx, c.log, domain.UserStream(claimed.User))
	now := user.Now()
	return &now, err
}
