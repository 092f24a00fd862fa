package api

import (
	"context"
	"net/http"

	"sallyport/api/throttle"
	"sallyport/domain"
	"sallyport/internal/commands"
)

type passwordChange struct {
	Old string `json:"old"`
	New string `json:"new"`
}

// String keeps the passwords out of messages.
func (passwordChange) String() string { return "password change" }

var errOldPassword = &problem{Status: http.StatusForbidden, code: "wrong-password",
	Detail: "the old password is wrong; nothing was changed"}

// changeOwnPassword gives whoever asks another password and ends all of their
// other sessions, here at once and elsewhere when it arrives. Guessing the old
// one is slowed down like guessing it at a login.
func (s *server) changeOwnPassword(ctx context.Context, c *call, in passwordChange) (answer, error) {
	if err := domain.CheckOwnPassword(c.user.Username, in.Old, in.New); err != nil {
		return answer{}, err
	}
	if err := s.checkOldPassword(ctx, c, in.Old); err != nil {
		return answer{}, err
	}
	others, ends, keep, err := s.sessions.EndOthers(ctx, c.user.ID, c.session)
	if err != nil {
		return answer{}, err
	}
	stored, err := s.Commands.ChangeOwnPassword(ctx, c.by(), commands.OwnPassword{User: c.user.ID, Password: in.New, Ends: ends, With: keep})
	if err != nil {
		return answer{}, err
	}
	for _, id := range others {
		s.tokens.CloseSession(id)
	}
	return answer{status: http.StatusNoContent, position: stored.Seq}, nil
}

func (s *server) checkOldPassword(ctx context.Context, c *call, old string) error {
	try := s.try(c, c.user.Username, throttle.Key{Rule: ownRule, ID: c.user.ID})
	if err := try.blocked(ctx); err != nil {
		return err
	}
	user, err := s.Reader.User(ctx, c.user.ID) // the directory's may be a second old
	if err != nil {
		return err
	}
	ok, err := s.Passwords.Verify(ctx, user.Credential, old)
	if err != nil {
		return err
	}
	wrong := domain.RefusedWrongPassword
	if ok {
		wrong = ""
	}
	return try.outcome(ctx, wrong, errOldPassword)
}
