package main

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"sallyport/bridge"
	"sallyport/bridge/archive"
	"sallyport/bridge/bundle"
	"sallyport/eventstore"
	"sallyport/internal/boot"
	"sallyport/schema"
)

func (p *program) auditCommand() *cobra.Command {
	c := &cobra.Command{Use: "audit", Short: "Look at the history and prove it"}
	c.AddCommand(p.auditLog(), p.auditState(), p.auditVerify(), p.auditEvidence(), p.auditExport(), p.auditArchive())
	return c
}

func (p *program) auditVerify() *cobra.Command {
	var from archived
	c := &cobra.Command{
		Use: "verify", Short: "Recompute the chains of this site's log and of its mirrors", Args: cobra.NoArgs,
		Long: `Every line of the log and of the mirrors is read and held against its columns,
its JSON Schema, the positions, versions and chain of its log, the heads, and
what the peers have signed in the manifests that came from them. The first
position that is wrong is named, and the exit code is 10.

With --archive, every byte of the files is read, and every chain is followed from
its beginning to where the signed index says that it ends. The cards of peers let
what they have signed count as well.`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := from.check(); err != nil {
				return err
			}
			if from.dir != "" {
				return p.withArchive(from, func(a *archive.Archive, trust bundle.Trust) error { return p.verifyArchive(cmd.Context(), a, trust) })
			}
			return p.withSite(cmd.Context(), func(s *boot.Site) error { return p.verifyLogs(cmd.Context(), s) })
		},
	}
	from.flags(c)
	return c
}

// verifyArchive says where an archive is wrong as it would of a log: its positions
// are the numbers (seq) of the site.
func (p *program) verifyArchive(ctx context.Context, a *archive.Archive, trust bundle.Trust) error {
	schemas, err := schema.LoadEvents()
	if err != nil {
		return err
	}
	told := p.progress()
	told.events = true
	told.Start("verifying the archive", a.Segments[len(a.Segments)-1].Through)
	all, err := a.Verify(ctx, archive.Checks{Line: bridge.Checker{Schemas: schemas}.OfLog, Peers: trust, Progress: told.Add})
	told.Finish()
	if err != nil {
		return err
	}
	return p.print(all, func(w io.Writer) { printVerified(w, all) })
}

func printVerified(w io.Writer, all []eventstore.Verified) {
	fmt.Fprintln(w, "LOG OF\tTHROUGH\tEVENTS\tWITHHELD\tWITNESSED\tRESULT")
	for _, v := range all {
		result := "ok"
		if !v.OK {
			result = fmt.Sprintf("WRONG at position %d: %s", v.BadPosition, v.Problem)
		}
		fmt.Fprintf(w, "%s\t%d\t%d\t%d\t%d\t%s\n", v.Origin, v.Through, v.Events, v.Withheld, v.Witnessed, result)
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
	err = p.print(all, func(w io.Writer) { printVerified(w, all) })
	for _, v := range all {
		if !v.OK {
			err = errors.Join(err, &foundDamage{fmt.Errorf("the log of %s is wrong at position %d: %s; keep this database as it is and call for help", v.Origin, v.BadPosition, v.Problem)})
		}
	}
	return err
}
