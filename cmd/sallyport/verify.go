package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"syscall"

	"filippo.io/age"
	"github.com/spf13/cobra"

	"sallyport/bridge"
	"sallyport/bridge/bundle"
	"sallyport/internal/boot"
	"sallyport/schema"
)

// reading are the flags of the commands that read a bundle without a database.
type reading struct {
	card, identity string
}

func (r *reading) flags(cmd *cobra.Command) {
	cmd.Flags().StringVar(&r.card, "card", "", "the sender's site card; without it the configured site's own links are used")
	cmd.Flags().StringVar(&r.identity, "identity", "", "the reader's age identity file, to open an encrypted payload")
}

// believing says what may be believed about a file.
type believing func(path string) (bridge.VerifyConfig, error)

// with calls use with what may be believed about files: by the card given,
// else by the cards and the identity of the configured site.
func (r *reading) with(ctx context.Context, p *program, use func(believing) error) error {
	c, err := r.given()
	if err != nil {
		return err
	}
	if r.card != "" {
		return use(func(path string) (bridge.VerifyConfig, error) { return c, regular(path) })
	}
	if _, err := os.Stat(p.configPath); errors.Is(err, fs.ErrNotExist) {
		return &configError{fmt.Errorf("whose signature to expect is not known: there is no configuration %s; give the sender's site card with --card, or this site's configuration with -C", p.configPath)}
	}
	return p.withSite(ctx, func(s *boot.Site) error {
		return use(func(path string) (bridge.VerifyConfig, error) {
			own := c
			return own, fromSite(ctx, s, path, &own)
		})
	})
}

// given reads what the flags name.
func (r *reading) given() (c bridge.VerifyConfig, err error) {
	if c.Schemas, err = schema.LoadEvents(); err != nil {
		return c, err
	}
	if r.identity != "" {
		id, err := bridge.ReadIdentity(r.identity)
		if err != nil {
			return c, &usageError{fmt.Errorf("--identity: %w; give the receiver's keys/identity.age", err)}
		}
		c.Identities = []age.Identity{id}
	}
	if r.card != "" {
		if c.Sender, err = readCard(r.card); err != nil {
			return c, &usageError{fmt.Errorf("--card: %w; give the sender's site-card.json", err)}
		}
	}
	return c, nil
}

func readCard(path string) (bridge.Card, error) {
	if err := regular(path); err != nil {
		return bridge.Card{}, err
	}
	return bridge.ReadCard(path)
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
	ring, err := s.Bridge.Keyring(ctx, m.Core.From)
	if errors.Is(err, bridge.ErrNoLink) {
		return &bundle.Error{Code: bundle.Untrusted, Msg: fmt.Sprintf("it says to come from %q, of which this site has no card", m.Core.From)}
	}
	c.Sender, c.Keyring = ring.Card, &ring
	return err
}

// openRegular opens a file that can be read to its end: a pipe would make us
// wait for ever.
func openRegular(path string) (*os.File, fs.FileInfo, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, nil, &usageError{fmt.Errorf("%w; look at the name and the rights of the file", err)}
	}
	info, err := f.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = &usageError{fmt.Errorf("%s is no regular file; name the file itself", path)}
	}
	if err != nil {
		return nil, nil, errors.Join(err, f.Close())
	}
	return f, info, nil
}

func regular(path string) error {
	f, _, err := openRegular(path)
	if err != nil {
		return err
	}
	return f.Close()
}

// readManifest reads a manifest that nobody has vouched for yet.
func readManifest(path string) (bundle.Manifest, error) {
	f, info, err := openRegular(path)
	if err != nil {
		return bundle.Manifest{}, err
	}
	defer f.Close()
	b, err := bundle.Open(f, info.Size(), bundle.Limits{})
	if err != nil {
		return bundle.Manifest{}, err
	}
	return b.Manifest(), nil
}

func (p *program) bundleVerify() *cobra.Command {
	var r reading
	cmd := &cobra.Command{
		Use: "verify FILE...", Short: "Read every byte of bundles and say whether each is what its sender signed",
		Long: `Read every byte of each bundle and say whether it is what its sender signed. With
-o json one file gives an object and several give a list. The exit code is that of
the first file that is not good.`,
		Args: cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return r.with(cmd.Context(), p, func(believe believing) error { return p.verify(cmd.Context(), believe, args) })
		},
	}
	r.flags(cmd)
	return cmd
}

// verdict is what there is to say about one file. What was not counted is
// left out, not zero.
type verdict struct {
	bridge.Report
	Events   *int64 `json:"events,omitempty"`
	Withheld *int64 `json:"withheld,omitempty"`
}

// bad is a file about which there is nothing good to say.
type bad struct {
	File  string `json:"file"`
	Code  string `json:"code,omitempty"` // the kind of fault, where it is one of the file
	Error string `json:"error"`
}

func (p *program) verify(ctx context.Context, believe believing, files []string) error {
	var said []any
	var faults faultyFiles
	shown := p.late("verifying", readByVerify*sizeOf(files...))
	for _, file := range files {
		report, err := verifyOne(ctx, believe, file, shown.add)
		if err != nil {
			faults = append(faults, err)
			said = append(said, bad{file, string(bundle.CodeOf(err)), err.Error()})
			continue
		}
		said = append(said, judged(report))
	}
	shown.finish()
	if len(files) == 1 && p.output != "table" {
		return errors.Join(p.print(said[0], nil), faults.err())
	}
	return errors.Join(p.print(said, func(w io.Writer) { printVerdicts(w, said) }), faults.err())
}

// faultyFiles says all that is wrong and counts, for the exit code, as the first.
type faultyFiles []error

func (e faultyFiles) Error() string { return errors.Join(e...).Error() }

func (e faultyFiles) Unwrap() error { return e[0] }

func (e faultyFiles) err() error {
	if len(e) == 0 {
		return nil
	}
	return e
}

func verifyOne(ctx context.Context, believe believing, file string, read bridge.Progress) (bridge.Report, error) {
	c, err := believe(file)
	if err != nil {
		return bridge.Report{}, advise(file, err)
	}
	c.Progress = read
	report, err := bridge.Verify(ctx, file, c)
	return report, advise(file, err)
}

// advise says which file it is about and, if the fault is the file's, what to
// do with it.
func advise(file string, err error) error {
	switch {
	case err == nil:
		return nil
	case is[*usageError](err):
		return err // names the file already
	case bundle.CodeOf(err) == bundle.Untrusted:
		return fmt.Errorf("%s: %w; do not use it: if it is the right sender's card, ask the sender", file, err)
	case bundle.CodeOf(err) == bundle.Upgrade:
		return fmt.Errorf("%s: %w; upgrade this program, the file may be good", file, err)
	case bundle.CodeOf(err) == "":
		return fmt.Errorf("%s: %w", file, err)
	}
	return fmt.Errorf("%s: %w; do not use it, ask the sender for it again", file, err)
}

func judged(r bridge.Report) verdict {
	v := verdict{Report: r}
	if r.Content == "ok" {
		v.Events, v.Withheld = &r.Events, &r.Withheld
	}
	return v
}

// printVerdicts leaves the bad files to stderr, where they are named.
func printVerdicts(w io.Writer, said []any) {
	for i, s := range said {
		if v, good := s.(verdict); good {
			if i > 0 {
				fmt.Fprintln(w)
			}
			printReport(w, v.Report)
		}
	}
}

func printReport(w io.Writer, r bridge.Report) {
	fmt.Fprintf(w, "file\t%s\nid\t%s\nkind\t%s\nfrom\t%s\nto\t%s\nnumber\t%d\npositions\t%d to %d\nsignature\t%s\npayload\t%s\ncontent\t%s\n",
		r.File, r.ID, r.Kind, r.From, r.To, r.Seq, r.Range.After+1, r.Range.Through, r.Signature, r.Payload, r.Content)
	if r.Content == "ok" {
		fmt.Fprintf(w, "events\t%d\nwithheld\t%d\n", r.Events, r.Withheld)
	} else {
		fmt.Fprintln(w, "\tthe payload is encrypted: give --identity to check its lines too")
	}
}
