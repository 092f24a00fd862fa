package main

import (
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/google/uuid"
	"github.com/spf13/cobra"

	"sallyport/bridge"
	"sallyport/bridge/archive"
	"sallyport/bridge/bundle"
	"sallyport/bridge/evidence"
	"sallyport/internal/boot"
)

func (p *program) auditEvidence() *cobra.Command {
	var out, check string
	var from archived
	c := &cobra.Command{
		Use: "evidence [REQUEST]", Short: "Make one file that proves a request and its answer, or check one", Args: cobra.MaximumNArgs(1),
		Long: `Made on a site, the file shows the events of a request and of its answer with
what proves them: the hashes up to what the sites have signed. With --archive, it
is made of an archive, without a database; the site's configuration says where
its keys are, one of which signs, and the peers' cards let count what they signed.

Checked with
--check, on any machine, it needs nothing but the site cards of those sites. One
byte changed anywhere is refused: exit code 10 (damaged) or 15 (untrusted).`,
		Example: `  sallyport audit evidence 019aa1d4-11f3-7d02-8a47-6f1f5a3b9c0d --out evidence.txt
  sallyport audit evidence --check evidence.txt --card field-card.json --card core-card.json`,
		RunE: func(cmd *cobra.Command, args []string) error {
			switch {
			case check != "" && len(args) == 0 && out == "":
				return p.checkEvidence(check, from)
			case check != "" || len(args) != 1 || from.dir == "" && len(from.cards) > 0:
				return &usageError{errors.New("give a request to make evidence of it, or --check FILE with --card for each site")}
			case uuid.Validate(args[0]) != nil:
				return &usageError{fmt.Errorf("%q is no request's id", args[0])}
			}
			request := strings.ToLower(args[0])
			if from.dir != "" {
				return p.evidenceOf(cmd.Context(), from, request, out)
			}
			return p.withSite(cmd.Context(), func(s *boot.Site) error { return p.makeEvidence(cmd, s, request, out) })
		},
	}
	c.Flags().StringVar(&out, "out", "", "write the file here, which must not exist; without it, to stdout")
	c.Flags().StringVar(&check, "check", "", "check this file")
	from.flags(c)
	c.Flags().Lookup("card").Usage = "a site's card, for --check and --archive; once for each site, and for each card that it had"
	return c
}

func (p *program) makeEvidence(cmd *cobra.Command, s *boot.Site, request, out string) error {
	file, err := s.Bridge.Evidence(cmd.Context(), request)
	if errors.Is(err, bridge.ErrNoEvidence) {
		return &usageError{fmt.Errorf("%w %s", err, request)}
	}
	if err == nil {
		err = viewed(cmd.Context(), s, spoken(cmd))
	}
	if err != nil {
		return err
	}
	return p.giveEvidence(file, out)
}

// evidenceOf makes evidence of an archive, signed by the configured site.
func (p *program) evidenceOf(ctx context.Context, from archived, request, out string) error {
	cards := from.cards
	from.cards = nil // the site itself is known by its own keys
	own, err := p.archiveTrust(from)
	if err != nil {
		return err
	}
	l, err := p.load()
	if err != nil {
		return err
	}
	signer, err := bridge.ReadSigner(filepath.Join(l.Data, "keys"), l.Site)
	if err != nil {
		return &configError{err}
	}
	trust := own
	if len(cards) > 0 {
		given, err := trustInCards(cards)
		if err != nil {
			return err
		}
		trust = either(own, given)
	}
	return openArchive(from.dir, trust, func(a *archive.Archive) error {
		file, err := bridge.ArchivedEvidence(ctx, a, request, signer, trust)
		if errors.Is(err, bridge.ErrNoEvidence) {
			return &usageError{fmt.Errorf("%w %s in the archive", err, request)}
		}
		if err != nil {
			return err
		}
		return p.giveEvidence(file, out)
	})
}

// either finds a key that one of two knows.
func either(a, b bundle.Trust) bundle.Trust {
	return func(id string) (ed25519.PublicKey, bool) {
		if key, ok := a(id); ok {
			return key, true
		}
		return b(id)
	}
}

func (p *program) giveEvidence(file []byte, out string) error {
	if out == "" {
		_, err := p.stdout.Write(file)
		return err
	}
	f, err := os.OpenFile(out, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return fmt.Errorf("write the evidence: %w; nothing was written", err)
	}
	if _, err = f.Write(file); err == nil {
		err = f.Sync()
	}
	if err := errors.Join(err, f.Close()); err != nil {
		return fmt.Errorf("write the evidence: %w", err)
	}
	p.say("%s: check it anywhere with `sallyport audit evidence --check %[1]s --card CARD …`", out)
	return nil
}

func (p *program) checkEvidence(file string, from archived) error {
	if from.dir != "" {
		return &usageError{errors.New("--check needs the file and cards alone: leave out --archive")}
	}
	trust, err := trustInCards(from.cards)
	if err != nil {
		return err
	}
	f, err := os.Open(file)
	if err != nil {
		return fmt.Errorf("open the evidence: %w", err)
	}
	defer f.Close()
	raw, err := io.ReadAll(io.LimitReader(f, evidence.MaxBytes+1))
	if err != nil {
		return fmt.Errorf("read the evidence: %w", err)
	}
	r, err := evidence.Check(raw, trust)
	if err != nil {
		return fmt.Errorf("%s proves nothing: %w", file, err)
	}
	return p.print(shownEvidence{OK: true, Site: r.Site, Request: r.Request, SignedBy: r.SignedBy, Events: r.Events, Crossings: r.Crossings}, func(w io.Writer) {
		fmt.Fprintf(w, "request\t%s\nmade by\t%s, signed by %s\n\nORIGIN\tPOSITION\tTYPE\tPROOF\tSIGNED BY\n", r.Request, r.Site, strings.Join(r.SignedBy, ", "))
		for _, e := range r.Events {
			fmt.Fprintf(w, "%s\t%d\t%s\t%s\t%s\n", e.Origin, e.Position, e.Type, e.Proof, e.By)
		}
	})
}

// shownEvidence is what was proved.
type shownEvidence struct {
	OK        bool                `json:"ok"`
	Site      string              `json:"site"`
	Request   string              `json:"request"`
	SignedBy  []string            `json:"signed_by"`
	Events    []evidence.Event    `json:"events"`
	Crossings []evidence.Crossing `json:"crossings"`
}

// trustInCards knows the keys of the cards, and no other.
func trustInCards(files []string) (bundle.Trust, error) {
	if len(files) == 0 {
		return nil, &usageError{errors.New("whose signatures to expect is not known: give the cards of the sites with --card")}
	}
	var all []bundle.Trust
	for _, file := range files {
		card, err := readCard(file)
		if err != nil {
			return nil, &usageError{fmt.Errorf("--card: %w; give the site's site-card.json", err)}
		}
		all = append(all, card.Trust())
	}
	return func(id string) (ed25519.PublicKey, bool) {
		for _, trust := range all {
			if key, ok := trust(id); ok {
				return key, true
			}
		}
		return nil, false
	}, nil
}
