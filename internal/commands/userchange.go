package commands

import (
	"context"
	"errors"

	"sallyport/domain"
	"sallyport/eventstore"
	"sallyport/projections"
)

// UserChange is a command about one user.
type UserChange struct {
	ID string
	// At is the position of the user's newest event that the one who asks has
	// seen; 0: whatever it is. Another one is refused with [ErrStale].
	At int64
	// Command's fields that say what else exists are found here; what the
	// caller put there is not looked at.
	Command domain.UserCommand
}

// ErrStale is the refusal of a change to what was changed since the one who
// asks looked.
var ErrStale = conflict("changed-meanwhile", "this was changed since you looked: look again; nothing was stored")

// ChangeUser changes a user on the response site and tells how the user is
// then. Seq is 0 when that was so already, and nothing was stored.
func (c *Commands) ChangeUser(ctx context.Context, by By, in UserChange) (domain.Particulars, Stored, error) {
	if err := c.only(domain.ResponseSite, "users are changed"); err != nil {
		return domain.Particulars{}, Stored{}, err
	}
	user, stored, err := c.changeUser(ctx, by, in)
	stored.ID = in.ID
	return user.Now(), stored, err
}

func (c *Commands) changeUser(ctx context.Context, by By, in UserChange) (domain.User, Stored, error) {
	stream := domain.UserStream(in.ID)
	user, version, at, err := c.loadUser(ctx, stream)
	if err != nil {
		return user, Stored{}, err
	}
	if in.At != 0 && version > 0 && in.At != at {
		return user, Stored{}, ErrStale
	}
	command, witness, err := c.informed(ctx, in.ID, in.Command)
	if err != nil {
		return user, Stored{}, err
	}
	facts, err := user.Decide(command)
	if err != nil || len(facts) == 0 {
		return user, Stored{Pos: at}, err
	}
	before := user.Now().Email
	for _, f := range facts {
		user = user.Apply(f)
	}
	moved, err := c.moveEmail(ctx, in.ID, before, user.Now().Email)
	if err != nil {
		return user, Stored{}, err
	}
	refusals := map[string]*domain.Error{stream: ErrStale, domain.EmailStream(user.Now().Email): errEmailTaken}
	for _, w := range witness {
		refusals[w.Stream] = ErrStale
	}
	// The user's own event comes last: its position is the one to tell.
	writes := append(append(witness, moved...), eventstore.Write{Stream: stream, Expected: version, Facts: facts})
	stored, err := c.append(ctx, by, writes...)
	return user, stored, taken(err, refusals)
}

// loadUser folds a user and tells the position of the newest event.
func (c *Commands) loadUser(ctx context.Context, stream string) (user domain.User, version eventstore.Version, at int64, err error) {
	f, err := fold[domain.User](ctx, c.log, stream)
	return f.state, f.version, f.at, err
}

// informed completes a command with what the rest of the site holds. What it
// rests on comes back as writes that only expect it to be still so.
func (c *Commands) informed(ctx context.Context, id string, command domain.UserCommand) (domain.UserCommand, []eventstore.Write, error) {
	var witness []eventstore.Write
	var err error
	switch in := command.(type) {
	case domain.ChangeUser:
		if in.Profile != nil {
			if in.ProfileExists, err = c.profileExists(ctx, *in.Profile); err != nil {
				return nil, nil, err
			}
		}
		if in.Role != nil || in.Active != nil {
			in.OtherAdmin, witness, err = c.otherAdmin(ctx, id)
		}
		command = in
	case domain.DeactivateUser:
		in.OtherAdmin, witness, err = c.otherAdmin(ctx, id)
		command = in
	case domain.GrantAccess:
		in.TypeExists, err = c.typeExists(ctx, in.RequestType)
		command = in
	case domain.BlockAccess:
		in.TypeExists, err = c.typeExists(ctx, in.RequestType)
		command = in
	}
	return command, witness, err
}

// otherAdmin looks for an active administrator beside a user. Two who were
// demoted at the same moment, each because of the other, would leave none: so
// the append expects that the one found was not changed meanwhile.
func (c *Commands) otherAdmin(ctx context.Context, id string) (bool, []eventstore.Write, error) {
	admins, err := c.directory.Reader().ActiveAdmins(ctx, 2)
	if err != nil {
		return false, nil, err
	}
	for _, a := range admins {
		if a.ID == id {
			continue
		}
		stream := domain.UserStream(a.ID)
		user, version, _, err := c.loadUser(ctx, stream)
		if err != nil || !user.ActiveAdmin() {
			return false, nil, err
		}
		return true, []eventstore.Write{{Stream: stream, Expected: version}}, nil
	}
	return false, nil, nil
}

func (c *Commands) typeExists(ctx context.Context, name string) (bool, error) {
	if !domain.ValidSlug(name) {
		return false, nil
	}
	_, err := c.directory.RequestType(ctx, name)
	if errors.Is(err, projections.ErrNotFound) {
		return false, nil
	}
	return err == nil, err
}

var errEmailTaken = conflict("email-taken", "another user has this email address; nothing was stored")

// moveEmail claims a user's new address and gives the old one free. Two ways
// to write one address are one reservation.
func (c *Commands) moveEmail(ctx context.Context, user, from, to string) ([]eventstore.Write, error) {
	before, after := domain.EmailStream(from), domain.EmailStream(to)
	if before == after {
		return nil, nil
	}
	claim, err := c.claimEmail(ctx, user, to)
	if err != nil {
		return nil, err
	}
	writes := []eventstore.Write{claim}
	held, version, err := load[domain.EmailReservation](ctx, c.log, before)
	if err == nil && held.HeldBy(user) {
		writes = append(writes, eventstore.Write{Stream: before, Expected: version, Facts: []domain.Fact{domain.EmailReleased{User: user}}})
	}
	return writes, err
}

// claimEmail reserves an address that nobody has.
func (c *Commands) claimEmail(ctx context.Context, user, address string) (eventstore.Write, error) {
	stream := domain.EmailStream(address)
	there, version, err := load[domain.EmailReservation](ctx, c.log, stream)
	if err == nil && !there.Free() {
		err = errEmailTaken
	}
	return eventstore.Write{Stream: stream, Expected: version, Facts: []domain.Fact{domain.EmailClaimed{User: user}}}, err
}

// ChangePassword gives a user another password, on the response site.
func (c *Commands) ChangePassword(ctx context.Context, by By, user, password string) (Stored, error) {
	if err := c.only(domain.ResponseSite, "passwords are changed"); err != nil {
		return Stored{}, err
	}
	change := domain.ChangePassword{PasswordErrors: domain.CheckPassword(password)}
	if len(change.PasswordErrors) == 0 {
		var err error
		if change.Credential, err = c.passwords.Hash(ctx, password); err != nil {
			return Stored{}, err
		}
	}
	_, stored, err := c.ChangeUser(ctx, by, UserChange{ID: user, Command: change})
	return stored, err
}
