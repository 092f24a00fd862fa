package commands

import (
	"context"
	"errors"
	"fmt"
	"strconv"

	"sallyport/domain"
	"sallyport/eventstore"
)

// MaxAccess bounds the users that one command gives or denies a request type.
const MaxAccess = 500

// AccessChange is a command about one request type and many users.
type AccessChange struct {
	Users []string // their ids, 1 to [MaxAccess], each once
	// Command is a [domain.GrantAccess], [domain.BlockAccess] or
	// [domain.ClearAccess]; its TypeExists is found here.
	Command domain.UserCommand
}

// AccessChanged is what became of it.
type AccessChanged struct {
	Changed, Unchanged int   // users; the latter had it so already
	From               int64 // this site's order of the first event; 0: nothing was stored
	Stored             Stored
}

// ChangeAccess gives or denies many users a request type on the response site,
// in one append: all of them or none. Their events stand beside one another in
// the log. A refusal names every user that there is something wrong with.
func (c *Commands) ChangeAccess(ctx context.Context, by By, in AccessChange) (AccessChanged, error) {
	if err := c.only(domain.ResponseSite, "users are changed"); err != nil {
		return AccessChanged{}, err
	}
	if n := len(in.Users); n < 1 || n > MaxAccess {
		return AccessChanged{}, invalid("invalid-access", "/users", domain.FieldTooMany, fmt.Sprintf("must be a list of 1 to %d users", MaxAccess))
	}
	command, _, err := c.informed(ctx, "", in.Command)
	if err != nil {
		return AccessChanged{}, err
	}
	writes, err := c.accessWrites(ctx, in.Users, command)
	if err != nil {
		return AccessChanged{}, err
	}
	out := AccessChanged{Changed: len(writes), Unchanged: len(in.Users) - len(writes)}
	if len(writes) == 0 {
		return out, nil
	}
	records, err := c.appendAll(ctx, by, writes...)
	if err != nil {
		stale := make(map[string]*domain.Error, len(writes))
		for _, w := range writes {
			stale[w.Stream] = ErrStale
		}
		return AccessChanged{}, taken(err, stale)
	}
	out.From, out.Stored = records[0].Seq, placeOf(records[len(records)-1])
	return out, nil
}

// accessWrites is what the command leads to, for those users whom it changes.
func (c *Commands) accessWrites(ctx context.Context, users []string, command domain.UserCommand) (writes []eventstore.Write, _ error) {
	var wrong []domain.FieldError
	seen := map[string]bool{}
	for i, id := range users {
		if seen[id] {
			wrong = append(wrong, domain.FieldError{Pointer: userPointer(i), Code: domain.FieldTwice, Detail: "is listed before"})
			continue
		}
		seen[id] = true
		write, err := c.accessWrite(ctx, id, command)
		var refused *domain.Error
		switch {
		case errors.As(err, &refused) && refused.Code == "unknown-user":
			wrong = append(wrong, domain.FieldError{Pointer: userPointer(i), Code: domain.FieldNotFound, Detail: "is no user of this site"})
		case err != nil:
			return nil, err
		case len(write.Facts) > 0:
			writes = append(writes, write)
		}
	}
	if len(wrong) > 0 {
		return nil, &domain.Error{Kind: domain.Invalid, Code: "invalid-access", Fields: wrong,
			Detail: fmt.Sprintf("the change is refused: %s %s; nothing was stored", wrong[0].Pointer, wrong[0].Detail)}
	}
	return writes, nil
}

// accessWrite is what the command leads to for one user; without facts: nothing.
func (c *Commands) accessWrite(ctx context.Context, id string, command domain.UserCommand) (eventstore.Write, error) {
	stream := domain.UserStream(id)
	user, version, _, err := c.loadUser(ctx, stream)
	if err != nil {
		return eventstore.Write{}, err
	}
	facts, err := user.Decide(command)
	return eventstore.Write{Stream: stream, Expected: version, Facts: facts}, err
}

func userPointer(i int) string { return "/users/" + strconv.Itoa(i) }
