// Package bundletest signs for sites that exist only in tests. A site's name is its
// key, so that what was signed once, as a vector, verifies ever after.
package bundletest

import (
	"crypto/ed25519"
	"crypto/sha256"
	"testing"

	"sallyport/bridge/bundle"
)

func key(site string) ed25519.PrivateKey {
	seed := sha256.Sum256([]byte(site))
	return ed25519.NewKeyFromSeed(seed[:])
}

// Signer signs for a site.
func Signer(t testing.TB, site string) *bundle.Signer {
	t.Helper()
	s, err := bundle.NewSigner(site, key(site))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// Trust knows the keys of some sites.
func Trust(sites ...string) bundle.Trust {
	return func(id string) (ed25519.PublicKey, bool) {
		for _, site := range sites {
			if pub, _ := key(site).Public().(ed25519.PublicKey); bundle.KeyID(site, pub) == id {
				return pub, true
			}
		}
		return nil, false
	}
}
