package bridge

import (
	"crypto/ed25519"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// The signing keys of a site lie side by side, one a file, for the owner alone:
//
//	signing.pem            signs
//	signing-next-<id>.pem  will sign; made before any peer is told of it
//	signing-old-<id>.pem   signed once, and is only kept
//
// Each step of a rotation is one link or rename of a file that names its key,
// so that it may be taken again, by any program, and never moves another key.

// keyPart is a key's short id without the site's name, from any form of it:
// "<site>+<id>" or "<site>+<id>+<base64>".
func keyPart(key string) string {
	_, rest, _ := strings.Cut(key, "+")
	part, _, _ := strings.Cut(rest, "+")
	return part
}

// keyID is the short name of a whole public key: "<site>+<id>".
func keyID(key string) string {
	site, rest, _ := strings.Cut(key, "+")
	part, _, _ := strings.Cut(rest, "+")
	return site + "+" + part
}

func (k Keys) presentPath() string { return filepath.Join(k.dir, signingFile) }
func (k Keys) nextPath(key string) string {
	return filepath.Join(k.dir, "signing-next-"+keyPart(key)+".pem")
}
func (k Keys) oldPath(key string) string {
	return filepath.Join(k.dir, "signing-old-"+keyPart(key)+".pem")
}

// readPresent reads the key that signs, as it is now.
func (k Keys) readPresent() (ed25519.PrivateKey, error) { return readSigningKey(k.presentPath()) }

// readNext reads the file of a next key; nil if there is none.
func (k Keys) readNext(key string) (ed25519.PrivateKey, error) {
	next, err := readSigningKey(k.nextPath(key))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	return next, err
}

// ReadSigningKeys reads the public side of every key in a site's folder that
// signs, did or will. It makes none.
func ReadSigningKeys(dir string) ([]ed25519.PublicKey, error) {
	files, err := filepath.Glob(filepath.Join(dir, "signing*.pem"))
	if err != nil || len(files) == 0 {
		return nil, errors.Join(fmt.Errorf("there is no signing key in %s", dir), err)
	}
	var keys []ed25519.PublicKey
	for _, file := range files {
		key, err := readSigningKey(file)
		if err != nil {
			return nil, err
		}
		public, _ := key.Public().(ed25519.PublicKey) // it has no other
		keys = append(keys, public)
	}
	return keys, nil
}

func readSigningKey(path string) (ed25519.PrivateKey, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("read a signing key: %w", err)
	}
	return parseSigningKey(path, data)
}

// makeNext makes a key that will sign one day and returns its public side. One
// that an earlier try made and nobody was told of is used up first.
func (k Keys) makeNext(site string) (string, error) {
	left, err := filepath.Glob(filepath.Join(k.dir, "signing-next-*.pem"))
	if err != nil {
		return "", err
	}
	if len(left) > 0 {
		key, err := readSigningKey(left[0])
		if err != nil {
			return "", err
		}
		return verifierKey(site, key)
	}
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return "", err
	}
	public, err := verifierKey(site, key)
	if err != nil {
		return "", err
	}
	_, err = ensureSecret(k.nextPath(public), func() ([]byte, error) { return encodeSigningKey(key) })
	return public, err
}

// promote makes a next key the one that signs, and keeps the one before. What
// an earlier try did already stays done.
func (k Keys) promote(old, next string) error {
	if err := os.Link(k.presentPath(), k.oldPath(old)); err != nil && !errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("keep the old signing key: %w", err)
	}
	if err := syncFolder(k.dir); err != nil {
		return fmt.Errorf("keep the old signing key: %w", err)
	}
	if err := os.Rename(k.nextPath(next), k.presentPath()); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("put the new signing key in its place: %w", err)
	}
	if err := syncFolder(k.dir); err != nil {
		return fmt.Errorf("put the new signing key in its place: %w", err)
	}
	return nil
}
