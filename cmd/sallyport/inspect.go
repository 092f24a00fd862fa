package main

import (
	"context"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"sallyport/bridge/bundle"
)

// inspected is a manifest and, if the sender's card was given, what that card
// proves of the file.
type inspected struct {
	bundle.Manifest
	Signature string `json:"signature,omitempty"`    // ok; empty: nobody has vouched for the manifest
	Hashed    string `json:"payload_hash,omitempty"` // ok: the payload is the one that was signed
	Content   string `json:"content,omitempty"`      // ok, or unchecked: encrypted, and no identity was given
}

func (p *program) bundleInspect() *cobra.Command {
	var r reading
	cmd := &cobra.Command{
		Use: "inspect FILE", Short: "Show a bundle's manifest", Args: cobra.ExactArgs(1),
		Long: `Show a bundle's manifest. With the sender's card every byte is checked before, as by
'sallyport bundle verify'; without it, nobody has vouched for what is shown.`,
		RunE: func(cmd *cobra.Command, args []string) error {
			shown, err := p.inspect(cmd.Context(), r, args[0])
			if err != nil {
				return err
			}
			return p.print(shown, func(w io.Writer) { printInspected(w, shown) })
		},
	}
	cmd.Flags().StringVar(&r.card, "card", "", "the sender's site card; without it nothing is proven")
	cmd.Flags().StringVar(&r.identity, "identity", "", "with --card: the reader's age identity file, to check an encrypted payload's lines too")
	return cmd
}

func (p *program) inspect(ctx context.Context, r reading, file string) (inspected, error) {
	m, err := readManifest(file)
	if err != nil {
		return inspected{}, fmt.Errorf("%s: %w", file, err)
	}
	shown := inspected{Manifest: m}
	switch {
	case r.card == "" && r.identity != "":
		return shown, &usageError{fmt.Errorf("--identity checks nothing without --card; give the sender's site-card.json too")}
	case r.card == "":
		return shown, nil
	}
	err = r.with(ctx, p, func(believe believing) error {
		progress := p.late("verifying", readByVerify*sizeOf(file))
		defer progress.finish()
		report, err := verifyOne(ctx, believe, file, progress.add)
		shown.Signature, shown.Hashed, shown.Content = report.Signature, report.Payload, report.Content
		return err
	})
	return shown, err
}

func printInspected(w io.Writer, m inspected) {
	c := m.Core
	fmt.Fprintf(w, "id\t%s\nkind\t%s\nfrom\t%s\nto\t%s\nepoch\t%s\nnumber\t%d\npositions\t%d to %d\nplain bytes\t%d\npayload bytes\t%d\nencrypted\t%v\nsigners\t%v\nmade\t%s\n",
		c.ID(), c.Kind, c.From, c.To, c.Epoch, c.Seq, c.Range.After+1, c.Range.Through, c.PlainBytes, m.Payload.Bytes, m.Encryption != nil, m.Signers, m.CreatedAt)
	if m.Signature == "" {
		fmt.Fprintln(w, "\tnothing of this is proven: give the sender's --card, or see `sallyport bundle verify`")
		return
	}
	fmt.Fprintf(w, "signature\t%s\npayload\t%s\ncontent\t%s\n", m.Signature, m.Hashed, m.Content)
}
