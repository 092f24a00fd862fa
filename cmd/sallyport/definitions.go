package main

import (
	"context"
	"fmt"
	"io"
	"strings"

	strict "github.com/go-json-experiment/json"
	"github.com/spf13/cobra"

	"sallyport/domain"
	"sallyport/internal/boot"
	"sallyport/internal/commands"
)

// maxDefinition bounds a file that defines something, in bytes.
const maxDefinition = 1 << 20

// readDefinition reads one JSON object strictly: a misspelt field is an error.
func readDefinition(path string, into any) error {
	f, info, err := openRegular(path)
	if err != nil {
		return err
	}
	defer f.Close()
	if info.Size() > maxDefinition {
		return &usageError{fmt.Errorf("%s is longer than %d bytes; nothing was stored", path, maxDefinition)}
	}
	if err := strict.UnmarshalRead(io.LimitReader(f, maxDefinition), into, strict.RejectUnknownMembers(true)); err != nil {
		return &usageError{fmt.Errorf("%s: %w; nothing was stored: correct the file", path, err)}
	}
	return nil
}

func by() commands.By { return commands.By{Actor: actor()} }

// told says what became of a definition. Seq is 0 when it was so already.
func (p *program) told(what, done string, stored commands.Stored) {
	if stored.Seq == 0 {
		p.say("%s is so already; nothing was stored", what)
		return
	}
	p.say("%s is %s", what, done)
}

// acting is a command about one thing by its name; act does it.
func (p *program) acting(c *cobra.Command, what, done string, act func(ctx context.Context, s *boot.Site, name string) (commands.Stored, error)) *cobra.Command {
	c.Args = cobra.ExactArgs(1)
	c.RunE = func(cmd *cobra.Command, args []string) error {
		return p.withSite(cmd.Context(), func(s *boot.Site) error {
			stored, err := act(cmd.Context(), s, args[0])
			if err == nil {
				p.told(strings.TrimSpace(what+" "+args[0]), done, stored)
			}
			return err
		})
	}
	return c
}

// listing is a command that lists what is not retired, or what is.
func listing[T any](p *program, short string, load func(ctx context.Context, s *boot.Site, retired bool) ([]T, error), table func(io.Writer, []T)) *cobra.Command {
	var retired bool
	c := &cobra.Command{
		Use: "list", Short: short, Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return p.withSite(cmd.Context(), func(s *boot.Site) error {
				all, err := load(cmd.Context(), s, retired)
				if err != nil {
					return err
				}
				return p.print(all, func(w io.Writer) { table(w, all) })
			})
		},
	}
	c.Flags().BoolVar(&retired, "retired", false, "list those that were retired instead")
	return c
}

func unknown(what, name, list string) error {
	return &domain.Error{Kind: domain.NotFound, Code: "unknown-" + what,
		Detail: fmt.Sprintf("there is no %s named %q: see `sallyport %s`; nothing was stored", what, name, list)}
}
