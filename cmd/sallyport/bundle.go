package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"filippo.io/age"
	"github.com/spf13/cobra"

	"sallyport/bridge"
	"sallyport/bridge/bundle"
	"sallyport/internal/boot"
	"sallyport/schema"
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
				for _, l := range links {
					if len(args) > 0 && args[0] != l.Card.Name {
						continue
					}
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

// reading are the flags of the commands that read a bundle without a database.
type reading struct {
	card, identity string
}

func (r *reading) flags(cmd *cobra.Command) {
	cmd.Flags().StringVar(&r.card, "card", "", "the sender's site card; without it the configured site's own links are used")
	cmd.Flags().StringVar(&r.identity, "identity", "", "the receiver's age identity file, to open an encrypted payload")
}

// config says what may be believed about a bundle: by the card given, else by
// the cards and the identity of the configured site.
func (r *reading) config(ctx context.Context, p *program, path string) (bridge.VerifyConfig, error) {
	schemas, err := schema.LoadEvents()
	if err != nil {
		return bridge.VerifyConfig{}, err
	}
	c := bridge.VerifyConfig{Schemas: schemas}
	if r.identity != "" {
		id, err := bridge.ReadIdentity(r.identity)
		if err != nil {
			return c, &usageError{err}
		}
		c.Identities = []age.Identity{id}
	}
	if r.card != "" {
		if c.Sender, err = bridge.ReadCard(r.card); err != nil {
			return c, &usageError{err}
		}
		return c, nil
	}
	return c, p.withSite(ctx, func(s *boot.Site) error { return fromSite(ctx, s, path, &c) })
}

// fromSite finds the sender's card among the site's own and its links', and
// opens with the site's own identity what was sent to it.
func fromSite(ctx context.Context, s *boot.Site, path string, c *bridge.VerifyConfig) error {
	m, err := readManifest(path)
	if err != nil {
		return err
	}
	if m.Core.To == s.Config.Site && len(c.Identities) == 0 {
		c.Identities = []age.Identity{s.Bridge.Keys.Identity}
	}
	if m.Core.From == s.Config.Site {
		c.Sender = s.Bridge.Card()
		return nil
	}
	links, err := s.Bridge.Links(ctx)
	if err != nil {
		return err
	}
	for _, l := range links {
		if l.Card.Name == m.Core.From {
			c.Sender = l.Card
			return nil
		}
	}
	return &bundle.Error{Code: bundle.Untrusted, Msg: fmt.Sprintf("it says to come from %q, of which this site has no card", m.Core.From)}
}

// readManifest reads a manifest that nobody has vouched for yet.
func readManifest(path string) (bundle.Manifest, error) {
	f, err := os.Open(path)
	if err != nil {
		return bundle.Manifest{}, fmt.Errorf("open the bundle: %w", err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return bundle.Manifest{}, fmt.Errorf("open the bundle: %w", err)
	}
	b, err := bundle.Open(f, info.Size(), bundle.Limits{})
	if err != nil {
		return bundle.Manifest{}, err
	}
	return b.Manifest(), nil
}

func (p *program) bundleVerify() *cobra.Command {
	var r reading
	cmd := &cobra.Command{
		Use: "verify FILE", Short: "Read every byte of a bundle and say whether it is what its sender signed", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := r.config(cmd.Context(), p, args[0])
			if err != nil {
				return fmt.Errorf("%s: %w", args[0], err)
			}
			report, err := bridge.Verify(cmd.Context(), args[0], c)
			if err != nil {
				return fmt.Errorf("%s: %w; do not use it, ask the sender for it again", args[0], err)
			}
			return p.print(report, func(w io.Writer) { printReport(w, report) })
		},
	}
	r.flags(cmd)
	return cmd
}

func printReport(w io.Writer, r bridge.Report) {
	fmt.Fprintf(w, "file\t%s\nid\t%s\nfrom\t%s\nto\t%s\nnumber\t%d\npositions\t%d to %d\nsignature\t%s\npayload\t%s\ncontent\t%s\n",
		r.File, r.ID, r.From, r.To, r.Seq, r.Range.After+1, r.Range.Through, r.Signature, r.Payload, r.Content)
	if r.Content == "ok" {
		fmt.Fprintf(w, "events\t%d\nwithheld\t%d\n", r.Events, r.Withheld)
	} else {
		fmt.Fprintln(w, "\tthe payload is encrypted: give --identity to check its lines too")
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
			c, err := r.config(cmd.Context(), p, args[0])
			if err != nil {
				return fmt.Errorf("%s: %w", args[0], err)
			}
			err = bridge.Cat(cmd.Context(), args[0], c, func(line []byte) error {
				_, err := p.stdout.Write(line)
				return err
			})
			if err != nil {
				return fmt.Errorf("%s: %w", args[0], err)
			}
			return nil
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
