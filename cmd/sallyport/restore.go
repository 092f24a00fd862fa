package main

import (
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
