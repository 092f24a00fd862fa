package main

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"sallyport/domain"
	"sallyport/internal/boot"
	"sallyport/internal/commands"
	"sallyport/projections"
)

// userNamed finds a user by username, or by id.
func userNamed(ctx context.Context, s *boot.Site, name string) (projections.User, error) {
	u, err := s.Reader.UserByName(ctx, name)
	if errors.Is(err, projections.ErrNotFound) {
		u, err = s.Reader.User(ctx, name)
	}
	if errors.Is(err, projections.ErrNotFound) {
		return u, &domain.Error{Kind: domain.NotFound, Code: "unknown-user",
			Detail: fmt.Sprintf("there is no user %q: see `sallyport user list`; nothing was stored", name)}
	}
	return u, err
}

// changing is a command about one user: command says what shall change once
// the flags are read.
func (p *program) changing(c *cobra.Command, command func(cmd *cobra.Command, args []string) (domain.UserCommand, error)) *cobra.Command {
	c.RunE = func(cmd *cobra.Command, args []string) error {
		change, err := command(cmd, args)
		if err != nil {
			return err
		}
		return p.withSite(cmd.Context(), func(s *boot.Site) error {
			u, err := userNamed(cmd.Context(), s, args[0])
			if err != nil {
				return err
			}
			_, stored, err := s.Commands.ChangeUser(cmd.Context(), by(), commands.UserChange{ID: u.ID, Command: change})
			if err != nil {
				return err
			}
			return p.changed(u, stored)
		})
	}
	return c
}

type userChanged struct {
	ID       string `json:"id"`
	Username string `json:"username"`
	Changed  bool   `json:"changed"` // false: it was so already
	Position int64  `json:"position,omitempty"`
}

func (p *program) changed(u projections.User, stored commands.Stored) error {
	return p.print(userChanged{u.ID, u.Username, stored.Seq > 0, stored.Seq}, func(w io.Writer) {
		if stored.Seq == 0 {
			fmt.Fprintf(w, "%s is so already; nothing was stored\n", u.Username)
			return
		}
		fmt.Fprintf(w, "changed\t%s\nposition\t%d\n", u.Username, stored.Seq)
	})
}

func (p *program) userChange() *cobra.Command {
	var email, fullName, role, profile string
	c := &cobra.Command{Use: "change USERNAME", Short: "Change a user's address, name, role or profile (response site)", Args: cobra.ExactArgs(1)}
	f := c.Flags()
	f.StringVar(&email, "email", "", "the new email address")
	f.StringVar(&fullName, "full-name", "", "the new full name")
	f.StringVar(&role, "role", "", "the new role: user, analyst, operator, auditor or admin")
	f.StringVar(&profile, "profile", "", "the new profile: see `sallyport profile list`")
	c.MarkFlagsOneRequired("email", "full-name", "role", "profile")
	return p.changing(c, func(*cobra.Command, []string) (domain.UserCommand, error) {
		change := domain.ChangeUser{Email: given(f, "email", email), FullName: given(f, "full-name", fullName), Profile: given(f, "profile", profile)}
		if f.Changed("role") {
			change.Role = new(domain.UserRole(role))
		}
		return change, nil
	})
}

// given is a flag's value if it was given.
func given[V any](f *pflag.FlagSet, name string, value V) *V {
	if !f.Changed(name) {
		return nil
	}
	return &value
}

func (p *program) userDeactivate() *cobra.Command {
	var reason string
	c := &cobra.Command{Use: "deactivate USERNAME", Short: "Keep a user from doing anything (response site)", Args: cobra.ExactArgs(1),
		Long: `Keep a user from doing anything, from the next call on; on request sites from the
next bundle on. Nothing of the user is removed. The last active administrator stays.`}
	c.Flags().StringVar(&reason, "reason", "", "why, for the log")
	return p.changing(c, func(*cobra.Command, []string) (domain.UserCommand, error) {
		return domain.DeactivateUser{Reason: reason}, nil
	})
}

func (p *program) userActivate() *cobra.Command {
	c := &cobra.Command{Use: "activate USERNAME", Short: "Give a deactivated user everything back (response site)", Args: cobra.ExactArgs(1)}
	return p.changing(c, func(*cobra.Command, []string) (domain.UserCommand, error) { return domain.ReactivateUser{}, nil })
}

// limitFlags are a number for each window.
func limitFlags(f *pflag.FlagSet, l *domain.Limits, of string) {
	f.IntVar(&l.Minute, "minute", 0, "requests "+of+" a minute; 0: no limit")
	f.IntVar(&l.Hour, "hour", 0, "requests "+of+" an hour; 0: no limit")
	f.IntVar(&l.Day, "day", 0, "requests "+of+" a day; 0: no limit")
	f.IntVar(&l.Month, "month", 0, "requests "+of+" a month; 0: no limit")
}

func (p *program) userLimits() *cobra.Command {
	var l domain.Limits
	var priority int
	var clear bool
	c := &cobra.Command{Use: "limits USERNAME", Short: "Give a user limits of their own, or clear them (response site)", Args: cobra.ExactArgs(1),
		Long: `Give a user limits of their own. What is left out is the profile's. They replace
what was overridden before, as a whole; --clear makes all of them the profile's.`}
	f := c.Flags()
	limitFlags(f, &l, "of all types")
	f.IntVar(&priority, "priority", 0, "the highest priority of the user's requests, 1 to 10")
	f.BoolVar(&clear, "clear", false, "let the profile's limits count again")
	all := []string{"minute", "hour", "day", "month", "priority"}
	c.MarkFlagsOneRequired(append(all, "clear")...)
	for _, name := range all {
		c.MarkFlagsMutuallyExclusive(name, "clear")
	}
	return p.changing(c, func(*cobra.Command, []string) (domain.UserCommand, error) {
		if clear {
			return domain.ClearLimits{}, nil
		}
		return domain.OverrideLimits{Minute: given(f, "minute", l.Minute), Hour: given(f, "hour", l.Hour), Day: given(f, "day", l.Day),
			Month: given(f, "month", l.Month), Priority: given(f, "priority", priority)}, nil
	})
}

func (p *program) userAccess() *cobra.Command {
	var a access
	c := &cobra.Command{Use: "access USERNAME REQUESTTYPE --grant|--block|--clear", Short: "Say what a user may ask for (response site)", Args: cobra.ExactArgs(2),
		Long: `Grant or block a request type for one user, or let the profile decide again. A block
wins over everything, a grant over the profile's list. A grant may set limits and a
number of results for this type alone, and narrow the indices that it searches.`}
	a.flags(c)
	return p.changing(c, func(cmd *cobra.Command, args []string) (domain.UserCommand, error) { return a.command(cmd, args[1]) })
}

// access is what flags say of a request type.
type access struct {
	grant, block, clear bool
	maxResults          int
	limits              domain.Limits
	indices             []string
}

func (a *access) flags(c *cobra.Command) {
	f := c.Flags()
	f.BoolVar(&a.grant, "grant", false, "they may ask for it whatever the profile lists")
	f.BoolVar(&a.block, "block", false, "they may not ask for it")
	f.BoolVar(&a.clear, "clear", false, "the profile decides")
	f.IntVar(&a.maxResults, "max-results", 0, "with --grant: results an answer may have; 0: as without the grant")
	f.StringSliceVar(&a.indices, "indices", nil, "with --grant: what they may read of the indices that the type searches, such as books-2024-*,authors; none: all")
	limitFlags(f, &a.limits, "of this type, with --grant:")
	c.MarkFlagsOneRequired("grant", "block", "clear")
	c.MarkFlagsMutuallyExclusive("grant", "block", "clear")
}

func (a *access) command(c *cobra.Command, requestType string) (domain.UserCommand, error) {
	f := c.Flags()
	limited := f.Changed("minute") || f.Changed("hour") || f.Changed("day") || f.Changed("month")
	if !a.grant && (limited || f.Changed("max-results") || f.Changed("indices")) {
		return nil, &usageError{errors.New("limits, --max-results and --indices go with --grant")}
	}
	switch {
	case a.block:
		return domain.BlockAccess{RequestType: requestType}, nil
	case a.clear:
		return domain.ClearAccess{RequestType: requestType}, nil
	}
	granted := domain.AccessGranted{RequestType: requestType, MaxResults: a.maxResults, Indices: a.indices}
	if limited {
		granted.Limits = &a.limits
	}
	return domain.GrantAccess{AccessGranted: granted}, nil
}

func (p *program) userPassword() *cobra.Command {
	var file string
	c := &cobra.Command{Use: "password USERNAME", Short: "Give a user another password (response site)", Args: cobra.ExactArgs(1),
		Long: `Give a user another password: the first line of standard input, or of
--password-file. It is hashed and kept nowhere. The user's sessions end.`,
		RunE: func(cmd *cobra.Command, args []string) error {
			return p.withSite(cmd.Context(), func(s *boot.Site) error {
				if s.Config.Role != domain.ResponseSite { // before a password is asked for in vain
					return commands.WrongSite(domain.ResponseSite, "passwords are changed")
				}
				u, err := userNamed(cmd.Context(), s, args[0])
				if err != nil {
					return err
				}
				password, err := p.readPassword(cmd.InOrStdin(), file)
				if err != nil {
					return err
				}
				stored, err := s.Commands.ChangePassword(cmd.Context(), by(), u.ID, password)
				if err != nil {
					return err
				}
				return p.changed(u, stored)
			})
		}}
	c.Flags().StringVar(&file, "password-file", "", "the file whose first line is the password (default: standard input)")
	return c
}
