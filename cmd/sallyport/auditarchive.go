package main

import (
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"sallyport/bridge"
	"sallyport/bridge/bundle"
	"sallyport/eventstore"
	"sallyport/internal/boot"
	"sallyport/internal/commands"
)

func (p *program) auditArchive() *cobra.Command {
	var before, dir string
	var events int
	c := &cobra.Command{
		Use: "archive", Short: "Copy old events into files that every audit command reads", Args: cobra.NoArgs,
		Long: `Events that were stored before a MOMENT (a position, seq, or a time such as
2026-01-31T12:00:00Z), this site's own and those of its peers, are copied into
compressed files, each read back before it gets its name, and a signed index.
Run again, with a later moment or after it was ended, it reads what is there and
goes on. Nothing is removed from the database.

The files hold hashes of passwords and keys, as the database does: keep them as
you keep its backups.`,
		Example: `  sallyport audit archive --before 2026-01-01T00:00:00Z --dir /srv/archive
  sallyport audit log --archive /srv/archive --card site-card.json --type user.role_changed
  sallyport audit verify --archive /srv/archive --card site-card.json`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			m, err := eventstore.ParseMoment(before)
			if err != nil {
				return &usageError{fmt.Errorf("--before: %w", err)}
			}
			if events < 1 || events > bridge.MaxSegment {
				return &usageError{fmt.Errorf("--segment is from 1 to %d events", bridge.MaxSegment)}
			}
			return p.withSite(cmd.Context(), func(s *boot.Site) error { return p.archive(cmd, s, m, dir, events) })
		},
	}
	c.Flags().StringVar(&before, "before", "", "copy what was stored before this MOMENT")
	c.Flags().StringVar(&dir, "dir", "", "the archive's folder, which is made if it is not there")
	c.Flags().IntVar(&events, "segment", 100_000, "so many events in a file, at most")
	for _, name := range []string{"before", "dir"} {
		if err := c.MarkFlagRequired(name); err != nil {
			panic(err) // both are there
		}
	}
	return c
}

// archiveMade is what there is now.
type archiveMade struct {
	Dir      string            `json:"dir"`
	Through  int64             `json:"through"` // the last seq in it
	Segments []bridge.Archived `json:"segments"`
}

func (p *program) archive(cmd *cobra.Command, s *boot.Site, m eventstore.Moment, dir string, events int) error {
	ctx := cmd.Context()
	through, err := s.Log.Before(ctx, m)
	if err != nil {
		return err
	}
	head, err := s.Log.Head(ctx)
	if err != nil {
		return err
	}
	if through = min(through, head.Seq); through < 1 {
		return &usageError{errors.New("--before: nothing was stored before it")}
	}
	if err := acted(cmd, s, "audit.archive", dir); err != nil {
		return err
	}
	root, err := openFolder(dir)
	if err != nil {
		return err
	}
	defer root.Close()
	shown := p.progress()
	shown.events = true
	shown.Start("archiving", through)
	made := archiveMade{Dir: dir, Segments: []bridge.Archived{}}
	_, err = s.Bridge.Archive(ctx, bridge.ArchiveWish{Root: root, Through: through, Events: events, Operator: actor(), Told: func(a bridge.Archived) {
		made.Segments, made.Through = append(made.Segments, a), a.Through
		shown.Add(a.Through - a.After)
	}})
	shown.Finish()
	if err != nil {
		if bundle.CodeOf(err) == "" {
			return fmt.Errorf("archive into %s: %w", dir, err)
		}
		return adviseArchive(dir, err)
	}
	return p.print(made, func(w io.Writer) {
		fmt.Fprintln(w, "FILE\tSEQ\tSTORED\tSIZE\t")
		for _, a := range made.Segments {
			did := "read, and good"
			if a.Made {
				did = "written, and read back"
			}
			fmt.Fprintf(w, "%s\t%d to %d\t%.10s to %.10s\t%s\t%s\n", a.File, a.After+1, a.Through, a.StoredFrom, a.StoredTo, size(a.Bytes), did)
		}
		fmt.Fprintln(w, "\nNothing was removed from the database.")
	})
}

// acted records an act, before it is done. A read-only site cannot record it, and
// to copy its log must be possible there.
func acted(cmd *cobra.Command, s *boot.Site, action, target string) error {
	_, err := s.Commands.Acted(cmd.Context(), commands.By{Actor: actor()}, action, target, commands.Client{})
	if is[*eventstore.ReadOnlyError](err) {
		s.Logger.Warn("not in the audit trail, because the site is read-only", "action", action, "target", target)
		return nil
	}
	return err
}
