package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"filippo.io/age"
	"github.com/spf13/cobra"
	"golang.org/x/term"

	"sallyport/bridge"
	"sallyport/bridge/archive"
	"sallyport/bridge/bundle"
	"sallyport/internal/boot"
)

func (p *program) auditExport() *cobra.Command {
	var w bridge.AuditWish
	var out, reader string
	var from archived
	c := &cobra.Command{
		Use: "export", Short: "Give a range of this site's own log away as a signed bundle, for people", Args: cobra.NoArgs,
		Long: `The file is a bundle that this site has signed and that no site takes in:
'sallyport bundle verify', 'inspect' and 'cat' read it on any machine, with this
site's card alone. --from and --to are positions ("pos") of this site's own log,
both part of it; without them, all of the log that there is now.

Everyone can read the file. Events that help to guess a password or a key are
withheld: the chain still covers them. With --for, nothing is withheld, and only
the owner of that card or age key can read it, with --identity.

A range that is too large for one bundle becomes several, if --out is a folder.
No link's numbers or cursors change; that it was made is recorded as audit.viewed.
With --archive, it is made of an archive, without a database, and signed with the
key in the configured site's folder.`,
		Example: `  sallyport audit export --out field.jsonl.zst
  sallyport audit export --from 1 --to 2000000 --out /mnt/auditor/
  sallyport audit export --from 4000 --for core-card.json --out for-core.jsonl.zst.age`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := errors.Join(named(cmd, &w, reader), from.check()); err != nil {
				return err
			}
			if f, ok := p.stdout.(*os.File); ok && out == "" && term.IsTerminal(int(f.Fd())) {
				return &usageError{errors.New("a bundle is nothing for a terminal: give --out FILE or --out FOLDER")}
			}
			if from.dir != "" {
				return p.exportArchive(cmd, from, w, out)
			}
			return p.withSite(cmd.Context(), func(s *boot.Site) error {
				shown := p.late("exporting", 0)
				s.Bridge.Progress = shown.add
				return p.exportForAudit(cmd, s.Bridge.PlanAudit, s, shown, w, out)
			})
		},
	}
	flags := c.Flags()
	flags.Int64Var(&w.From, "from", 0, "the first position; without it, where this site's log begins")
	flags.Int64Var(&w.To, "to", 0, "the last position; without it, where the log ends now")
	flags.StringVar(&reader, "for", "", "a site card, or an age public key, of the only one who can read it")
	flags.StringVar(&out, "out", "", "a file that does not exist yet, or a folder; without it, to stdout")
	from.flags(c)
	return c
}

// named completes what is wished for by who reads it.
func named(cmd *cobra.Command, w *bridge.AuditWish, reader string) error {
	for flag, value := range map[string]int64{"from": w.From, "to": w.To} {
		if cmd.Flags().Changed(flag) && value < 1 {
			return &usageError{fmt.Errorf("--%s is a position, from 1", flag)}
		}
	}
	w.Operator = actor()
	switch {
	case reader == "" && !cmd.Flags().Changed("for"):
		return nil
	case strings.HasPrefix(reader, "age1"):
		if _, err := age.ParseRecipients(strings.NewReader(reader)); err != nil {
			return &usageError{errors.New("--for does not parse as an age public key")}
		}
		w.Recipient = reader
		return nil
	}
	card, err := readCard(reader)
	if err != nil {
		return &usageError{fmt.Errorf("--for: %w; give a site-card.json, or an age public key", err)}
	}
	w.For, w.Recipient = card.Name, card.Recipient
	return nil
}

// exporter plans exports: of the log, or of an archive of it.
type exporter func(ctx context.Context, w bridge.AuditWish) ([]*bridge.AuditPart, error)

// exportForAudit makes the files. s is nil for an archive, which has no trail to
// record a look in.
func (p *program) exportForAudit(cmd *cobra.Command, plan exporter, s *boot.Site, shown *late, w bridge.AuditWish, out string) error {
	ctx := cmd.Context()
	parts, err := plan(ctx, w)
	if errors.Is(err, bridge.ErrAuditRange) {
		return &usageError{err}
	}
	if err != nil {
		return err
	}
	to, err := placeFor(out, parts)
	if err != nil {
		return err
	}
	if err := viewed(ctx, s, spoken(cmd)); err != nil {
		return err
	}
	if out == "" {
		f, err := parts[0].Open(ctx)
		if err != nil {
			return err
		}
		_, err = io.Copy(p.stdout, f)
		return errors.Join(err, f.Close())
	}
	root, err := openFolder(to.dir)
	if err != nil {
		return err
	}
	defer root.Close()
	for _, part := range parts {
		shown.total += part.Size()
	}
	defer shown.finish()
	made := []bridge.AuditExported{}
	for i, part := range parts {
		e, err := part.Write(ctx, root, to.names[i])
		if err != nil {
			return errors.Join(err, p.printAudits(to.dir, made))
		}
		made = append(made, e)
	}
	return p.printAudits(to.dir, made)
}

// exportArchive makes exports of an archive, signed by the configured site.
func (p *program) exportArchive(cmd *cobra.Command, from archived, w bridge.AuditWish, out string) error {
	l, err := p.load()
	if err != nil {
		return err
	}
	logger, err := l.Log.Logger(p.stderr)
	if err != nil {
		return &configError{err}
	}
	return p.withArchive(from, func(a *archive.Archive, _ bundle.Trust) error {
		if a.Site != l.Site {
			return &usageError{fmt.Errorf("the archive is of the site %s, and the configuration %s of %s: only the site itself can sign", a.Site, p.configPath, l.Site)}
		}
		shown := p.late("exporting", 0)
		audit, err := bridge.AuditArchive(a, filepath.Join(l.Data, "keys"), logger, shown.add)
		if err != nil {
			return &configError{err}
		}
		defer audit.Close()
		return p.exportForAudit(cmd, audit.Plan, nil, shown, w, out)
	})
}

// place is where the files of an export go.
type place struct {
	dir   string
	names []string
}

// placeFor finds a name for each part, none of which is taken.
func placeFor(out string, parts []*bridge.AuditPart) (place, error) {
	info, err := os.Stat(out)
	folder := strings.HasSuffix(out, string(filepath.Separator)) || err == nil && info.IsDir()
	if len(parts) > 1 && !folder {
		return place{}, &usageError{fmt.Errorf("one file holds positions %d to %d of it, and all of it takes %d: give --out a folder, or --to %[2]d", parts[0].From(), parts[0].To(), len(parts))}
	}
	if !folder {
		return place{filepath.Dir(out), []string{filepath.Base(out)}}, notThere(out)
	}
	to := place{dir: out}
	for _, part := range parts {
		to.names = append(to.names, part.Name())
		if err := notThere(filepath.Join(out, part.Name())); err != nil {
			return place{}, err
		}
	}
	return to, nil
}

// openFolder opens a folder, and makes it if it is not there.
func openFolder(path string) (*os.Root, error) {
	root, err := os.OpenRoot(path)
	if errors.Is(err, fs.ErrNotExist) {
		if err = os.MkdirAll(path, 0o750); err == nil {
			root, err = os.OpenRoot(path)
		}
	}
	if err != nil {
		return nil, fmt.Errorf("%w; nothing was written", err)
	}
	return root, nil
}

func notThere(path string) error {
	if path == "" {
		return nil
	}
	if _, err := os.Lstat(path); !errors.Is(err, fs.ErrNotExist) {
		return errors.Join(fmt.Errorf("%s is there already: give another name; nothing was written", path), err)
	}
	return nil
}

func (p *program) printAudits(dir string, made []bridge.AuditExported) error {
	for i := range made {
		made[i].File = filepath.Join(dir, made[i].File)
	}
	return p.print(made, func(w io.Writer) {
		fmt.Fprintln(w, "FILE\tPOSITIONS\tEVENTS\tWITHHELD\tSIZE")
		for _, e := range made {
			fmt.Fprintf(w, "%s\t%d to %d\t%d\t%d\t%s\n", e.File, e.From, e.To, e.Events, e.Withheld, size(e.Bytes))
		}
	})
}
