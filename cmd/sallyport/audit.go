package main

import (
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"sallyport/internal/boot"
)

func (p *program) auditCommand() *cobra.Command {
	c := &cobra.Command{Use: "audit", Short: "Look at the history and prove it"}
	c.AddCommand(p.auditLog(), p.auditState(), &cobra.Command{
		Use: "verify", Short: "Recompute the chains of this site's log and of its mirrors", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return p.withSite(cmd.Context(), func(s *boot.Site) error {
				all, err := s.Bridge.VerifyLogs(cmd.Context())
				if err != nil {
					return err
				}
				err = p.print(all, func(w io.Writer) {
					fmt.Fprintln(w, "LOG OF\tTHROUGH\tEVENTS\tWITHHELD\tRESULT")
					for _, v := range all {
						result := "ok"
						if !v.OK {
							result = fmt.Sprintf("WRONG at position %d: %s", v.BadPosition, v.Problem)
						}
						fmt.Fprintf(w, "%s\t%d\t%d\t%d\t%s\n", v.Origin, v.Through, v.Events, v.Withheld, result)
					}
				})
				for _, v := range all {
					if !v.OK {
						err = errors.Join(err, &foundDamage{fmt.Errorf("the log of %s is wrong at position %d: %s; keep this database as it is and call for help", v.Origin, v.BadPosition, v.Problem)})
					}
				}
				return err
			})
		},
	})
	return c
}
