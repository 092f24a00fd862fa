package bridge

import (
	"crypto/sha256"
	"encoding/hex"
	"strings"

	"github.com/tyler-smith/go-bip39"
)

// digest is the first half of the SHA-256 over all that the card says.
func (c Card) digest() []byte {
	sum := sha256.Sum256(c.Encode())
	return sum[:16]
}

// Fingerprint is what two people read to each other: 32 hex digits in groups
// of four, of the SHA-256 over all that the card says.
func (c Card) Fingerprint() string {
	digits := hex.EncodeToString(c.digest())
	var groups []string
	for i := 0; i < len(digits); i += 4 {
		groups = append(groups, digits[i:i+4])
	}
	return strings.Join(groups, " ")
}

// Words is the fingerprint as twelve English words of BIP-39, whose first four
// letters tell each from all others. They hold the same 128 bits and four more,
// by which a word that was misheard mostly shows before it is compared.
func (c Card) Words() string {
	words, err := bip39.NewMnemonic(c.digest())
	if err != nil {
		panic(err) // 16 bytes always have words
	}
	return words
}

// HasFingerprint reports whether said is the card's fingerprint, in either
// form: hex digits however they are grouped, or words. The case of letters
// does not count.
func (c Card) HasFingerprint(said string) bool {
	words := strings.Fields(strings.ToLower(said))
	if strings.Join(words, " ") == c.Words() {
		return true
	}
	digits := strings.NewReplacer("-", "", ":", "").Replace(strings.Join(words, ""))
	return digits == hex.EncodeToString(c.digest())
}
