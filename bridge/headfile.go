package bridge

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"syscall"
	"time"

	strict "github.com/go-json-experiment/json"

	"sallyport/bridge/bundle"
	"sallyport/eventstore"
)

// headFormat is the value of a head file's format.
const headFormat = "sallyport-head/1"

// headFile lies beside the outbox and tells how far the site had got when a
// file last left it. It is synced before that file gets its name, so that it is
// never behind what the peers can have seen: a database that is behind it was
// restored from a backup.
type headFile struct {
	Format   string      `json:"format"` // always [headFormat]
	Epoch    string      `json:"epoch"`
	Position int64       `json:"position"` // of the log's last event then
	Chain    bundle.Hash `json:"chain"`    // the log's chain there
	// Links tells of each peer the newest manifest that was written for it.
	Links map[string]headLink `json:"links"`
}

type headLink struct {
	Incarnation string `json:"incarnation"`
	No          int64  `json:"no"`
	Applied     int64  `json:"applied"` // the last position of the peer's log that was applied then
}

const (
	headName = "head.json"
	headLock = ".head.lock"
	headTmp  = ".head.json"
	maxHead  = 1 << 20 // bytes; a link takes about 120
)

// readHead returns nil if no file has left the site yet.
func (f *Folders) readHead() (*headFile, error) {
	text, err := f.root.ReadFile(headName)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	var h headFile
	if err == nil && len(text) > maxHead {
		err = fmt.Errorf("it is longer than %d bytes", maxHead)
	}
	if err == nil {
		err = strict.Unmarshal(text, &h, strict.RejectUnknownMembers(true))
	}
	if err == nil && h.Format != headFormat {
		err = fmt.Errorf("its format is %q, want %q", h.Format, headFormat)
	}
	if err != nil {
		return nil, fmt.Errorf("read %s, which tells whether this site was restored: %w; nothing is sent until it can be read", f.abs(headName), err)
	}
	return &h, nil
}

// leaving notes, before a file gets its name in the outbox, how far the log and
// the link had got. Nothing in the head file ever goes back.
func (f *Folders) leaving(ctx context.Context, head eventstore.Head, peer string, l headLink) error {
	return f.changeHead(ctx, func(h *headFile) {
		if h.Epoch == "" {
			h.Epoch = head.Epoch
		}
		if h.Epoch == head.Epoch && head.Pos >= h.Position {
			h.Position, h.Chain = head.Pos, bundle.Hash(head.Chain)
		}
		if l.No > h.Links[peer].No {
			h.Links[peer] = l
		}
	})
}

// foundAnew notes that the log has another epoch now.
func (f *Folders) foundAnew(ctx context.Context, head eventstore.Head) error {
	return f.changeHead(ctx, func(h *headFile) { h.Epoch, h.Position, h.Chain = head.Epoch, head.Pos, bundle.Hash(head.Chain) })
}

// changeHead lets one program at a time change the head file.
func (f *Folders) changeHead(ctx context.Context, change func(*headFile)) error {
	lock, err := f.lockHead(ctx)
	if err != nil {
		return err
	}
	defer lock.Close() // and with it ends the lock
	h, err := f.readHead()
	if err != nil {
		return err
	}
	if h == nil {
		h = &headFile{Format: headFormat}
	}
	links := map[string]headLink{}
	maps.Copy(links, h.Links)
	h.Links = links
	change(h)
	text, err := json.MarshalIndent(h, "", "  ")
	if err != nil {
		return err
	}
	return f.create(headName, headTmp, func(file *os.File) error {
		_, err := file.Write(append(text, '\n'))
		return err
	})
}

// lockHead waits a few seconds for another program of this site. It gives up on
// one that was stopped in the middle: what cannot be noted must not leave.
func (f *Folders) lockHead(ctx context.Context) (*os.File, error) {
	const patience = 10 * time.Second
	file, err := f.root.OpenFile(headLock, os.O_RDWR|os.O_CREATE, 0o640)
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", f.abs(headLock), err)
	}
	for end := time.Now().Add(patience); ; {
		err := syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB) //nolint:gosec // a descriptor is small
		if err == nil {
			return file, nil
		}
		if !errors.Is(err, syscall.EWOULDBLOCK) || time.Now().After(end) {
			return nil, errors.Join(fmt.Errorf("lock %s: %w; another program of this site holds it", f.abs(headLock), err), file.Close())
		}
		select {
		case <-ctx.Done():
			return nil, errors.Join(ctx.Err(), file.Close())
		case <-time.After(5 * time.Millisecond):
		}
	}
}
