package main

import (
	"context"
	"fmt"
	"io"
	"path/filepath"
	"slices"

	"github.com/spf13/cobra"

	"sallyport/bridge"
	"sallyport/internal/boot"
)

func (p *program) bundleCommand() *cobra.Command {
	c := &cobra.Command{Use: "bundle", Short: "Write, check, read and take in bundles"}
	c.AddCommand(p.bundleExport(), p.bundleImport(), p.bundleVerify(), p.bundleInspect(), p.bundleCat(), p.bundleList())
	return c
}

func (p *program) bundleExport() *cobra.Command {
	return &cobra.Command{
		Use: "export [PEER]", Short: "Write what is due into the outbox; nothing due writes nothing", Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return p.withSite(cmd.Context(), func(s *boot.Site) error {
				exported := []bridge.Exported{}
				links, err := s.Bridge.Links(cmd.Context())
				if err != nil {
					return err
				}
				if len(args) > 0 {
					all := links
					if links = slices.DeleteFunc(slices.Clone(links), func(l bridge.Link) bool { return l.Card.Name != args[0] }); len(links) == 0 {
						return unknownPeer(args[0], all)
					}
				}
				for _, l := range links {
					out, err := s.Bridge.Export(cmd.Context(), l.Card.Name, actor())
					if err != nil {
						return err
					}
					exported = append(exported, out...)
				}
				return p.printExported(s, exported)
			})
		},
	}
}

func unknownPeer(peer string, links []bridge.Link) error {
	var names []string
	for _, l := range links {
		names = append(names, l.Card.Name)
	}
	return &usageError{fmt.Errorf("there is no link to %q (linked are %q); nothing was written: see `sallyport link list`", peer, names)}
}

func (p *program) printExported(s *boot.Site, exported []bridge.Exported) error {
	return p.print(exported, func(w io.Writer) {
		if len(exported) == 0 {
			fmt.Fprintln(w, "nothing is due")
			return
		}
		fmt.Fprintln(w, "TO\tNUMBER\tEVENTS\tBYTES\tFILE")
		for _, e := range exported {
			fmt.Fprintf(w, "%s\t%d\t%d\t%d\t%s\n", e.Peer, e.Seq, e.Events, e.Bytes, filepath.Join(s.Config.Data, "outbox", e.File))
		}
	})
}

func (p *program) bundleImport() *cobra.Command {
	return &cobra.Command{
		Use: "import [FILE...]", Short: "Take in the given files, or what lies in the inbox",
		RunE: func(cmd *cobra.Command, args []string) error {
			return p.withSite(cmd.Context(), func(s *boot.Site) error {
				outcomes, err := importFiles(cmd.Context(), s, args)
				if err != nil {
					return err
				}
				if outcomes == nil {
					outcomes = []bridge.Outcome{}
				}
				if err := p.print(outcomes, func(w io.Writer) { printOutcomes(w, outcomes) }); err != nil {
					return err
				}
				for _, o := range outcomes {
					if o.State == bridge.Quarantined {
						return fmt.Errorf("%s was quarantined: %w; see `sallyport quarantine list`", o.File, o.Err)
					}
				}
				return nil
			})
		},
	}
}

func importFiles(ctx context.Context, s *boot.Site, files []string) ([]bridge.Outcome, error) {
	if len(files) == 0 {
		return s.Bridge.Import(ctx)
	}
	var all []bridge.Outcome
	for _, f := range files {
		out, err := s.Bridge.ImportFiles(ctx, filepath.Dir(f), []string{filepath.Base(f)})
		if err != nil {
			return all, err
		}
		all = append(all, out...)
	}
	return all, nil
}

func printOutcomes(w io.Writer, outcomes []bridge.Outcome) {
	if len(outcomes) == 0 {
		fmt.Fprintln(w, "the inbox is empty")
		return
	}
	fmt.Fprintln(w, "FILE\tSTATE\tEVENTS\tWHY")
	for _, o := range outcomes {
		fmt.Fprintf(w, "%s\t%s\t%d\t%s\n", o.File, o.State, o.Events, o.Reason)
	}
}

func (p *program) bundleInspect() *cobra.Command {
	return &cobra.Command{
		Use: "inspect FILE", Short: "Show a bundle's manifest, which nobody has vouched for yet", Args: cobra.ExactArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			m, err := readManifest(args[0])
			if err != nil {
				return fmt.Errorf("%s: %w", args[0], err)
			}
			return p.print(m, func(w io.Writer) {
				c := m.Core
				fmt.Fprintf(w, "id\t%s\nkind\t%s\nfrom\t%s\nto\t%s\nepoch\t%s\nnumber\t%d\npositions\t%d to %d\nplain bytes\t%d\npayload bytes\t%d\nencrypted\t%v\nsigners\t%v\nmade\t%s\n",
					c.ID(), c.Kind, c.From, c.To, c.Epoch, c.Seq, c.Range.After+1, c.Range.Through, c.PlainBytes, m.Payload.Bytes, m.Encryption != nil, m.Signers, m.CreatedAt)
				fmt.Fprintln(w, "\tnothing of this is proven: see `sallyport bundle verify`")
			})
		},
	}
}

func (p *program) bundleCat() *cobra.Command {
	var r reading
	cmd := &cobra.Command{
		Use: "cat FILE", Short: "Verify a bundle and print its lines", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return r.with(cmd.Context(), p, func(believe believing) error {
				c, err := believe(args[0])
				if err == nil {
					err = bridge.Cat(cmd.Context(), args[0], c, func(line []byte) error {
						_, err := p.stdout.Write(line)
						return err
					})
				}
				return advise(args[0], err)
			})
		},
	}
	r.flags(cmd)
	return cmd
}

func (p *program) bundleList() *cobra.Command {
	return &cobra.Command{
		Use: "list", Short: "List the bundles written and taken in, newest first", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return p.withSite(cmd.Context(), func(s *boot.Site) error {
				all, err := s.Bridge.Bundles(cmd.Context())
				if err != nil {
					return err
				}
				return p.print(all, func(w io.Writer) {
					fmt.Fprintln(w, "DIRECTION\tPEER\tNUMBER\tSTATE\tSINCE\tFILE")
					for _, b := range all {
						fmt.Fprintf(w, "%s\t%s\t%d\t%s\t%s\t%s\n", b.Direction, b.Peer, b.Seq, b.State, b.Since, b.File)
					}
				})
			})
		},
	}
}
