package main

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"sallyport/internal/boot"
)

func (p *program) auditCommand() *cobra.Command {
	c := &cobra.Command{Use: "audit", Short: "Look at the history and prove it"}
	c.AddCommand(p.auditLog(), p.auditState(), p.auditVerify(), p.auditEvidence(), p.auditExport())
	return c
}

func (p *program) auditVerify() *cobra.Command {
	return &cobra.Command{
		Use: "verify", Short: "Recompute the chains of this site's log and of its mirrors", Args: cobra.NoArgs,
		Long: `Every line of the log and of the mirrors is read and held against its columns,
its JSON Schema, the positions, versions and chain of its log, the heads, and
what the peers have signed in the manifests that came from them. The first
position that is wrong is named, and the exit code is 10.`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return p.withSite(cmd.Context(), func(s *boot.Site) error { return p.verifyLogs(cmd.Context(), s) })
		},
	}
}

func (p *program) verifyLogs(ctx context.Context, s *boot.Site) error {
	head, err := s.Log.Head(ctx)
	if err != nil {
		return err
	}
	told := p.progress()
	told.events = true
	told.Start("verifying the log", head.Seq)
	all, err := s.Bridge.VerifyLogs(ctx, told.Add)
	told.Finish()
	if err != nil {
		return err
	}
	err = p.print(all, func(w io.Writer) {
		fmt.Fprintln(w, "LOG OF\tTHROUGH\tEVENTS\tWITHHELD\tWITNESSED\tRESULT")
		for _, v := range all {
			result := "ok"
			if !v.OK {
				result = fmt.Sprintf("WRONG at position %d: %s", v.BadPosition, v.Problem)
			}
			fmt.Fprintf(w, "%s\t%d\t%d\t%d\t%d\t%s\n", v.Origin, v.Through, v.Events, v.Withheld, v.Witnessed, result)
		}
	})
	for _, v := range all {
		if !v.OK {
			err = errors.Join(err, &foundDamage{fmt.Errorf("the log of %s is wrong at position %d: %s; keep this database as it is and call for help", v.Origin, v.BadPosition, v.Problem)})
		}
	}
	return err
}
