package main

import (
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"sallyport/bridge"
	"sallyport/internal/boot"
)

func (p *program) linkCommand() *cobra.Command {
	c := &cobra.Command{Use: "link", Short: "Know and add the sites on the other side"}
	c.AddCommand(p.linkStatus(),
		p.linkList(), p.linkCard(), p.linkAdd())
	return c
}

func (p *program) linkStatus() *cobra.Command {
	return &cobra.Command{
		Use: "status", Short: "Say for each link how far it has got and what to do next", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return p.withSite(cmd.Context(), func(s *boot.Site) error {
				links, err := s.Bridge.Status(cmd.Context())
				if err != nil {
					return err
				}
				return p.print(links, func(w io.Writer) { printLinks(w, links) })
			})
		},
	}
}

func printLinks(w io.Writer, links []bridge.Status) {
	if len(links) == 0 {
		fmt.Fprintln(w, "no links yet: exchange site cards, then `sallyport link add CARD`")
	}
	for _, l := range links {
		contact := "never"
		if l.LastContact != nil {
			contact = *l.LastContact
		}
		fmt.Fprintf(w, "%s (%s site)\n", l.Peer, l.Role)
		fmt.Fprintf(w, "  next\t%s\n", l.NextAction)
		fmt.Fprintf(w, "  sent\tthrough %d, acknowledged through %d\n", l.ExportedThrough, l.AckedThrough)
		fmt.Fprintf(w, "  received\tthrough %d, missing %v, held %v, quarantined %d\n", l.AppliedThrough, l.Missing, l.Held, l.Quarantined)
		fmt.Fprintf(w, "  last contact\t%s\n", contact)
	}
}

func (p *program) quarantineCommand() *cobra.Command {
	c := &cobra.Command{Use: "quarantine", Short: "Look at files that were refused"}
	c.AddCommand(&cobra.Command{
		Use: "list", Short: "List the refused files, newest first", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return p.withSite(cmd.Context(), func(s *boot.Site) error {
				all, err := s.Bridge.QuarantinedFiles(cmd.Context())
				if err != nil {
					return err
				}
				return p.print(all, func(w io.Writer) {
					fmt.Fprintln(w, "ID\tCODE\tPEER\tAT\tFILE")
					for _, r := range all {
						fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\n", r.ID, r.Code, r.Peer, r.At, r.File)
					}
				})
			})
		},
	}, &cobra.Command{
		Use: "show ID", Short: "Say why a file was refused and what to do", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return p.withSite(cmd.Context(), func(s *boot.Site) error {
				r, err := s.Bridge.QuarantinedFile(args[0])
				if err != nil {
					return err
				}
				return p.print(r, func(w io.Writer) {
					fmt.Fprintf(w, "file\t%s\nSHA-256\t%s\nfrom\t%s\ncode\t%s\nwhy\t%s\nnext\t%s\nat\t%s\n", r.File, r.SHA256, r.Peer, r.Code, r.Message, r.NextStep, r.At)
				})
			})
		},
	})
	return c
}
