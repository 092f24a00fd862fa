package bridge

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"

	"golang.org/x/mod/sumdb/note"

	"sallyport/bridge/bundle"
)

// ReceiptFormat is the value of a receipt's format.
const ReceiptFormat = "sallyport-receipt/1"

// Receipt is this site's signed word that it applied a bundle. It is the text
// of a signed note (c2sp.org/signed-note), as a manifest is, under the key that
// was on the site's card then.
type Receipt struct {
	Format    string      `json:"format"` // always [ReceiptFormat]
	Site      string      `json:"site"`   // who applied it and signs
	Peer      string      `json:"peer"`   // who made it
	Seq       int64       `json:"seq"`
	ID        string      `json:"id"`
	File      string      `json:"file"`
	AppliedAt string      `json:"applied_at"` // by this site's clock
	Through   int64       `json:"through"`    // the last position of the peer's log in it
	Chain     bundle.Hash `json:"chain"`      // that log's chain there
}

// receipt writes the receipt of an applied bundle. All in it is settled when
// the bundle is applied, so that writing it again gives the same bytes.
func (a *arrival) receipt(ctx context.Context) error {
	at, known, err := a.appliedAt(ctx)
	if err != nil {
		return err
	}
	if !known {
		return fmt.Errorf("bundle %d of %s is not noted as applied", a.core.Seq, a.core.From)
	}
	r := Receipt{Format: ReceiptFormat, Site: a.bridge.Log.Site(), Peer: a.core.From, Seq: a.core.Seq, ID: a.core.ID(),
		File: a.properName(), AppliedAt: bundle.FormatTime(at), Through: a.core.Range.Through, Chain: a.core.Chain.Through}
	signed, err := a.bridge.signReceipt(ctx, r)
	if err != nil {
		return fmt.Errorf("sign the receipt of %s: %w", r.File, err)
	}
	return a.bridge.Folders.keepReceipt(r, signed)
}

func (b *Bridge) signReceipt(ctx context.Context, r Receipt) ([]byte, error) {
	by, err := b.signing(ctx, b.Pool)
	if err != nil {
		return nil, err
	}
	signer, err := bundle.NewSigner(r.Site, by.keys[0])
	if err != nil {
		return nil, err
	}
	text, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return nil, err
	}
	return note.Sign(&note.Note{Text: string(text) + "\n"}, signer)
}

// keepReceipt writes a receipt unless it is there. Nothing is ever replaced:
// beside one of the same name that says something else it gets the id into its
// own, and the first that was given for an id stands.
func (f *Folders) keepReceipt(r Receipt, signed []byte) error {
	for _, name := range []string{r.File, strings.Replace(r.File, ".jsonl.zst", "."+r.ID+".jsonl.zst", 1)} {
		path := receiptsDir + "/" + name + ".receipt.json"
		old, err := f.root.ReadFile(path)
		switch {
		case errors.Is(err, fs.ErrNotExist):
			return f.create(path, receiptsDir+"/."+name+".receipt.json", func(file *os.File) error {
				_, err := file.Write(signed)
				return err
			})
		case err != nil:
			return fmt.Errorf("read the receipt %s: %w", f.abs(path), err)
		case bytes.Equal(old, signed):
			return nil
		}
	}
	return nil
}
