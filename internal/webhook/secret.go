package webhook

import (
	"crypto/hkdf"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"log/slog"
)

// Key is what a site derives its webhooks' secrets from. It shows itself to
// nobody.
type Key struct{ secret string }

// NewKey makes a key of 32 random bytes that the site keeps in a file. Whoever
// has them can sign as this site; without them, all secrets change.
func NewKey(secret []byte) Key { return Key{string(secret)} }

// String keeps the key out of messages.
func (Key) String() string { return "key of webhooks" }

// GoString keeps the key out of messages.
func (Key) GoString() string { return "key of webhooks" }

// LogValue keeps the key out of logs.
func (k Key) LogValue() slog.Value { return slog.StringValue(k.String()) }

const secretSize = 32

// Secret returns the secret of one webhook in the form in which its owner
// configures it: "whsec_" and base64.
func (k Key) Secret(webhook string) (string, error) {
	raw, err := hkdf.Key(sha256.New, []byte(k.secret), nil, "sallyport webhook "+webhook, secretSize)
	if err != nil {
		return "", fmt.Errorf("derive a webhook's secret: %w", err)
	}
	return "whsec_" + base64.StdEncoding.EncodeToString(raw), nil
}
