package main

import (
	"fmt"
	"io"
	"path/filepath"

	"github.com/spf13/cobra"

	"sallyport/internal/boot"
)

func (p *program) linkRestored() *cobra.Command {
	var because string
	cmd := &cobra.Command{
		Use: "restored", Short: "Say that this site came from a backup, its folders too", Args: cobra.NoArgs,
		Long: `Say that this site came from a backup, its folders too.

A site notices by itself when its database is older than the files that left it, because head.json in its data folder
says how far it had got. Only when head.json came from the same backup must a person say so, before anything else runs.
The site is then read-only until it is recovered (sallyport link recover): it must not write where events have been
that the other side still holds.`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return p.withSite(cmd.Context(), func(s *boot.Site) error {
				if err := s.Bridge.DeclareRestored(cmd.Context(), because, actor()); err != nil {
					return err
				}
				p.say("this site is read-only; `sallyport link status` says what to do next")
				return nil
			})
		},
	}
	cmd.Flags().StringVar(&because, "because", "", "why, for those who read it later (required)")
	_ = cmd.MarkFlagRequired("because") // fails only for a flag that does not exist
	return cmd
}

func (p *program) linkReturn() *cobra.Command {
	var after int64
	cmd := &cobra.Command{
		Use: "return PEER", Short: "Give a site that was restored its own lost events back, from the mirror here", Args: cobra.ExactArgs(1),
		Long: `Give a site that was restored its own lost events back, from the mirror here.

It writes, into the outbox, one file for each bundle that brought what the other site has lost, with that site's own
signature as proof and encrypted to it. Carry them there, then run sallyport link recover there. The position after which
it lost events is in its link status.`,
		RunE: func(cmd *cobra.Command, args []string) error {
			return p.withSite(cmd.Context(), func(s *boot.Site) error {
				out, err := s.Bridge.Return(cmd.Context(), args[0], after, actor())
				if err == nil && len(out) == 0 {
					p.say("nothing of %s is held here after position %d: there, name this site with `link recover --without %s`", args[0], after, s.Config.Site)
				}
				return p.printExported(s, out, err)
			})
		},
	}
	cmd.Flags().Int64Var(&after, "after", 0, "the last position that the other site still has")
	return cmd
}

func (p *program) linkRecover() *cobra.Command {
	var without []string
	cmd := &cobra.Command{
		Use: "recover [FILE…]", Short: "Bring this restored site's lost events home and found its log anew",
		Long: `Bring this restored site's lost events home and found its log anew.

It takes what the other sites have given back (sallyport link return) from the inbox and from the files named here: the
longest part of this site's own log that its own signature proves. What nobody holds is marked as lost. The log then
begins a new epoch, every session is closed, and the other sites take the new site card: two people compare its
fingerprint, then sallyport link add CARD --refounded there. Programs that serve this site end; start them again.

It may be ended anywhere and run again. Every linked site must have given something back, or be named by --without.`,
		RunE: func(cmd *cobra.Command, args []string) error {
			return p.withSite(cmd.Context(), func(s *boot.Site) error {
				for _, file := range args {
					if _, err := s.Bridge.ImportFiles(cmd.Context(), filepath.Dir(file), []string{filepath.Base(file)}); err != nil {
						return err
					}
				}
				r, err := s.Recover(cmd.Context(), without, actor())
				if err != nil {
					for _, o := range r.Refused {
						p.say("%s proves nothing: %s", o.File, o.Reason)
					}
					return err
				}
				return p.print(r, func(w io.Writer) { printRecovered(w, r, s.Config.CardPath()) })
			})
		},
	}
	cmd.Flags().StringSliceVar(&without, "without", nil, "sites that hold nothing which was lost here, and gave nothing back")
	return cmd
}

func printRecovered(w io.Writer, r boot.Recovered, card string) {
	fmt.Fprintf(w, "brought home\t%d events, positions %d to %d\n", r.Events, r.From+1, r.Through)
	fmt.Fprintf(w, "lost\t%d positions that nobody holds\n", r.Lost)
	fmt.Fprintf(w, "new epoch\t%s, above position %d\n", r.Epoch, r.Start)
	fmt.Fprintf(w, "site card\t%s\nfingerprint\t%s\n", card, r.Card.Fingerprint())
	for _, o := range r.Refused {
		fmt.Fprintf(w, "not taken\t%s: %s\n", o.File, o.Reason)
	}
	for _, u := range r.Undelivered {
		fmt.Fprintf(w, "never reached %s\t%s of %s (position %d): it will not cross any more; do it again\n", u.Peer, u.Type, u.Stream, u.Position)
	}
	for _, name := range r.Unconfigured {
		fmt.Fprintf(w, "no responder\t%s: sallyport requesttype responder %s FILE\n", name, name)
	}
	fmt.Fprintf(w, "next\tcarry the card to every linked site, compare the fingerprint, there: sallyport link add CARD --refounded; then start this site again, and sallyport link status\n")
}
