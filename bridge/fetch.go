package bridge

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"sallyport/bridge/bundle"
	"sallyport/domain"
)

// Fetched is a bundle's file, open for reading. The caller closes it.
type Fetched struct {
	*os.File
	Name     string // the file's own
	ID       string // of the bundle or beacon
	Making   string // hex; tells these bytes from another making of the same id
	Size     int64
	Modified time.Time // for people
}

// Fetch opens the file of a bundle that this site wrote or took in, by the
// bundle's id, or by the name of a file in the outbox. What is read is what
// lies there: whoever receives it verifies it. Files in quarantine are not
// given out. It fails with a [domain.Error]: NotFound for what is no bundle of
// this site, Conflict for one whose file is not here any more.
func (b *Bridge) Fetch(ctx context.Context, idOrName string) (*Fetched, error) {
	if _, err := bundle.ParseName(idOrName); err == nil {
		return b.fetchNamed(idOrName)
	}
	if raw, err := hex.DecodeString(idOrName); err != nil || len(raw) != sha256.Size {
		return nil, noBundle(idOrName)
	}
	return b.fetchID(ctx, idOrName)
}

func noBundle(what string) error {
	return &domain.Error{Kind: domain.NotFound, Code: "not-found", Detail: fmt.Sprintf("this site has no bundle %.80q: see the list of bundles", what)}
}

// fetchNamed opens a file of the outbox.
func (b *Bridge) fetchNamed(name string) (*Fetched, error) {
	f, err := b.fetch(outboxDir+"/"+name, name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, noBundle(name)
	}
	return f, err
}

// fetchID looks where the state of the bundle says that its file is.
func (b *Bridge) fetchID(ctx context.Context, id string) (*Fetched, error) {
	l, err := b.listed(ctx, id)
	if err != nil {
		return nil, err
	}
	var places []string
	switch l.Direction {
	case "out":
		places = []string{outboxDir + "/" + l.File}
	case "in":
		places, err = b.placesOf(l)
	default:
		places, err = b.beaconPlaces()
	}
	if err != nil {
		return nil, err
	}
	for _, path := range places {
		f, err := b.fetch(path, nameOf(path))
		var none *domain.Error
		switch {
		case err == nil && f.ID == id:
			return f, nil
		case err == nil:
			_ = f.Close() // it was only read
		case !errors.Is(err, fs.ErrNotExist) && !errors.As(err, &none):
			return nil, err
		}
	}
	if l.Direction == "" {
		return nil, noBundle(id)
	}
	return nil, &domain.Error{Kind: domain.Conflict, Code: "file-not-here",
		Detail: fmt.Sprintf("the file of bundle %d (%s %s) is not here any more: it was carried or moved away; a sent one is made again by `sallyport bundle resend %s %d`",
			l.Seq, l.Direction, l.Peer, l.Peer, l.Seq)}
}

// listed finds a bundle by its id; its direction is empty if there is none, as
// for a beacon.
func (b *Bridge) listed(ctx context.Context, id string) (l Listed, err error) {
	err = b.Pool.QueryRow(ctx, `
		SELECT 'out', peer, epoch, seq, id, coalesce(file, '') FROM outbound_bundles WHERE id = $1
		UNION ALL
		SELECT 'in', peer, epoch, seq, id, file FROM inbound_bundles WHERE id = $1 LIMIT 1`, id).
		Scan(&l.Direction, &l.Peer, &l.Epoch, &l.Seq, &l.ID, &l.File)
	if err != nil && !errors.Is(err, pgx.ErrNoRows) {
		return l, fmt.Errorf("look up the bundle %s: %w", id, err)
	}
	return l, nil
}

// placesOf lists where the file of a bundle that was taken in may be: staged
// under the name it came with, or archived under its own, the newest first.
func (b *Bridge) placesOf(l Listed) ([]string, error) {
	staged, err := b.staged()
	if err != nil {
		return nil, err
	}
	var places []string
	for _, name := range staged {
		if originalName(name) == l.File {
			places = append(places, stagingDir+"/"+name)
		}
	}
	months, err := fs.Glob(b.Folders.root.FS(), archiveDir+"/*/*")
	if err != nil {
		return nil, fmt.Errorf("look into the archive: %w", err)
	}
	slices.Reverse(months)
	own := strings.TrimSuffix(bundle.Name{Link: l.Peer + "-" + b.Log.Site(), Epoch8: l.Epoch[:8], Seq: l.Seq}.String(), ".jsonl.zst")
	for _, month := range months {
		for _, ending := range []string{".jsonl.zst", ".jsonl.zst.age", "." + l.ID + ".jsonl.zst", "." + l.ID + ".jsonl.zst.age"} {
			places = append(places, month+"/"+own+ending)
		}
	}
	return places, nil
}

// beaconPlaces lists the beacons in the outbox, the newest first: of those with
// one id the newest says all that the others say.
func (b *Bridge) beaconPlaces() ([]string, error) {
	names, err := b.Folders.list(outboxDir)
	if err != nil {
		return nil, err
	}
	var places []string
	number := map[string]int{}
	for _, name := range names {
		if n, err := bundle.ParseName(name); err == nil && n.Beacon > 0 {
			path := outboxDir + "/" + name
			places, number[path] = append(places, path), n.Beacon
		}
	}
	slices.SortFunc(places, func(x, y string) int { return cmp.Compare(number[y], number[x]) })
	return places, nil
}

// nameOf is the name that a file in one of our folders goes by.
func nameOf(path string) string {
	name := path[strings.LastIndexByte(path, '/')+1:]
	if strings.HasPrefix(path, stagingDir+"/") {
		return originalName(name)
	}
	return name
}

// fetch opens one file and reads its manifest. What is no bundle any more is
// refused with a [domain.Error].
func (b *Bridge) fetch(path, name string) (*Fetched, error) {
	f, err := openRegular(b.Folders.root, path)
	if errors.Is(err, errNotRegular) {
		return nil, unfit(name, err)
	}
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", b.Folders.abs(path), err)
	}
	info, err := f.Stat()
	if err != nil {
		return nil, errors.Join(fmt.Errorf("look at %s: %w", b.Folders.abs(path), err), f.Close())
	}
	read, err := bundle.Open(f, info.Size(), b.Limits)
	if err != nil {
		_ = f.Close() // it was only read
		if bundle.CodeOf(err) != "" {
			return nil, unfit(name, err)
		}
		return nil, fmt.Errorf("read %s: %w", b.Folders.abs(path), err)
	}
	making := sha256.Sum256(read.Signed())
	return &Fetched{File: f, Name: name, ID: read.Manifest().Core.ID(), Making: hex.EncodeToString(making[:]),
		Size: info.Size(), Modified: info.ModTime()}, nil
}

func unfit(name string, why error) error {
	return &domain.Error{Kind: domain.Conflict, Code: "file-damaged",
		Detail: fmt.Sprintf("the file %s on this site's disk is no bundle any more (%v): take it away and export again", name, why)}
}
