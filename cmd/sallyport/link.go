package main

import "github.com/spf13/cobra"

func (p *program) linkCommand() *cobra.Command {
	c := &cobra.Command{Use: "link", Short: "Know and add the sites on the other side"}
	c.AddCommand(p.linkStatus(), p.linkList(), p.linkCard(), p.linkAdd(),
		p.linkStop(), p.linkResume(), p.linkRemove(), p.linkWithhold(), p.linkReturn(), p.linkRestored(), p.linkRecover())
	return c
}
