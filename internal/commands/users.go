package commands

import (
	"context"
	"errors"

	"sallyport/domain"
	"sallyport/eventstore"
	"sallyport/projections"
)

// NewUser is the command to register a user.
type NewUser struct {
	Username, Email, FullName string
	Role                      domain.UserRole
	Profile                   string
	Password                  string // hashed here, kept nowhere
}

// RegisterUser makes a user on the response site and reserves the username
// and the email address, all in one append. Two who ask for one name at once:
// one gets it, the other is told `username-taken` or `email-taken`.
func (c *Commands) RegisterUser(ctx context.Context, by By, in NewUser) (Stored, error) {
	if err := c.only(domain.ResponseSite, "users are registered"); err != nil {
		return Stored{}, err
	}
	known, err := c.profileExists(ctx, in.Profile)
	if err != nil {
		return Stored{}, err
	}
	command := domain.RegisterUser{Username: in.Username, Email: in.Email, FullName: in.FullName, Role: in.Role,
		Profile: in.Profile, ProfileExists: known, PasswordErrors: domain.CheckPassword(in.Password)}
	if len(command.PasswordErrors) == 0 {
		if command.Credential, err = c.passwords.Hash(ctx, in.Password); err != nil {
			return Stored{}, err
		}
	}
	facts, err := domain.User{}.Decide(command)
	if err != nil {
		return Stored{}, err
	}
	id, err := newID()
	if err != nil {
		return Stored{}, err
	}
	email, err := c.claimEmail(ctx, id, in.Email)
	if errors.Is(err, errEmailTaken) {
		email.Expected, err = eventstore.NoStream, nil // which the append refuses, unless the username comes first
	}
	if err != nil {
		return Stored{}, err
	}
	name := domain.UsernameStream(in.Username)
	stored, err := c.append(ctx, by,
		eventstore.Write{Stream: domain.UserStream(id), Facts: facts},
		eventstore.Write{Stream: name, Facts: []domain.Fact{domain.UsernameClaimed{User: id}}}, email)
	stored.ID = id
	return stored, taken(err, map[string]*domain.Error{
		name:         conflict("username-taken", "the username %s is taken; nothing was stored", in.Username),
		email.Stream: errEmailTaken,
	})
}

func (c *Commands) profileExists(ctx context.Context, name string) (bool, error) {
	if !domain.ValidSlug(name) {
		return false, nil
	}
	_, err := c.directory.Profile(ctx, name)
	if errors.Is(err, projections.ErrNotFound) {
		return false, nil
	}
	return err == nil, err
}
