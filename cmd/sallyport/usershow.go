package main

import (
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"sallyport/domain"
	"sallyport/internal/boot"
)

// shownUser is a user with all that decides what they may do.
type shownUser struct {
	ID           string                  `json:"id"`
	Username     string                  `json:"username"`
	Email        string                  `json:"email"`
	FullName     string                  `json:"full_name"`
	Role         domain.UserRole         `json:"role"`
	Profile      string                  `json:"profile"`
	Active       bool                    `json:"active"`
	Limits       domain.Limits           `json:"limits"`
	Priority     int                     `json:"priority"`
	Overridden   domain.LimitsOverridden `json:"limits_overridden"`
	RequestTypes []shownRight            `json:"request_types"`
	CreatedAt    domain.Timestamp        `json:"created_at"`
}

type shownRight struct {
	RequestType string        `json:"request_type"`
	Allowed     bool          `json:"allowed"`
	Rule        domain.Rule   `json:"rule"`
	Why         string        `json:"why"`
	MaxResults  int           `json:"max_results"`
	Limits      domain.Limits `json:"limits"`
	Indices     []string      `json:"indices,omitempty"` // what the user may search of the type's; left out: all
}

func (p *program) userShow() *cobra.Command {
	return &cobra.Command{Use: "show USERNAME", Short: "Show a user: what they may do, and why", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			ctx := cmd.Context()
			return p.withSite(ctx, func(s *boot.Site) error {
				u, err := userNamed(ctx, s, args[0])
				if err != nil {
					return err
				}
				rights, err := s.Directory.Rights(ctx, u.ID)
				if err != nil {
					return err
				}
				types, err := s.Directory.RequestTypes(ctx)
				if err != nil {
					return err
				}
				shown := shownUser{ID: u.ID, Username: u.Username, Email: u.Email, FullName: u.FullName, Role: u.Role, Profile: u.Profile,
					Active: u.Active, Limits: rights.RequestLimits(), Priority: rights.Priority(), Overridden: u.Limits,
					RequestTypes: []shownRight{}, CreatedAt: domain.Timestamp(u.CreatedAt)}
				for _, t := range types {
					ruling := rights.Rule(t.Name, t.Public)
					shown.RequestTypes = append(shown.RequestTypes, shownRight{t.Name, ruling.Allowed, ruling.Rule, ruling.Detail,
						rights.MaxResults(t), rights.TypeLimits(t.Name), rights.Indices(t.Name)})
				}
				return p.print(shown, shown.table)
			})
		}}
}

func (u shownUser) table(w io.Writer) {
	fmt.Fprintf(w, "username\t%s\nid\t%s\nemail\t%s\nfull name\t%s\nrole\t%s\nprofile\t%s\nactive\t%v\npriority\t%d\n",
		u.Username, u.ID, u.Email, u.FullName, u.Role, u.Profile, u.Active, u.Priority)
	fmt.Fprintf(w, "a minute, hour, day, month\t%d, %d, %d, %d (0: no limit)\n\n", u.Limits.Minute, u.Limits.Hour, u.Limits.Day, u.Limits.Month)
	fmt.Fprintln(w, "REQUEST TYPE\tALLOWED\tRESULTS\tWHY")
	for _, t := range u.RequestTypes {
		fmt.Fprintf(w, "%s\t%v\t%d\t%s\n", t.RequestType, t.Allowed, t.MaxResults, t.Why)
	}
}
