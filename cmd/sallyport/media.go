package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"sallyport/bridge"
	"sallyport/bridge/media"
	"sallyport/internal/boot"
)

func (p *program) mediaCommand() *cobra.Command {
	c := &cobra.Command{Use: "media", Short: "Put bundles onto media and take them from media"}
	c.AddCommand(p.mediaWrite(), p.mediaRead())
	return c
}

func (p *program) mediaWrite() *cobra.Command {
	w := bridge.MediumWrite{Operator: actor()}
	cmd := &cobra.Command{
		Use: "write DIR", Short: "Put what must be carried onto the medium at DIR, read it back, record who did it",
		Long: `Put all bundles for a peer that lie in the outbox and are not acknowledged onto the
medium that is mounted at DIR. Each is synced, read back from the medium and compared.
What is there already is not copied again. The outbox keeps everything. Then it says
what may be wiped, and from which medium.

From its first use on, a medium belongs to one direction. Keep a separate pool of media
for each: one that was on the other side must not return.`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			w.Dir = args[0]
			return p.writeMedium(cmd.Context(), w)
		},
	}
	cmd.Flags().StringVar(&w.Peer, "peer", "", "the site that the medium goes to")
	cmd.Flags().BoolVar(&w.AnyPool, "any-pool", false, "write also to a medium of another direction")
	mediaFlags(cmd, &w.Serial, &w.DryRun)
	return cmd
}

func mediaFlags(cmd *cobra.Command, serial *string, dryRun *bool) {
	cmd.Flags().StringVar(serial, "serial", "", "the medium's serial as you read it on it; without it the machine's own finding")
	cmd.Flags().BoolVar(dryRun, "dry-run", false, "say what would be done; write and record nothing")
}

func (p *program) writeMedium(ctx context.Context, w bridge.MediumWrite) error {
	if err := media.CheckSerial(w.Serial); err != nil {
		return &usageError{err}
	}
	return p.withSite(ctx, func(s *boot.Site) error {
		var done func()
		w.Meter, done = p.meter("writing the medium")
		out, err := s.Bridge.WriteMedium(ctx, w)
		done()
		switch {
		case is[*bridge.PeersError](err):
			return &usageError{fmt.Errorf("%w with --peer", err)}
		case errors.Is(err, bridge.ErrNoLink):
			return &usageError{err}
		case errors.Is(err, media.ErrPool):
			return fmt.Errorf("%w; --any-pool writes to it all the same", err)
		case err != nil:
			return err
		}
		p.warn(out.Warnings)
		return p.print(out, func(w io.Writer) { printMedium(w, out) })
	})
}

// meter shows how copying gets on until it is told that it is done.
func (p *program) meter(doing string) (media.Meter, func()) {
	g := p.progress()
	return media.Meter{Start: func(total int64) { g.Start(doing, total) }, Add: g.Add}, g.Finish
}

func (p *program) warn(warnings []string) {
	for _, text := range warnings {
		p.say("WARNING: %s", text)
	}
}

func printMedium(w io.Writer, m bridge.MediumWritten) {
	if len(m.Files) == 0 {
		fmt.Fprintln(w, "nothing is to be carried")
	} else {
		printOnMedium(w, m)
	}
	for i, wipe := range m.Wipe {
		if i == 0 {
			fmt.Fprintf(w, "\nmay be wiped, its receiver has it:\n")
		}
		where := "medium " + wipe.Medium
		switch {
		case wipe.Here:
			where = "this medium"
		case wipe.Serial != wipe.Medium:
			where += ", serial " + wipe.Serial
		}
		fmt.Fprintf(w, "  from %s: %d file(s)\n    %s\n", where, len(wipe.Files), strings.Join(wipe.Files, "\n    "))
	}
}

func printOnMedium(w io.Writer, m bridge.MediumWritten) {
	id := m.Medium
	if m.New {
		id = strings.TrimSpace(id + " (its first use)")
	}
	fmt.Fprintf(w, "medium\t%s\nserial\t%s\npool\t%s\n\n", id, serialText(m.Serial), m.Pool)
	fmt.Fprintln(w, "FILE\tNUMBER\tPOSITIONS\tBYTES\tSTATE")
	for _, f := range m.Files {
		state := f.State
		if m.DryRun && state == media.Copied {
			state = "would be copied"
		}
		positions := fmt.Sprintf("%d to %d", f.After+1, f.Through)
		if f.Beacon {
			positions = "beacon"
		}
		fmt.Fprintf(w, "%s\t%d\t%s\t%d\t%s\n", f.Name, f.Seq, positions, f.Bytes, state)
	}
	if m.DryRun {
		fmt.Fprintf(w, "\ndry run: nothing was written\n")
		return
	}
	if m.New {
		fmt.Fprintf(w, "\nwrite %q on the medium: it is for that direction alone from now on\n", m.Pool)
	}
	fmt.Fprintf(w, "\nnext: unmount it, carry it to %s, and run `sallyport media read` there\n", m.Peer)
}

func serialText(s media.Serial) string {
	switch s.From {
	case media.ByOperator:
		return s.Text + " (given by you)"
	case media.OfDevice:
		return s.Text + " (of the device)"
	case media.OfFileSystem:
		return s.Text + " (the UUID of its file system)"
	case media.OfMarker:
		return s.Text + " (its id: the machine tells no other)"
	}
	return "not known"
}

func (p *program) mediaRead() *cobra.Command {
	r := bridge.MediumRead{Operator: actor()}
	cmd := &cobra.Command{
		Use: "read DIR", Short: "Copy the bundles for this site from the medium at DIR into the inbox, record who did it",
		Long: `Copy the bundles for this site from the medium that is mounted at DIR into the inbox.
Nothing on the medium is believed or changed. Everything that lies on it is listed;
links, pipes, devices and what is too large are refused, folders are not looked into.
The running site takes the bundles in by itself, or run ` + "`sallyport bundle import`" + `.`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			r.Dir = args[0]
			return p.readMedium(cmd.Context(), r)
		},
	}
	mediaFlags(cmd, &r.Serial, &r.DryRun)
	return cmd
}

// refusedFiles are files on a medium that were not taken.
type refusedFiles struct{ error }

func (p *program) readMedium(ctx context.Context, r bridge.MediumRead) error {
	if err := media.CheckSerial(r.Serial); err != nil {
		return &usageError{err}
	}
	return p.withSite(ctx, func(s *boot.Site) error {
		var done func()
		r.Meter, done = p.meter("reading the medium")
		out, err := s.Bridge.ReadMedium(ctx, r)
		done()
		if err != nil {
			return err
		}
		p.warn(out.Warnings)
		if err := p.print(out, func(w io.Writer) { printTaken(w, out) }); err != nil {
			return err
		}
		refused := slices.DeleteFunc(slices.Clone(out.Files), func(f media.Found) bool { return f.State != media.Refused })
		if len(refused) > 0 {
			return &refusedFiles{fmt.Errorf("%d file(s) were refused, the first is %s: %s; what is refused stays on the medium, the rest was dealt with",
				len(refused), shown(refused[0].Name), refused[0].Reason)}
		}
		return nil
	})
}

func printTaken(w io.Writer, t media.Taken) {
	medium, taken := t.Medium, 0
	if medium == "" {
		medium = "not marked"
	}
	fmt.Fprintf(w, "medium\t%s\nserial\t%s\n\n", medium, serialText(t.Serial))
	fmt.Fprintln(w, "FILE\tSTATE\tBYTES\tWHY")
	for _, f := range t.Files {
		state := f.State
		if state == media.Beside {
			continue // every medium has them
		}
		if state == media.Copied {
			taken++
			if t.DryRun {
				state = "would be copied"
			}
		}
		fmt.Fprintf(w, "%s\t%s\t%d\t%s\n", shown(f.Name), state, f.Bytes, f.Reason)
	}
	switch {
	case t.DryRun:
		fmt.Fprintf(w, "\ndry run: nothing was copied\n")
	case taken > 0:
		fmt.Fprintf(w, "\nnext: the running site takes them in by itself; or run `sallyport bundle import`\n")
	default:
		fmt.Fprintf(w, "\nnext: nothing new is for this site\n")
	}
}

// shown makes a name from a medium safe to print: it could move the cursor.
func shown(name string) string {
	if quoted := strconv.QuoteToGraphic(name); quoted != `"`+name+`"` {
		return quoted
	}
	return name
}
