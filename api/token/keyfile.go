package token

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"syscall"
	"time"
)

const (
	// settle is how long a new key is only believed before it signs: by then
	// every process that shares the file has read it, so that none meets a token
	// whose key it does not know.
	settle = 10 * time.Second
	// lookEvery is how often a process looks whether the file was changed.
	lookEvery = time.Second

	blockType = "PRIVATE KEY"
	fromName  = "Signs-From"
)

// KeyFile is a site's keys over time: PEM blocks (PKCS #8), each with the time
// from which it signs. An older key is believed until the last token that it
// could have signed has expired, so that changing the key logs nobody out.
type KeyFile struct{ keys []datedKey } // in the order of time

type datedKey struct {
	key  ed25519.PrivateKey
	from time.Time // zero: always
}

// ReadKeyFile reads the keys of a file.
func ReadKeyFile(path string) (KeyFile, error) {
	data, err := os.ReadFile(path) // #nosec G304 -- the site's own
	if err != nil {
		return KeyFile{}, fmt.Errorf("read the keys of access tokens: %w", err)
	}
	var f KeyFile
	for {
		var block *pem.Block
		if block, data = pem.Decode(data); block == nil {
			break
		}
		parsed, err := x509.ParsePKCS8PrivateKey(block.Bytes)
		key, ok := parsed.(ed25519.PrivateKey)
		if err != nil || !ok || block.Type != blockType {
			return KeyFile{}, fmt.Errorf("%s holds what is no Ed25519 key in PKCS #8", path)
		}
		k := datedKey{key: key}
		if text, ok := block.Headers[fromName]; ok {
			if k.from, err = time.Parse(time.RFC3339, text); err != nil {
				return KeyFile{}, fmt.Errorf("%s: %s is no time", path, fromName)
			}
		}
		if n := len(f.keys); n > 0 && !k.from.After(f.keys[n-1].from) {
			return KeyFile{}, fmt.Errorf("%s: its keys are not in the order of %s", path, fromName)
		}
		f.keys = append(f.keys, k)
	}
	if len(f.keys) == 0 || len(bytes.TrimSpace(data)) > 0 {
		return KeyFile{}, fmt.Errorf("%s is no PEM file of keys", path)
	}
	return f, nil
}

// At returns the key that signs at a moment and the others that are believed.
func (f KeyFile) At(now time.Time) (signing ed25519.PrivateKey, verifying []ed25519.PublicKey) {
	for i, k := range f.keys {
		if signing == nil || !now.Before(k.from) {
			signing = k.key
		}
		if f.believed(i, now) {
			verifying = append(verifying, k.key.Public().(ed25519.PublicKey))
		}
	}
	return signing, verifying
}

// believed reports whether a token of a key may still be good.
func (f KeyFile) believed(i int, now time.Time) bool {
	return i+1 >= len(f.keys) || now.Before(f.keys[i+1].from.Add(Lifetime+margin))
}

// Rotated is what a rotation did.
type Rotated struct {
	KeyID     string    `json:"kid"`
	SignsFrom time.Time `json:"signs_from"`
	// OldUntil is how long tokens of the key before are believed.
	OldUntil time.Time `json:"old_until"`
}

// Rotate puts a new key into a file, which signs in a moment, and drops those
// that nobody believes any more. If the old ones were stolen they are dropped
// too: the new key signs at once, and every access token of before is refused.
func Rotate(path string, now time.Time, stolen bool) (Rotated, error) {
	f, err := ReadKeyFile(path)
	if err != nil {
		return Rotated{}, err
	}
	public, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return Rotated{}, fmt.Errorf("make a key: %w", err)
	}
	now = now.UTC().Truncate(time.Second)
	made := Rotated{KeyID: KeyID(public), SignsFrom: now, OldUntil: now}
	next := KeyFile{}
	if !stolen {
		made.SignsFrom = now.Add(settle)
		for i, k := range f.keys {
			if !k.from.Before(made.SignsFrom) {
				return Rotated{}, fmt.Errorf("a new key was made a moment ago and signs from %s: wait until then", k.from.Format(time.RFC3339))
			}
			if f.believed(i, now) {
				next.keys = append(next.keys, k)
			}
		}
		made.OldUntil = made.SignsFrom.Add(Lifetime + margin)
	}
	next.keys = append(next.keys, datedKey{key, made.SignsFrom})
	return made, next.write(path)
}

// write replaces a file as a whole. It stays its owner's, whoever runs this.
func (f KeyFile) write(path string) error {
	var b bytes.Buffer
	for _, k := range f.keys {
		der, err := x509.MarshalPKCS8PrivateKey(k.key)
		if err != nil {
			return fmt.Errorf("encode a key: %w", err)
		}
		block := &pem.Block{Type: blockType, Bytes: der}
		if !k.from.IsZero() {
			block.Headers = map[string]string{fromName: k.from.UTC().Format(time.RFC3339)}
		}
		if err := pem.Encode(&b, block); err != nil {
			return fmt.Errorf("encode a key: %w", err)
		}
	}
	if err := replaceFile(path, b.Bytes()); err != nil {
		return fmt.Errorf("write the keys of access tokens: %w; the old ones go on", err)
	}
	return nil
}

func replaceFile(path string, data []byte) (err error) {
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	fresh, err := os.CreateTemp(filepath.Dir(path), ".tokens-*") // for its owner alone
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.Remove(fresh.Name()))
		}
	}()
	if owner, ok := info.Sys().(*syscall.Stat_t); ok && int(owner.Uid) != os.Geteuid() {
		if err := fresh.Chown(int(owner.Uid), int(owner.Gid)); err != nil {
			return errors.Join(err, fresh.Close())
		}
	}
	_, err = fresh.Write(data)
	if err = errors.Join(err, fresh.Sync(), fresh.Close()); err != nil {
		return err
	}
	if err := os.Rename(fresh.Name(), path); err != nil {
		return err
	}
	dir, err := os.Open(filepath.Dir(path))
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}

// Follow gives the authority the keys of a file whenever they change, until the
// context ends. A file that cannot be read changes nothing.
func (a *Authority) Follow(ctx context.Context, path string, log *slog.Logger) error {
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	var f KeyFile
	var read fs.FileInfo
	for {
		fresh, info, err := unlessRead(path, read)
		if info != nil {
			f, read = fresh, info
		}
		if err == nil {
			err = a.SetKeys(f.At(a.now()))
		}
		if err != nil {
			log.WarnContext(ctx, "the keys of access tokens could not be read; those of before go on", "error", err)
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return nil
		}
	}
}

// unlessRead reads a file that is not the one that was read; else there is no
// FileInfo.
func unlessRead(path string, read fs.FileInfo) (KeyFile, fs.FileInfo, error) {
	info, err := os.Stat(path)
	if err != nil || read != nil && os.SameFile(info, read) && info.ModTime().Equal(read.ModTime()) {
		return KeyFile{}, nil, err
	}
	f, err := ReadKeyFile(path)
	if err != nil {
		return KeyFile{}, nil, err
	}
	return f, info, nil
}
