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
