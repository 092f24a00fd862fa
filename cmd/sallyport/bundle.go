package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"sallyport/bridge"
	"sallyport/bridge/bundle"
	"sallyport/internal/boot"
)

func (p *program) bundleCommand() *cobra.Command {
	c := &cobra.Command{Use: "bundle", Short: "Write, check, read and take in bundles"}
	c.AddCommand(p.bundleExport(), p.bundleImport(), p.bundleVerify(), p.bundleInspect(), p.bundleCat(), p.bundleList(),
		p.bundleResend(), p.bundlePrune())
	return c
}

func (p *program) bundleExport() *cobra.Command {
	var dryRun bool
	cmd := &cobra.Command{
		Use: "export [PEER]", Short: "Write what is due into the outbox; nothing due writes nothing", Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return p.withSite(cmd.Context(), func(s *boot.Site) error {
				links, err := s.Bridge.Links(cmd.Context())
				if err == nil && len(args) > 0 {
					var l bridge.Link
					l, err = linkTo(cmd.Context(), s, args[0])
					links = []bridge.Link{l}
				}
				if err != nil {
					return err
				}
				if dryRun {
					return p.previewExport(cmd.Context(), s, links)
				}
				return p.export(cmd.Context(), s, links)
			})
		},
	}
	cmd.Flags().BoolVar(&dryRun, "dry-run", false, "say what would be written and why; write nothing")
	return cmd
}

// export goes through the links; one that fails does not keep the others back.
func (p *program) export(ctx context.Context, s *boot.Site, links []bridge.Link) error {
	total, err := exportSize(ctx, s, links)
	if err != nil {
		return err
	}
	shown := p.late("writing bundles", total)
	s.Bridge.Progress = shown.add
	exported, failed := []bridge.Exported{}, []error(nil)
	for _, l := range links {
		out, err := s.Bridge.Export(ctx, l.Card.Name, actor())
		exported, failed = append(exported, out...), append(failed, err)
	}
	shown.finish()
	return p.printExported(s, exported, errors.Join(failed...))
}

func (p *program) previewExport(ctx context.Context, s *boot.Site, links []bridge.Link) error {
	due, failed := []bridge.Exported{}, []error(nil)
	for _, l := range links {
		out, err := s.Bridge.Preview(ctx, l.Card.Name)
		due, failed = append(due, out...), append(failed, err)
	}
	return p.printMade(due, errors.Join(failed...), func(w io.Writer) { printDue(w, due) })
}

// printMade prints what was made, and what failed besides. On a failure people
// are not told that nothing is due: that is not known.
func (p *program) printMade(made []bridge.Exported, failed error, table func(io.Writer)) error {
	if errors.Is(failed, bridge.ErrStopped) {
		failed = fmt.Errorf("%w; next: see `sallyport link status`", failed)
	}
	if failed != nil && len(made) == 0 && p.output == "table" {
		return failed
	}
	return errors.Join(p.print(orEmpty(made), table), failed)
}

func printDue(w io.Writer, due []bridge.Exported) {
	if len(due) == 0 {
		fmt.Fprintln(w, "nothing is due")
		return
	}
	fmt.Fprintln(w, "TO\tNUMBER\tEVENTS\tUP TO\tWHY")
	for _, e := range due {
		number, bytes := fmt.Sprint(e.Seq), size(e.Bytes)
		if e.Kind == bundle.Beacon {
			number, bytes = "beacon", "3 kB"
		}
		fmt.Fprintf(w, "%s\t%s\t%d\t%s\t%s\n", e.Peer, number, e.Events, bytes, e.Why)
	}
	fmt.Fprintln(w, "\ndry run: nothing was written")
}

func unknownPeer(peer string, links []bridge.Link) error {
	var names []string
	for _, l := range links {
		names = append(names, l.Card.Name)
	}
	return &usageError{fmt.Errorf("there is no link to %q (linked are %q); nothing was written: see `sallyport link list`", peer, names)}
}

func (p *program) printExported(s *boot.Site, exported []bridge.Exported, failed error) error {
	return p.printMade(exported, failed, func(w io.Writer) {
		if len(exported) == 0 {
			fmt.Fprintln(w, "nothing is due")
		}
		for _, e := range exported {
			what := fmt.Sprintf("bundle %d", e.Seq)
			if e.Kind == bundle.Beacon {
				what = "beacon"
			}
			fmt.Fprintf(w, "%s for %s: %s, %s (%s)\n  %s\n", what, e.Peer, counted(e.Events, "event"), size(e.Bytes), e.Why,
				filepath.Join(s.Config.Data, "outbox", e.File))
		}
	})
}

func (p *program) bundleImport() *cobra.Command {
	var dryRun bool
	cmd := &cobra.Command{
		Use: "import [FILE...]", Short: "Take in the given files, or what lies in the inbox",
		RunE: func(cmd *cobra.Command, args []string) error {
			return p.withSite(cmd.Context(), func(s *boot.Site) error {
				inbox, single := s.Bridge.Import, s.Bridge.ImportFiles
				if dryRun {
					inbox, single = s.Bridge.Rehearse, s.Bridge.RehearseFiles
				}
				shown := p.late("reading bundles", importSize(s, args, dryRun))
				s.Bridge.Progress = shown.add
				outcomes, err := importFiles(cmd.Context(), args, inbox, single)
				shown.finish()
				if err != nil && len(outcomes) == 0 {
					return err
				}
				err = errors.Join(p.print(orEmpty(outcomes), func(w io.Writer) { printOutcomes(w, outcomes, dryRun) }), err)
				return errors.Join(err, unwelcome(outcomes, dryRun))
			})
		},
	}
	cmd.Flags().BoolVar(&dryRun, "dry-run", false, "check every byte and say what would become of each file; move and record nothing")
	return cmd
}

// unwelcome returns an error for the first file that was quarantined, or else
// for the first that this program is too old to read: its code becomes the
// exit code. What waits for another file alone is no failure.
func unwelcome(outcomes []bridge.Outcome, dryRun bool) error {
	for _, o := range outcomes {
		switch {
		case o.State == bridge.Quarantined && dryRun:
			return fmt.Errorf("%s would be quarantined: %w; nothing was changed", o.File, o.Err)
		case o.State == bridge.Quarantined:
			return fmt.Errorf("%s was quarantined: %w; see `sallyport quarantine list`", o.File, o.Err)
		}
	}
	for _, o := range outcomes {
		if o.State == bridge.Held && bundle.CodeOf(o.Err) == bundle.Upgrade {
			return fmt.Errorf("%s is kept and applied after the upgrade; nothing of it was applied: %w", o.File, o.Err)
		}
	}
	return nil
}

// importFiles takes in files by folder, in their order. Labels are for people:
// whoever names all files of a medium means the bundles.
func importFiles(ctx context.Context, files []string, inbox func(context.Context) ([]bridge.Outcome, error),
	single func(ctx context.Context, dir string, names []string) ([]bridge.Outcome, error)) (all []bridge.Outcome, err error) {
	if len(files) == 0 {
		return inbox(ctx)
	}
	for len(files) > 0 {
		dir, names := filepath.Dir(files[0]), []string(nil)
		for ; len(files) > 0 && filepath.Dir(files[0]) == dir; files = files[1:] {
			name := filepath.Base(files[0])
			if bridge.IsLabel(name) {
				all = append(all, bridge.Outcome{File: name, State: bridge.Ignored, Reason: "a label, for people"})
				continue
			}
			names = append(names, name)
		}
		out, err := single(ctx, dir, names)
		if all = append(all, out...); err != nil {
			return all, err
		}
	}
	return all, nil
}

func printOutcomes(w io.Writer, outcomes []bridge.Outcome, dryRun bool) {
	if len(outcomes) == 0 {
		fmt.Fprintln(w, "the inbox is empty")
		return
	}
	for _, o := range outcomes {
		events := ""
		if o.State == bridge.Applied {
			events = ", " + counted(o.Events, "event")
		}
		fmt.Fprintf(w, "%s%s\n  %s\n", o.State, events, o.File)
		if o.Reason != "" {
			fmt.Fprintf(w, "    %s\n", strings.Join(wrapped(o.Reason, screenWidth-4), "\n    "))
		}
	}
	if dryRun {
		fmt.Fprintln(w, "dry run: nothing was moved, nothing was recorded")
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
	var f bridge.BundleFilter
	cmd := &cobra.Command{
		Use: "list", Short: "List the bundles written and taken in, newest first", Args: cobra.NoArgs,
		Long: `List the bundles written and taken in, newest first.

A bundle of this site is planned, exported, or acknowledged (the peer has applied
it). One of a peer is verified, held, applied or archived (applied and put away).`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := checkFilter(f); err != nil {
				return &usageError{err}
			}
			return p.withSite(cmd.Context(), func(s *boot.Site) error {
				page, next, err := s.Bridge.BundlesPage(cmd.Context(), f)
				if errors.Is(err, bridge.ErrCursor) {
					return &usageError{err}
				}
				if err != nil {
					return err
				}
				if err := p.print(page, func(w io.Writer) { printBundles(w, page) }); err != nil {
					return err
				}
				if next != "" {
					p.say("there are more: --cursor %s", next)
				}
				return nil
			})
		},
	}
	cmd.Flags().StringVar(&f.Peer, "peer", "", "only those to and from this site")
	cmd.Flags().StringVar(&f.Direction, "direction", "", "out: written here; in: taken in")
	cmd.Flags().StringVar(&f.State, "state", "", "only those in this state")
	cmd.Flags().IntVar(&f.Limit, "limit", 100, fmt.Sprintf("how many, up to %d", bridge.MaxPage))
	cmd.Flags().StringVar(&f.Cursor, "cursor", "", "go on after the list that named this cursor")
	return cmd
}

// checkFilter refuses what no bundle can be listed by.
func checkFilter(f bridge.BundleFilter) error {
	states := bridge.BundleStates()
	switch {
	case f.Direction != "" && f.Direction != "out" && f.Direction != "in":
		return fmt.Errorf("--direction %q: use out or in", f.Direction)
	case f.State != "" && !slices.Contains(states, f.State):
		return fmt.Errorf("--state %q: use one of %s", f.State, strings.Join(states, ", "))
	case f.Limit < 1 || f.Limit > bridge.MaxPage:
		return fmt.Errorf("--limit %d: use 1 to %d", f.Limit, bridge.MaxPage)
	}
	return nil
}

func printBundles(w io.Writer, page []bridge.Listed) {
	if len(page) == 0 {
		fmt.Fprintln(w, "no bundles")
		return
	}
	fmt.Fprintln(w, "WAY\tPEER\tNUMBER\tSTATE\tSINCE")
	for _, b := range page {
		since, _, _ := strings.Cut(strings.Replace(b.Since, "T", " ", 1), ".")
		fmt.Fprintf(w, "%s\t%s\t%d\t%s\t%s UTC\n", b.Direction, b.Peer, b.Seq, b.State, since)
	}
}
