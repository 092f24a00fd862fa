package main

import (
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"sallyport/bridge"
	"sallyport/bridge/archive"
	"sallyport/bridge/bundle"
	"sallyport/eventstore"
	"sallyport/internal/boot"
)

// history is where the commands look that read the past: the log, or an archive
// of it.
type history interface {
	Search(ctx context.Context, f eventstore.Filter) iter.Seq2[eventstore.Stored, error]
	Resolve(ctx context.Context, m eventstore.Moment) (int64, error)
	Before(ctx context.Context, m eventstore.Moment) (int64, error)
}

// archived are the flags of commands that can read an archive.
type archived struct {
	dir   string
	cards []string
}

func (a *archived) flags(cmd *cobra.Command) {
	cmd.Flags().StringVar(&a.dir, "archive", "", "read this folder, which `sallyport audit archive` has filled, and no database")
	cmd.Flags().StringArrayVar(&a.cards, "card", nil, "with --archive: the card of its site, and of its peers; without it, the configured site's own keys are believed")
}

// check refuses a card that nobody would look at.
func (a *archived) check() error {
	if a.dir == "" && len(a.cards) > 0 {
		return &usageError{errors.New("--card is for --archive: the log itself is believed by the site's own keys")}
	}
	return nil
}

// withHistory runs do on the log, or on the archive that was asked for: then
// there is no site.
func (p *program) withHistory(ctx context.Context, a archived, do func(history, *boot.Site) error) error {
	if err := a.check(); err != nil {
		return err
	}
	if a.dir == "" {
		return p.withSite(ctx, func(s *boot.Site) error { return do(s.Log, s) })
	}
	return p.withArchive(a, func(h *archive.Archive, _ bundle.Trust) error { return do(h, nil) })
}

// withArchive runs do on an archive, and with the keys that are believed.
func (p *program) withArchive(a archived, do func(*archive.Archive, bundle.Trust) error) error {
	trust, err := p.archiveTrust(a)
	if err != nil {
		return err
	}
	return openArchive(a.dir, trust, func(h *archive.Archive) error { return do(h, trust) })
}

// openArchive runs do on an archive; trust knows the keys of its site.
func openArchive(dir string, trust bundle.Trust, do func(*archive.Archive) error) error {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return &usageError{fmt.Errorf("--archive: %w", err)}
	}
	defer root.Close()
	h, err := archive.Open(root, trust)
	if errors.Is(err, fs.ErrNotExist) {
		return &usageError{fmt.Errorf("--archive %s: %w; `sallyport audit archive` makes one", dir, err)}
	}
	if err == nil {
		err = do(h)
	}
	if errors.Is(err, archive.ErrBeyond) {
		return &usageError{err}
	}
	return adviseArchive(dir, err)
}

// adviseArchive says which archive it is about and, if the fault is its own, what
// to do.
func adviseArchive(dir string, err error) error {
	switch bundle.CodeOf(err) {
	case "":
		return err
	case bundle.Untrusted:
		return fmt.Errorf("archive %s: %w; do not believe it: if it is the right site's card, ask the people there. A site that changed its key has another card: give the old one too", dir, err)
	case bundle.Upgrade:
		return fmt.Errorf("archive %s: %w; upgrade this program, the archive may be good", dir, err)
	}
	return fmt.Errorf("archive %s: %w; bring back another copy of that file, or make the archive anew", dir, err)
}

// archiveTrust knows the keys on the cards or, without any, those in the
// configured site's folder.
func (p *program) archiveTrust(a archived) (bundle.Trust, error) {
	if len(a.cards) > 0 {
		return trustInCards(a.cards)
	}
	if _, err := os.Stat(p.configPath); errors.Is(err, fs.ErrNotExist) {
		return nil, &configError{fmt.Errorf("whose signature to expect is not known: there is no configuration %s; give the site's card with --card, or the site's configuration with -C", p.configPath)}
	}
	l, err := p.load()
	if err != nil {
		return nil, err
	}
	keys, err := bridge.ReadSigningKeys(filepath.Join(l.Data, "keys"))
	if err != nil {
		return nil, &configError{err}
	}
	return func(id string) (ed25519.PublicKey, bool) {
		for _, key := range keys {
			if bundle.KeyID(l.Site, key) == id {
				return key, true
			}
		}
		return nil, false
	}, nil
}
