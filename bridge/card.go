package bridge

import (
	"crypto/ed25519"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"regexp"

	"filippo.io/age"
	strict "github.com/go-json-experiment/json"

	"sallyport/bridge/bundle"
	"sallyport/domain"
)

// CardFormat is the value of a site card's format.
const CardFormat = "sallyport-site/1"

// Card is what one site must know of another before the first bundle: who it
// is and by which keys to know it. Cards are exchanged by hand, both ways, and
// confirmed by two people who read the fingerprint to each other.
type Card struct {
	Format string      `json:"format"` // always [CardFormat]
	Name   string      `json:"name"`
	Role   domain.Role `json:"role"`
	Epoch  string      `json:"epoch"` // of the site's log: 32 hex digits
	// Key signs the site's bundles, in the form of C2SP signed-note.
	Key string `json:"key"`
	// Recipient is the age public key to encrypt to, hybrid post-quantum.
	Recipient string `json:"recipient"`
}

var epochPattern = regexp.MustCompile(`^[0-9a-f]{32}$`)

// ParseCard reads a site card strictly: unknown, doubled or otherwise spelled
// fields, text after it and keys that do not parse are refused.
func ParseCard(data []byte) (Card, error) {
	var c Card
	if len(data) > maxCard {
		return Card{}, fmt.Errorf("the site card is longer than %d bytes", maxCard)
	}
	if err := strict.Unmarshal(data, &c, strict.RejectUnknownMembers(true)); err != nil {
		return Card{}, fmt.Errorf("the site card does not parse: %w", err)
	}
	if err := c.check(); err != nil {
		return Card{}, err
	}
	return c, nil
}

// storedCard reads a card that was checked when it was stored: to look at its
// post-quantum key again at every look at a link costs more than the look.
func storedCard(text []byte) (c Card, err error) {
	if err := strict.Unmarshal(text, &c, strict.RejectUnknownMembers(true)); err != nil {
		return Card{}, fmt.Errorf("a stored site card does not parse: %w", err)
	}
	return c, nil
}

// maxCard bounds a card, in bytes; a post-quantum public key takes about 2,000.
const maxCard = 16 << 10

// ReadCard reads a site card from a file.
func ReadCard(path string) (Card, error) {
	f, err := os.Open(path)
	if err != nil {
		return Card{}, fmt.Errorf("read the site card: %w", err)
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxCard+1))
	if err != nil {
		return Card{}, fmt.Errorf("read the site card: %w", err)
	}
	c, err := ParseCard(data)
	if err != nil {
		return Card{}, fmt.Errorf("%s: %w", path, err)
	}
	return c, nil
}

func (c Card) check() error {
	name, _, err := bundle.ParseVerifierKey(c.Key)
	switch {
	case c.Format != CardFormat:
		return fmt.Errorf("the site card has format %q, want %q", c.Format, CardFormat)
	case !domain.ValidSiteName(c.Name) || !c.Role.Valid() || !epochPattern.MatchString(c.Epoch):
		return errors.New("the site card's name, role or epoch is not valid")
	case err != nil || name != c.Name:
		return errors.New("the site card's signing key does not parse or is another site's")
	}
	if c.Recipient == "" {
		return fmt.Errorf("the site card of %s has no encryption key: a response site sends password hashes and encrypts them to it; ask the people there for the site-card.json that `sallyport init` wrote", c.Name)
	}
	if _, err := age.ParseHybridRecipient(c.Recipient); err != nil {
		return fmt.Errorf("the encryption key on the site card of %s does not parse as a hybrid age recipient: %w; ask the people there for the card again", c.Name, err)
	}
	return nil
}

// Encode returns the card as it is written to a file.
func (c Card) Encode() []byte {
	b, err := json.MarshalIndent(c, "", "  ")
	if err != nil {
		panic(err) // six strings always encode
	}
	return append(b, '\n')
}

// Trust returns the trust store that knows this card's key and no other.
func (c Card) Trust() bundle.Trust {
	name, key, err := bundle.ParseVerifierKey(c.Key)
	return func(id string) (ed25519.PublicKey, bool) {
		return key, err == nil && id == bundle.KeyID(name, key)
	}
}
