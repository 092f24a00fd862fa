package commands

import (
	"context"

	"github.com/jackc/pgx/v5"

	"sallyport/domain"
	"sallyport/eventstore"
)

// OwnPassword is the command of a user to have another password. That the old
// one was right is found before.
type OwnPassword struct {
	User, Password string
	// Ends are what is recorded with it, and With what runs in the same
	// transaction: which sessions end, and which one goes on.
	Ends []eventstore.Write
	With func(context.Context, pgx.Tx) error
}

// ChangeOwnPassword gives a user another password, on the response site.
func (c *Commands) ChangeOwnPassword(ctx context.Context, by By, in OwnPassword) (Stored, error) {
	if err := c.only(domain.ResponseSite, "passwords are changed"); err != nil {
		return Stored{}, err
	}
	credential, err := c.passwords.Hash(ctx, in.Password)
	if err != nil {
		return Stored{}, err
	}
	stream := domain.UserStream(in.User)
	user, version, err := load[domain.User](ctx, c.log, stream)
	if err != nil {
		return Stored{}, err
	}
	facts, err := user.Decide(domain.ChangePassword{Credential: credential})
	if err != nil {
		return Stored{}, err
	}
	writes := append([]eventstore.Write{{Stream: stream, Expected: version, Facts: facts}}, in.Ends...)
	records, err := c.log.Append(ctx, eventstore.Append{Actor: by.Actor, Corr: by.Corr, Writes: writes, With: in.With})
	if err != nil {
		return Stored{}, taken(err, map[string]*domain.Error{stream: ErrStale})
	}
	last := records[len(records)-1]
	return Stored{ID: in.User, Seq: last.Seq, Pos: last.Pos, At: last.At}, nil
}
