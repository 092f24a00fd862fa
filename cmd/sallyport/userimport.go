package main

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"sallyport/domain"
	"sallyport/internal/boot"
	"sallyport/internal/commands"
	"sallyport/internal/userfile"
)

// importReport is what `user import` prints.
type importReport struct {
	DryRun bool `json:"dry_run"`
	Read   int  `json:"read"`
	commands.Imported
	Problems []commands.ImportProblem `json:"problems"`
}

func (p *program) userImport() *cobra.Command {
	var c userfile.Config
	var format string
	var dryRun bool
	cmd := &cobra.Command{
		Use: "import FILE", Short: "Take over the users of another system with their password hashes (response site)", Args: cobra.ExactArgs(1),
		Long: `Take over the users of another system, who go on with the passwords that they have.
FILE is CSV with a line of names, or JSON objects, one a line (by its ending, or
--format):

  username, email   as they must be here
  hashed_password   bcrypt ($2a$, $2b$, $2y$) or argon2id
  full_name         may be left out
  role              left out: user
  is_active         left out: true
  profile_type      left out: free

Other fields are passed over. If there is a problem with any line, all problems are
told and nothing is stored. Who is here already with the same username and address
stays as they are, so an import that was interrupted is run again.`,
		RunE: func(cmd *cobra.Command, args []string) error {
			return p.withSite(cmd.Context(), func(s *boot.Site) error {
				if s.Config.Role != domain.ResponseSite { // before a file is read in vain
					return commands.WrongSite(domain.ResponseSite, "users are imported")
				}
				file, err := readUsers(args[0], format, c)
				if err != nil {
					return err
				}
				if len(file.Ignored) > 0 {
					p.say("passed over, because they mean nothing here: %s", strings.Join(file.Ignored, ", "))
				}
				r, err := importUsers(cmd.Context(), s, file, dryRun)
				if err != nil {
					return err
				}
				return p.printImport(r)
			})
		},
	}
	f := cmd.Flags()
	f.BoolVar(&dryRun, "dry-run", false, "only say what would be done")
	f.StringVar(&format, "format", "", "csv or jsonl (default: by the file's ending)")
	f.BoolVar(&c.LowerCase, "lower-case", false, "make usernames lower-case; their users then log in so")
	f.StringToStringVar(&c.Roles, "role", nil, "what a role is called here, OLD=NEW; may be given again")
	f.StringToStringVar(&c.Profiles, "profile", nil, "what a profile is called here, OLD=NEW; may be given again")
	return cmd
}

func readUsers(path, format string, c userfile.Config) (userfile.File, error) {
	if format == "" {
		format = strings.TrimPrefix(strings.ToLower(filepath.Ext(path)), ".")
	}
	switch format {
	case "csv":
		c.CSV = true
	case "jsonl", "ndjson":
	default:
		return userfile.File{}, &usageError{fmt.Errorf("%q is no format of users: give --format csv or jsonl; nothing was stored", format)}
	}
	f, _, err := openRegular(path)
	if err != nil {
		return userfile.File{}, err
	}
	defer f.Close()
	file, err := userfile.Read(f, c)
	if err != nil {
		return file, &usageError{fmt.Errorf("%s: %w; nothing was stored", path, err)}
	}
	return file, nil
}

// importUsers does what can be done with a file: all of it, or nothing but to
// tell what is wrong.
func importUsers(ctx context.Context, s *boot.Site, file userfile.File, dryRun bool) (importReport, error) {
	r := importReport{DryRun: dryRun, Read: len(file.Users), Problems: []commands.ImportProblem{}}
	users := make([]commands.ImportedUser, len(file.Users))
	for i, u := range file.Users {
		users[i] = commands.ImportedUser(u)
	}
	done, problems, err := s.Commands.ImportUsers(ctx, by(), users, dryRun || len(file.Problems) > 0)
	if err != nil {
		return r, err
	}
	r.Problems = append(r.Problems, problems...)
	for _, problem := range file.Problems {
		r.Problems = append(r.Problems, commands.ImportProblem(problem))
	}
	slices.SortStableFunc(r.Problems, func(a, b commands.ImportProblem) int { return cmp.Compare(a.Line, b.Line) })
	if len(r.Problems) == 0 {
		r.Imported = done
	}
	return r, nil
}

func (p *program) printImport(r importReport) error {
	err := p.print(r, func(w io.Writer) {
		if len(r.Problems) == 0 {
			verb := "registered"
			if r.DryRun {
				verb = "would be registered"
			}
			fmt.Fprintf(w, "read\t%d\n%s\t%d\nof them not active\t%d\nhere already\t%d\n", r.Read, verb, r.Registered, r.Deactivated, r.Present)
			return
		}
		fmt.Fprintln(w, "LINE\tUSERNAME\tPROBLEM")
		for _, problem := range r.Problems {
			fmt.Fprintf(w, "%d\t%s\t%s\n", problem.Line, problem.Username, problem.Detail)
		}
	})
	if err == nil && len(r.Problems) > 0 {
		err = &policyError{fmt.Errorf("there are %d problems, so nothing was stored: correct the file and import it again", len(r.Problems))}
	}
	return err
}
