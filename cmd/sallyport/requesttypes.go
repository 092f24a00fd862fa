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

func (p *program) requestTypeCommand() *cobra.Command {
	c := &cobra.Command{Use: "requesttype", Short: "Define what may be asked and how it is answered (response site)"}
	c.AddCommand(p.requestTypeCreate(), p.requestTypeList(), p.requestTypeShow(), p.requestTypeVersions(), p.requestTypeChange(),
		p.requestTypeRetire(), p.requestTypeRestore(), p.requestTypeResponder(), p.requestTypeTry(), p.requestTypeUsers(), p.requestTypeAccess())
	return c
}

const typeFile = `a JSON file: name, title, description, parameters (a JSON Schema,
draft 2020-12, with examples), max_results, public.`

func (p *program) requestTypeCreate() *cobra.Command {
	return &cobra.Command{
		Use: "create FILE", Short: "Define a request type (response site)", Args: cobra.ExactArgs(1), Long: "Define the request type of " + typeFile,
		RunE: func(cmd *cobra.Command, args []string) error {
			var in domain.RequestTypeDefined
			if err := readDefinition(args[0], &in); err != nil {
				return err
			}
			return p.withSite(cmd.Context(), func(s *boot.Site) error {
				if _, _, err := s.Commands.DefineRequestType(cmd.Context(), by(), in.Command()); err != nil {
					return err
				}
				p.say("the request type %s is defined; say how it is answered: sallyport requesttype responder %s FILE", in.Name, in.Name)
				return nil
			})
		},
	}
}

func (p *program) requestTypeChange() *cobra.Command {
	return &cobra.Command{
		Use: "change FILE", Short: "Say all of a request type anew, in its next version (response site)", Args: cobra.ExactArgs(1),
		Long: "Say all of a request type anew, by " + typeFile + `
A version in the file, as show prints it, is the one that you have seen: if it is
another by now the change is refused. Requests that are under way are checked
against the version that they were asked by.`,
		RunE: func(cmd *cobra.Command, args []string) error {
			var in domain.RequestTypeDefined
			if err := readDefinition(args[0], &in); err != nil {
				return err
			}
			return p.withSite(cmd.Context(), func(s *boot.Site) error {
				now, created, stored, err := s.Commands.PutRequestType(cmd.Context(), by(), in.Command(), 0)
				switch {
				case err != nil:
					return err
				case created:
					p.say("the request type %s is defined: there was none", in.Name)
				default:
					p.told("the request type "+in.Name, fmt.Sprintf("changed, its version is %d", now.Version), stored)
				}
				return nil
			})
		},
	}
}

func (p *program) requestTypeRetire() *cobra.Command {
	c := &cobra.Command{Use: "retire NAME", Short: "Let nobody ask by a request type any more (response site)",
		Long: "Let nobody ask by a request type any more. What was asked before is still answered."}
	return p.acting(c, "the request type", "retired", func(ctx context.Context, s *boot.Site, name string) (commands.Stored, error) {
		return s.Commands.RetireRequestType(ctx, by(), name, 0)
	})
}

func (p *program) requestTypeRestore() *cobra.Command {
	c := &cobra.Command{Use: "restore NAME", Short: "Bring a retired request type back as it was, in its next version (response site)"}
	return p.acting(c, "the request type", "back", func(ctx context.Context, s *boot.Site, name string) (commands.Stored, error) {
		_, stored, err := s.Commands.BringBackRequestType(ctx, by(), name)
		return stored, err
	})
}

func (p *program) requestTypeList() *cobra.Command {
	return listing(p, "List the request types", func(ctx context.Context, s *boot.Site, retired bool) ([]domain.RequestTypeDefined, error) {
		found, err := s.Reader.RequestTypes(ctx, retired)
		all := make([]domain.RequestTypeDefined, len(found))
		for i, t := range found {
			all[i] = t.RequestTypeDefined
		}
		return all, err
	}, printTypes)
}

func printTypes(w io.Writer, all []domain.RequestTypeDefined) {
	fmt.Fprintln(w, "NAME\tVERSION\tPUBLIC\tMAX RESULTS\tTITLE")
	for _, t := range all {
		fmt.Fprintf(w, "%s\t%d\t%v\t%d\t%s\n", t.Name, t.Version, t.Public, t.MaxResults, t.Title)
	}
}

func typeNamed(ctx context.Context, s *boot.Site, name string) (projections.RequestType, error) {
	t, err := s.Reader.RequestType(ctx, name)
	if errors.Is(err, projections.ErrNotFound) {
		err = unknown("request-type", name, "requesttype list")
	}
	return t, err
}

func (p *program) requestTypeShow() *cobra.Command {
	return &cobra.Command{
		Use: "show NAME", Short: "Show a request type; with -o json in the form that change takes", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return p.withSite(cmd.Context(), func(s *boot.Site) error {
				t, err := typeNamed(cmd.Context(), s, args[0])
				if err != nil {
					return err
				}
				return p.print(t.RequestTypeDefined, func(w io.Writer) {
					fmt.Fprintf(w, "name\t%s\ntitle\t%s\ndescription\t%s\nversion\t%d\npublic\t%v\nmax results\t%d\nretired\t%v\nparameters\t%s\n",
						t.Name, t.Title, t.Description, t.Version, t.Public, t.MaxResults, t.Retired, t.Parameters)
				})
			})
		},
	}
}

func (p *program) requestTypeVersions() *cobra.Command {
	return &cobra.Command{
		Use: "versions NAME", Short: "List all that a request type ever was, the newest first", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return p.withSite(cmd.Context(), func(s *boot.Site) error {
				if _, err := typeNamed(cmd.Context(), s, args[0]); err != nil {
					return err
				}
				all, err := everyPage(func(page projections.Page) ([]domain.RequestTypeDefined, string, error) {
					return s.Reader.RequestTypeVersions(cmd.Context(), args[0], page)
				})
				if err != nil {
					return err
				}
				return p.print(all, func(w io.Writer) { printTypes(w, all) })
			})
		},
	}
}

// everyPage gathers all pages of a list.
func everyPage[T any](page func(projections.Page) ([]T, string, error)) ([]T, error) {
	all := []T{}
	for at := (projections.Page{Limit: projections.MaxLimit}); ; {
		items, next, err := page(at)
		if err != nil {
			return nil, err
		}
		all = append(all, items...)
		if at.Cursor = next; next == "" {
			return all, nil
		}
	}
}

// entitled is a user who may use a request type, and why.
type entitled struct {
	ID         string          `json:"id"`
	Username   string          `json:"username"`
	Role       domain.UserRole `json:"role"`
	Profile    string          `json:"profile"`
	Rule       domain.Rule     `json:"rule"`
	Why        string          `json:"why"`
	MaxResults int             `json:"max_results"`
}

func (p *program) requestTypeUsers() *cobra.Command {
	return &cobra.Command{
		Use: "users NAME", Short: "List who may use a request type, and why", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return p.withSite(cmd.Context(), func(s *boot.Site) error {
				t, err := typeNamed(cmd.Context(), s, args[0])
				if err != nil {
					return err
				}
				found, err := everyPage(func(page projections.Page) ([]projections.Entitled, string, error) {
					return s.Reader.EntitledTo(cmd.Context(), t.RequestTypeDefined, page)
				})
				if err != nil {
					return err
				}
				all := make([]entitled, len(found))
				for i, u := range found {
					ruling := u.Rights.Rule(t.Name, t.Public)
					all[i] = entitled{u.ID, u.Username, u.Role, u.Profile, ruling.Rule, ruling.Detail, u.Rights.MaxResults(t.RequestTypeDefined)}
				}
				return p.print(all, func(w io.Writer) {
					fmt.Fprintln(w, "USERNAME\tROLE\tPROFILE\tRESULTS\tWHY")
					for _, u := range all {
						fmt.Fprintf(w, "%s\t%s\t%s\t%d\t%s\n", u.Username, u.Role, u.Profile, u.MaxResults, u.Why)
					}
				})
			})
		},
	}
}

func (p *program) requestTypeAccess() *cobra.Command {
	var a access
	c := &cobra.Command{
		Use: "access NAME --grant|--block|--clear USERNAME…", Short: "Say for many users whether they may ask by a request type (response site)",
		Args: cobra.MinimumNArgs(2),
		Long: fmt.Sprintf(`Grant or block a request type for up to %d users, or let their profiles decide
again: for all of them, or, if there is something wrong with one, for none.`, commands.MaxAccess),
		RunE: func(cmd *cobra.Command, args []string) error {
			command, err := a.command(cmd, args[0])
			if err != nil {
				return err
			}
			return p.withSite(cmd.Context(), func(s *boot.Site) error {
				change := commands.AccessChange{Command: command}
				for _, name := range args[1:] {
					u, err := userNamed(cmd.Context(), s, name)
					if err != nil {
						return err
					}
					change.Users = append(change.Users, u.ID)
				}
				done, err := s.Commands.ChangeAccess(cmd.Context(), by(), change)
				if err != nil {
					return err
				}
				shown := struct {
					Changed   int   `json:"changed"`
					Unchanged int   `json:"unchanged"`
					From      int64 `json:"from_position"`
					To        int64 `json:"to_position"`
				}{done.Changed, done.Unchanged, done.From, done.Stored.Seq}
				return p.print(shown, func(w io.Writer) {
					fmt.Fprintf(w, "changed\t%d\nso already\t%d\npositions\t%d to %d\n", shown.Changed, shown.Unchanged, shown.From, shown.To)
				})
			})
		},
	}
	a.flags(c)
	return c
}
