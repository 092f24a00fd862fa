package boot

import (
	"context"
	"crypto/rand"
	"errors"

	"sallyport/domain"
	"sallyport/internal/commands"
)

// ShippedProfiles are the profiles that every response site begins with.
func ShippedProfiles() []domain.ProfileDefined {
	shipped := func(name, title string, minute, hour, day, priority int) domain.ProfileDefined {
		return domain.ProfileDefined{Name: name, DisplayName: title, Priority: priority,
			Limits: domain.Limits{Minute: minute, Hour: hour, Day: day}}
	}
	return []domain.ProfileDefined{
		shipped("free", "Free", 10, 100, 1_000, 3),
		shipped("basic", "Basic", 30, 500, 5_000, 5),
		shipped("premium", "Premium", 100, 2_000, 20_000, 7),
		shipped("enterprise", "Enterprise", 500, 10_000, 100_000, 9),
	}
}

// Existing lets a command pass that asks for what is there already.
func Existing(err error) error {
	var refused *domain.Error
	if errors.As(err, &refused) && refused.Kind == domain.Conflict {
		return nil
	}
	return err
}

// FirstAdmin gives a response site its shipped profiles and its first
// administrator. It returns the password it made, or "" when the user exists.
func (s *Site) FirstAdmin(ctx context.Context, username, email string, by commands.By) (password string, err error) {
	for _, p := range ShippedProfiles() {
		if _, _, err := s.Commands.DefineProfile(ctx, by, p); Existing(err) != nil {
			return "", err
		}
	}
	password = rand.Text()
	_, err = s.Commands.RegisterUser(ctx, by, commands.NewUser{Username: username, Email: email, FullName: "Administrator",
		Role: domain.RoleAdmin, Profile: "enterprise", Password: password})
	if err != nil {
		return "", Existing(err)
	}
	return password, nil
}
