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
	c.AddCommand(p.linkStatus("status", "Say for each link how far it has got and what to do next"),
		p.linkStatus("list", "List the links"), p.linkCard(), p.linkAdd())
	return c
}

func (p *program) linkStatus(use, short string) *cobra.Command {
	return &cobra.Command{
		Use: use, Short: short, Args: cobra.NoArgs,
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

func (p *program) linkCard() *cobra.Command {
	return &cobra.Command{
		Use: "card", Short: "Show this site's own card and fingerprint", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return p.withSite(cmd.Context(), func(s *boot.Site) error {
				card := s.Bridge.Card()
				return p.print(card, func(w io.Writer) {
					fmt.Fprintf(w, "%s\nfingerprint  %s\n", card.Encode(), card.Fingerprint())
				})
			})
		},
	}
}

func (p *program) linkAdd() *cobra.Command {
	return &cobra.Command{
		Use: "add CARD", Short: "Trust the site of a card whose fingerprint was compared by another way", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			card, err := readCard(args[0])
			if err != nil {
				return &usageError{err}
			}
			return p.withSite(cmd.Context(), func(s *boot.Site) error {
				if err := s.Bridge.AddLink(cmd.Context(), card, actor()); err != nil {
					return err
				}
				p.say("linked to %s; its fingerprint is %s", card.Name, card.Fingerprint())
				return nil
			})
		},
	}
}
