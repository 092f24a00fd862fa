package bridge

import (
	"bytes"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"filippo.io/age"

	"sallyport/bridge/bundle"
	"sallyport/domain"
)

// Keys are a site's own secrets for the crossing, as they were when they were
// read. A rotation changes the signing key's file; the bridge reads it again
// whenever it signs.
type Keys struct {
	Signing  ed25519.PrivateKey
	Identity *age.HybridIdentity
	dir      string
}

const (
	signingFile  = "signing.pem"
	identityFile = "identity.age"
)

// EnsureKeys reads a site's keys from a folder and makes those that are
// missing. The folder and its files are for their owner alone.
func EnsureKeys(dir string) (Keys, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return Keys{}, fmt.Errorf("make the keys' folder: %w", err)
	}
	signing, err := EnsureSigningKey(filepath.Join(dir, signingFile))
	if err != nil {
		return Keys{}, err
	}
	identity, err := ensureIdentity(filepath.Join(dir, identityFile))
	return Keys{Signing: signing, Identity: identity, dir: dir}, err
}

// EnsureSigningKey reads an Ed25519 key (PEM, PKCS #8) or makes one.
func EnsureSigningKey(path string) (ed25519.PrivateKey, error) {
	data, err := ensureSecret(path, func() ([]byte, error) {
		_, key, err := ed25519.GenerateKey(rand.Reader)
		if err != nil {
			return nil, err
		}
		return encodeSigningKey(key)
	})
	if err != nil {
		return nil, err
	}
	return parseSigningKey(path, data)
}

func encodeSigningKey(key ed25519.PrivateKey) ([]byte, error) {
	der, err := x509.MarshalPKCS8PrivateKey(key)
	return pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), err
}

func parseSigningKey(path string, data []byte) (ed25519.PrivateKey, error) {
	block, _ := pem.Decode(data)
	if block == nil {
		return nil, fmt.Errorf("the key %s is no PEM file", path)
	}
	parsed, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	key, ok := parsed.(ed25519.PrivateKey)
	if err != nil || !ok {
		return nil, fmt.Errorf("the key %s is no Ed25519 key in PKCS #8", path)
	}
	return key, nil
}

func ensureIdentity(path string) (*age.HybridIdentity, error) {
	data, err := ensureSecret(path, func() ([]byte, error) {
		id, err := age.GenerateHybridIdentity()
		if err != nil {
			return nil, err
		}
		return []byte(id.String()), nil
	})
	if err != nil {
		return nil, err
	}
	id, err := age.ParseHybridIdentity(string(data))
	if err != nil {
		return nil, fmt.Errorf("the identity %s does not parse (it is not shown)", path)
	}
	return id, nil
}

// ReadIdentity reads an age identity to decrypt with: a site's, or one that
// age-keygen wrote. It makes no key, and waits for no pipe.
func ReadIdentity(path string) (age.Identity, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, fmt.Errorf("read the identity: %w", err)
	}
	defer f.Close()
	if info, err := f.Stat(); err != nil || !info.Mode().IsRegular() {
		return nil, fmt.Errorf("the identity %s is no regular file", path)
	}
	data, err := io.ReadAll(io.LimitReader(f, maxIdentity))
	if err != nil {
		return nil, fmt.Errorf("read the identity: %w", err)
	}
	ids, err := age.ParseIdentities(bytes.NewReader(bytes.TrimSpace(data)))
	if err != nil || len(ids) != 1 {
		return nil, fmt.Errorf("the identity %s does not parse (it is not shown)", path)
	}
	return ids[0], nil
}

// maxIdentity bounds an identity's file, in bytes; one takes about 80.
const maxIdentity = 4 << 10

// ensureSecret reads a file or creates it with what fill returns; of two
// programs that create it at once, one wins and both read the same.
func ensureSecret(path string, fill func() ([]byte, error)) ([]byte, error) {
	data, err := os.ReadFile(path)
	if !errors.Is(err, fs.ErrNotExist) {
		return data, err
	}
	if data, err = fill(); err != nil {
		return nil, fmt.Errorf("make the secret %s: %w", path, err)
	}
	f, err := os.CreateTemp(filepath.Dir(path), ".new-*") // mode 0600
	if err != nil {
		return nil, fmt.Errorf("make the secret: %w", err)
	}
	defer os.Remove(f.Name())
	_, err = f.Write(data)
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return nil, fmt.Errorf("write the secret %s: %w", path, err)
	}
	if err := os.Link(f.Name(), path); err != nil && !errors.Is(err, fs.ErrExist) {
		return nil, fmt.Errorf("write the secret: %w", err)
	}
	if err := syncFolder(filepath.Dir(path)); err != nil {
		return nil, fmt.Errorf("write the secret %s: %w", path, err)
	}
	return os.ReadFile(path)
}

// syncFolder makes names in a folder durable: a key that peers were told of
// must not be gone after a power cut.
func syncFolder(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// Card returns the public side of the keys.
func (k Keys) Card(site string, role domain.Role, epoch string) (Card, error) {
	key, err := verifierKey(site, k.Signing)
	if err != nil {
		return Card{}, err
	}
	return Card{Format: CardFormat, Name: site, Role: role, Epoch: epoch, Key: key,
		Recipient: k.Identity.Recipient().String()}, nil
}

// verifierKey is the public side of a signing key, in the form of C2SP signed-note.
func verifierKey(site string, key ed25519.PrivateKey) (string, error) {
	pub, ok := key.Public().(ed25519.PublicKey)
	if !ok {
		return "", errors.New("the signing key is no Ed25519 key")
	}
	return bundle.VerifierKey(site, pub)
}
