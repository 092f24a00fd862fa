package main

import (
	"bufio"
	"cmp"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"sallyport/domain"
	"sallyport/internal/boot"
	"sallyport/internal/commands"
	"sallyport/projections"
)

func (p *program) userCommand() *cobra.Command {
	c := &cobra.Command{Use: "user", Short: "Register, import, show and change users"}
	c.AddCommand(p.userCreate(), p.userList(), p.userImport(), p.userShow(), p.userChange(), p.userActivate(), p.userDeactivate(),
		p.userPassword(), p.userLimits(), p.userAccess())
	return c
}

func (p *program) userCreate() *cobra.Command {
	var in commands.NewUser
	var role, passwordFile string
	cmd := &cobra.Command{
		Use: "create USERNAME --email ADDRESS", Short: "Register a user (response site)", Args: cobra.ExactArgs(1),
		Long: `Register a user on the response site. The password is the first line of standard
input, or of --password-file; it is hashed and kept nowhere.`,
		RunE: func(cmd *cobra.Command, args []string) (err error) {
			in.Username, in.Role = args[0], domain.UserRole(role)
			if in.FullName == "" {
				in.FullName = in.Username
			}
			return p.withSite(cmd.Context(), func(s *boot.Site) error {
				if s.Config.Role != domain.ResponseSite { // before a password is asked for in vain
					return commands.WrongSite(domain.ResponseSite, "users are registered")
				}
				if in.Password, err = p.readPassword(cmd.InOrStdin(), passwordFile); err != nil {
					return err
				}
				stored, err := s.Commands.RegisterUser(cmd.Context(), by(), in)
				if err != nil {
					return err
				}
				return p.print(map[string]string{"id": stored.ID, "username": in.Username}, func(w io.Writer) {
					fmt.Fprintf(w, "registered\t%s\nid\t%s\n", in.Username, stored.ID)
				})
			})
		},
	}
	f := cmd.Flags()
	f.StringVar(&in.Email, "email", "", "the user's email address")
	f.StringVar(&in.FullName, "full-name", "", "the user's full name (default: the username)")
	f.StringVar(&role, "role", string(domain.RoleUser), "what the user may do: user, analyst, operator, auditor or admin")
	f.StringVar(&in.Profile, "profile", "free", "the user's profile: see `sallyport profile list`")
	f.StringVar(&passwordFile, "password-file", "", "the file whose first line is the password (default: standard input)")
	_ = cmd.MarkFlagRequired("email") // fails only for a flag that does not exist
	return cmd
}

// maxPasswordLine bounds what is read for a password, in bytes.
const maxPasswordLine = 4 << 10

// readPassword reads the first line of a file, or of stdin if none is named.
func (p *program) readPassword(from io.Reader, path string) (string, error) {
	if path != "" {
		f, _, err := openRegular(path)
		if err != nil {
			return "", err
		}
		defer f.Close()
		from = f
	} else {
		p.say("password, on one line of standard input:")
	}
	line, err := bufio.NewReader(io.LimitReader(from, maxPasswordLine)).ReadString('\n')
	if err != nil && !errors.Is(err, io.EOF) {
		return "", fmt.Errorf("read the password: %w; nothing was stored", err)
	}
	if line == "" {
		return "", &usageError{fmt.Errorf("%s held no password: write it on one line, or name a file by --password-file; nothing was stored", cmp.Or(path, "standard input"))}
	}
	return strings.TrimRight(line, "\r\n"), nil
}

// listedUser is a user without what belongs to nobody else.
type listedUser struct {
	ID       string          `json:"id"`
	Username string          `json:"username"`
	Email    string          `json:"email"`
	Role     domain.UserRole `json:"role"`
	Profile  string          `json:"profile"`
	Active   bool            `json:"active"`
}

func (p *program) userList() *cobra.Command {
	var filter projections.UserFilter
	var active bool
	c := &cobra.Command{
		Use: "list", Short: "List the users", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			filter.Active = given(cmd.Flags(), "active", active)
			return p.withSite(cmd.Context(), func(s *boot.Site) error {
				found, err := everyPage(func(page projections.Page) ([]projections.User, string, error) {
					filter.Page = page
					return s.Reader.Users(cmd.Context(), filter)
				})
				if err != nil {
					return err
				}
				all := make([]listedUser, len(found))
				for i, u := range found {
					all[i] = listedUser{u.ID, u.Username, u.Email, u.Role, u.Profile, u.Active}
				}
				return p.print(all, func(w io.Writer) {
					fmt.Fprintln(w, "USERNAME\tROLE\tPROFILE\tACTIVE\tID")
					for _, u := range all {
						fmt.Fprintf(w, "%s\t%s\t%s\t%v\t%s\n", u.Username, u.Role, u.Profile, u.Active, u.ID)
					}
				})
			})
		},
	}
	f := c.Flags()
	f.StringVar(&filter.Search, "search", "", "only those who have this in their username, address or full name")
	f.StringVar((*string)(&filter.Role), "role", "", "only those of this role")
	f.StringVar(&filter.Profile, "profile", "", "only those with this profile")
	f.BoolVar(&active, "active", true, "only those who are active, or with --active=false who are not")
	return c
}
