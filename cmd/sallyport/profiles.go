package main

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"sallyport/domain"
	"sallyport/internal/boot"
	"sallyport/internal/commands"
	"sallyport/projections"
)

func (p *program) profileCommand() *cobra.Command {
	c := &cobra.Command{Use: "profile", Short: "Say what groups of users may ask"}
	c.AddCommand(p.profileList(), p.profileShow(), p.profileCreate(), p.profileChange(), p.profileRetire(), p.profileRestore())
	return c
}

func (p *program) profileList() *cobra.Command {
	return listing(p, "List the profiles", func(ctx context.Context, s *boot.Site, retired bool) ([]domain.ProfileDefined, error) {
		found, err := s.Reader.Profiles(ctx, retired)
		all := make([]domain.ProfileDefined, len(found))
		for i, d := range found {
			all[i] = d.ProfileDefined
		}
		return all, err
	}, func(w io.Writer, all []domain.ProfileDefined) {
		fmt.Fprintln(w, "NAME\tPRIORITY\tA MINUTE\tAN HOUR\tA DAY\tTITLE")
		for _, d := range all {
			fmt.Fprintf(w, "%s\t%d\t%d\t%d\t%d\t%s\n", d.Name, d.Priority, d.Limits.Minute, d.Limits.Hour, d.Limits.Day, d.DisplayName)
		}
	})
}

func (p *program) profileShow() *cobra.Command {
	return &cobra.Command{Use: "show NAME", Short: "Show a profile, in the form that create and change take", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return p.withSite(cmd.Context(), func(s *boot.Site) error {
				d, err := s.Reader.Profile(cmd.Context(), args[0])
				if errors.Is(err, projections.ErrNotFound) {
					return unknown("profile", args[0], "profile list")
				}
				if err != nil {
					return err
				}
				return p.print(d, func(w io.Writer) {
					fmt.Fprintf(w, "name\t%s\ntitle\t%s\ndescription\t%s\npriority\t%d\nmax results\t%d\n", d.Name, d.DisplayName, d.Description, d.Priority, d.MaxResults)
					fmt.Fprintf(w, "a minute, hour, day, month\t%d, %d, %d, %d (0: no limit)\n", d.Limits.Minute, d.Limits.Hour, d.Limits.Day, d.Limits.Month)
					fmt.Fprintf(w, "lists\t%v (none: every public type)\nblocks\t%v\n", d.Allowed, d.Blocked)
				})
			})
		}}
}

const profileFile = `a JSON file: name, display_name, description, limits (minute, hour, day, month;
0 is no limit), priority, allowed_request_types, blocked_request_types, type_limits,
max_results. What is left out is filled in: priority 5, 1,000 results, no limits,
every public type.`

func (p *program) profileCreate() *cobra.Command {
	return &cobra.Command{Use: "create FILE", Short: "Make a profile (response site)", Args: cobra.ExactArgs(1), Long: "Make the profile of " + profileFile,
		RunE: func(cmd *cobra.Command, args []string) error {
			var in domain.ProfileDefined
			if err := readDefinition(args[0], &in); err != nil {
				return err
			}
			return p.withSite(cmd.Context(), func(s *boot.Site) error {
				if _, _, err := s.Commands.DefineProfile(cmd.Context(), by(), in); err != nil {
					return err
				}
				p.say("the profile %s is made; give it to a user: sallyport user change USERNAME --profile %s", in.Name, in.Name)
				return nil
			})
		}}
}

func (p *program) profileChange() *cobra.Command {
	return &cobra.Command{Use: "change FILE", Short: "Say all of a profile anew (response site)", Args: cobra.ExactArgs(1),
		Long: "Say all of a profile anew, by " + profileFile + "\nIt acts at once here, and on request sites with the next bundle.",
		RunE: func(cmd *cobra.Command, args []string) error {
			var in domain.ProfileDefined
			if err := readDefinition(args[0], &in); err != nil {
				return err
			}
			return p.withSite(cmd.Context(), func(s *boot.Site) error {
				_, created, stored, err := s.Commands.PutProfile(cmd.Context(), by(), in, 0)
				switch {
				case err != nil:
					return err
				case created:
					p.say("the profile %s is made: there was none", in.Name)
				default:
					p.told("the profile "+in.Name, "changed", stored)
				}
				return nil
			})
		}}
}

func (p *program) profileRetire() *cobra.Command {
	c := &cobra.Command{Use: "retire NAME", Short: "Give a profile to nobody any more (response site)",
		Long: "Give a profile to nobody any more. It is refused while users have it."}
	return p.acting(c, "the profile", "retired", func(ctx context.Context, s *boot.Site, name string) (commands.Stored, error) {
		return s.Commands.RetireProfile(ctx, by(), name, 0)
	})
}

func (p *program) profileRestore() *cobra.Command {
	c := &cobra.Command{Use: "restore NAME", Short: "Bring a retired profile back as it was (response site)"}
	return p.acting(c, "the profile", "back", func(ctx context.Context, s *boot.Site, name string) (commands.Stored, error) {
		_, stored, err := s.Commands.BringBackProfile(ctx, by(), name)
		return stored, err
	})
}
