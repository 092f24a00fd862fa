package main

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"sallyport/bridge"
	"sallyport/domain"
	"sallyport/internal/boot"
)

func (p *program) quarantineCommand() *cobra.Command {
	c := &cobra.Command{Use: "quarantine", Short: "Look at files that were refused, and decide about them"}
	c.AddCommand(p.quarantineList(), p.quarantineShow(),
		p.quarantineDecide("release", "Put a refused file back, so that the next import judges it again",
			func(b *bridge.Bridge) deciding { return b.Release },
			"%s is back in staging/: the next import judges it (now: `sallyport bundle import`)"),
		p.quarantineDecide("reject", "Delete a refused file that nobody wants; why it was refused is kept",
			func(b *bridge.Bridge) deciding { return b.Reject },
			"%s was deleted; its reason.json stays"))
	return c
}

func (p *program) quarantineList() *cobra.Command {
	f := bridge.QuarantineFilter{Page: bridge.Page{Limit: bridge.MaxPage}}
	cmd := &cobra.Command{
		Use: "list", Short: "List the refused files that wait for a decision, newest first", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return p.withSite(cmd.Context(), func(s *boot.Site) error {
				files, next, err := s.Bridge.QuarantinePage(cmd.Context(), f)
				if err != nil {
					return err
				}
				if next != "" {
					p.say("only the newest %d are listed", len(files))
				}
				return p.print(files, func(w io.Writer) { printQuarantined(w, files) })
			})
		},
	}
	cmd.Flags().BoolVar(&f.All, "all", false, "list those that were decided about too")
	cmd.Flags().StringVar(&f.Peer, "peer", "", "list only what says to come from this site")
	return cmd
}

func printQuarantined(w io.Writer, files []bridge.QuarantinedFile) {
	if len(files) == 0 {
		fmt.Fprintln(w, "nothing waits for a decision")
		return
	}
	fmt.Fprintln(w, "ID\tCODE\tPEER\tAT\tDECIDED\tFILE")
	for _, q := range files {
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\n", q.ID, q.Code, q.Peer, q.At, orDash(q.Decided), q.File)
	}
}

func orDash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}

func (p *program) quarantineShow() *cobra.Command {
	return &cobra.Command{
		Use: "show ID", Short: "Say why a file was refused and what to do", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return p.withSite(cmd.Context(), func(s *boot.Site) error { return p.showQuarantined(cmd.Context(), s, args[0]) })
		},
	}
}

func (p *program) showQuarantined(ctx context.Context, s *boot.Site, id string) error {
	q, err := s.Bridge.QuarantinedFile(ctx, id)
	if err != nil {
		return unknownFile(err)
	}
	return p.print(q, func(w io.Writer) {
		fmt.Fprintf(w, "file\t%s\nSHA-256\t%s\nfrom\t%s\ncode\t%s\nwhy\t%s\nnext\t%s\nat\t%s\n", q.File, q.SHA256, q.Peer, q.Code, q.Message, q.NextStep, q.At)
		if q.Decided != "" {
			fmt.Fprintf(w, "decided\t%s at %s by %s\n", q.Decided, *q.DecidedAt, q.DecidedBy)
		}
	})
}

// deciding is one of the decisions that the bridge takes.
type deciding func(ctx context.Context, id, reason, actor string) error

// quarantineDecide makes the command of one decision; said is told afterwards.
func (p *program) quarantineDecide(use, short string, of func(*bridge.Bridge) deciding, said string) *cobra.Command {
	var reason string
	cmd := &cobra.Command{
		Use: use + " ID", Short: short, Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return p.withSite(cmd.Context(), func(s *boot.Site) error {
				if err := domain.CheckReason(reason); err != nil {
					return &usageError{fmt.Errorf("--reason: %w", err)}
				}
				if err := of(s.Bridge)(cmd.Context(), args[0], reason, actor()); err != nil {
					return unknownFile(err)
				}
				q, err := s.Bridge.QuarantinedFile(cmd.Context(), args[0])
				if err != nil {
					return err
				}
				p.say(said, q.File)
				return p.print(q, func(w io.Writer) { fmt.Fprintf(w, "%s\t%s\t%s\n", q.ID, q.Decided, q.File) })
			})
		},
	}
	cmd.Flags().StringVar(&reason, "reason", "", "why, on one line; it is kept in the log")
	if err := cmd.MarkFlagRequired("reason"); err != nil {
		panic(err) // the flag is made above
	}
	return cmd
}

// unknownFile makes an id that nothing has a command that was called wrongly.
func unknownFile(err error) error {
	var refused *domain.Error
	if errors.As(err, &refused) && refused.Kind == domain.NotFound {
		return &usageError{err}
	}
	return err
}
