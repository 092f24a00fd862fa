package media

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"
	"time"

	"sallyport/bridge/bundle"
	"sallyport/bridge/wholefile"
)

// WriteConfig says what goes onto a medium. All fields are required unless they
// say what their zero value means.
type WriteConfig struct {
	Outbox   string   // the folder of the finished bundles
	Dir      string   // where the medium is mounted
	Pool     Pool     // from this site to the peer
	Files    []string // names in the outbox
	Operator string   // who does it: `cli:<os user>`
	Trust    bundle.Trust
	Limits   bundle.Limits
	Serial   string // as the operator reads it on the medium; empty: found out
	AnyPool  bool   // also onto a medium of another direction
	DryRun   bool   // says what would be done and writes nothing
	Meter    Meter
}

// The states of a file that was written.
const (
	Copied  = "copied"
	Present = "present" // it was there already, with the same bytes
)

// File is one bundle on a medium.
type File struct {
	Name   string `json:"file"`
	Seq    int64  `json:"seq"`
	Beacon bool   `json:"beacon"`
	ID     string `json:"id"`
	// After and Through are the positions that it holds, After exclusive.
	After   int64  `json:"after"`
	Through int64  `json:"through"`
	Bytes   int64  `json:"bytes"`
	SHA256  string `json:"sha256"` // empty in a dry run, for what would be copied
	State   string `json:"state"`
}

// Written is what is on a medium now, or would be after a dry run.
type Written struct {
	Medium string `json:"medium"` // its id; empty in the dry run of a first use
	Serial
	Pool   Pool   `json:"pool"` // of the medium, by its first use
	New    bool   `json:"new"`  // this was its first use
	DryRun bool   `json:"dry_run"`
	Files  []File `json:"files"`
	// CacheDropped is false if what was read back may have been the machine's
	// memory; then a warning says why.
	CacheDropped bool     `json:"cache_dropped"`
	Warnings     []string `json:"warnings"`
	// Others are bundles of the same direction that were on it before.
	Others []string `json:"-"`
}

// ErrPool is returned for a medium of another direction.
var ErrPool = errors.New("the medium belongs to another direction")

// FullError is a medium without room for all that goes onto it.
type FullError struct {
	Needed, Free int64 // bytes
}

func (e *FullError) Error() string {
	return fmt.Sprintf("%d bytes are needed and %d are free, %d too few: wipe what may be wiped, or take a larger medium; nothing was copied",
		e.Needed, e.Free, e.Needed-e.Free)
}

// Write puts bundles from the outbox onto a medium: all, or it fails. What it
// proved before it failed stays there, whole, and is found by the next run.
// The outbox is only read. It fails with [ErrPool], with [*FullError] before
// anything is copied, with [*bundle.Error] if a file in the outbox is no bundle
// of this direction, or with what the disk says.
func Write(ctx context.Context, c WriteConfig) (Written, error) {
	w := &writing{WriteConfig: c, copying: copying{limit: fileLimit(c.Limits), meter: c.Meter}}
	w.result = Written{DryRun: c.DryRun, Files: []File{}, Warnings: []string{}, CacheDropped: !c.DryRun}
	err := w.open()
	if err == nil {
		err = errors.Join(w.run(ctx), w.outbox.Close(), w.medium.Close())
	}
	if err != nil {
		return Written{}, fmt.Errorf("write the medium %s: %w; nothing was lost, the bundles are in the outbox", c.Dir, err)
	}
	return w.result, nil
}

// writing is one medium being written.
type writing struct {
	WriteConfig
	copying
	outbox, medium *os.Root
	marker         Marker
	result         Written
}

func (w *writing) open() error {
	medium, outbox, device, err := openMedium(w.Dir, w.Outbox)
	if err != nil {
		return err
	}
	w.medium, w.outbox = medium, outbox
	if device == 0 {
		w.warn("%s is on the same disk as the outbox: is the medium mounted there?", w.Dir)
	}
	if err = w.identify(device); err != nil {
		return errors.Join(err, outbox.Close(), medium.Close())
	}
	return nil
}

func (w *writing) warn(format string, args ...any) {
	w.result.Warnings = append(w.result.Warnings, fmt.Sprintf(format, args...))
}

func (w *writing) run(ctx context.Context) error {
	if !w.DryRun {
		if err := removeLeftovers(w.medium); err != nil {
			return err
		}
	}
	if err := w.plan(ctx); err != nil {
		return err
	}
	if err := w.enoughRoom(); err != nil || w.DryRun {
		return err
	}
	return w.carryAll(ctx)
}

func (w *writing) carryAll(ctx context.Context) error {
	if w.result.New {
		if err := w.marker.write(w.medium); err != nil {
			return err
		}
	}
	total := int64(0)
	for _, f := range w.result.Files {
		if f.State == Copied {
			total += 2 * f.Bytes // written, then read back
		}
	}
	w.Meter.start(total)
	for i := range w.result.Files {
		if f := &w.result.Files[i]; f.State == Copied {
			if err := w.carry(ctx, f); err != nil {
				return fmt.Errorf("%s: %w", f.Name, err)
			}
		}
	}
	return w.describe()
}

// identify reads or makes the marker and holds the medium to its direction.
func (w *writing) identify(device uint64) error {
	m, found, err := readMarker(w.medium)
	if err != nil {
		return fmt.Errorf("%w; take another medium, or remove that file if this one is yours", err)
	}
	arrived, err := w.look()
	if err != nil {
		return err
	}
	switch {
	case found && m.Pool != w.Pool:
		err = fmt.Errorf("%w: it is one for %s, and these bundles go %s; take one of that pool", ErrPool, m.Pool, w.Pool)
	case !found && arrived != "":
		err = fmt.Errorf("%w: %s on it came to this site; take another medium for %s", ErrPool, arrived, w.Pool)
	}
	if err != nil && !w.AnyPool {
		return err
	}
	if err != nil {
		w.warn("%v", err)
	}
	if w.result.New = !found; w.result.New {
		if m, err = newMarker(w.Pool, time.Now()); err != nil {
			return err
		}
	}
	w.marker, w.result.Pool = m, m.Pool
	w.result.Serial = serialOf(w.Serial, m.ID, device)
	if w.result.Medium = m.ID; w.result.New && w.DryRun {
		w.result.Medium = "" // the id is made when it is written
	}
	return nil
}

// look notes the bundles of this direction that are on the medium already, and
// returns one that came to this site, if there is any.
func (w *writing) look() (arrived string, err error) {
	all, err := entries(w.medium)
	if err != nil {
		return "", err
	}
	for _, e := range all {
		n, err := bundle.ParseName(e.Name())
		switch {
		case err != nil:
		case n.Between(w.Pool.From, w.Pool.To):
			if !slices.Contains(w.Files, e.Name()) {
				w.result.Others = append(w.result.Others, e.Name())
			}
		case strings.HasSuffix(n.Link, "-"+w.Pool.From):
			arrived = e.Name()
		}
	}
	return arrived, nil
}

// plan looks at each file in the outbox and at what the medium has of it.
func (w *writing) plan(ctx context.Context) error {
	for _, name := range w.Files {
		f, err := w.planned(ctx, name)
		if err != nil {
			return fmt.Errorf("%s in the outbox: %w", name, err)
		}
		w.result.Files = append(w.result.Files, f)
	}
	return nil
}

func (w *writing) planned(ctx context.Context, name string) (File, error) {
	src, err := wholefile.Open(w.outbox, name)
	if err != nil {
		return File{}, err
	}
	defer src.Close()
	info, err := src.Stat()
	if err != nil {
		return File{}, err
	}
	b, err := bundle.Open(src, info.Size(), w.Limits)
	if err != nil {
		return File{}, err
	}
	c := b.Manifest().Core
	f := File{Name: name, Seq: c.Seq, Beacon: c.Kind == bundle.Beacon, ID: c.ID(), After: c.Range.After, Through: c.Range.Through, Bytes: info.Size(), State: Copied}
	same, sum, err := w.present(ctx, src, f)
	if same {
		f.State, f.SHA256 = Present, sum
	}
	return f, err
}

// present reports whether the medium gives back this very file. Whatever else
// is there under its name, a damaged copy first of all, is written anew.
func (w *writing) present(ctx context.Context, src *os.File, f File) (same bool, sum string, err error) {
	dst, err := wholefile.Open(w.medium, f.Name)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, wholefile.ErrNotRegular) {
		return false, "", nil
	}
	if err != nil {
		return false, "", err
	}
	defer dst.Close()
	info, err := dst.Stat()
	if err != nil || info.Size() != f.Bytes {
		return false, "", err
	}
	quiet := copying{limit: w.limit}
	want, err := quiet.hash(ctx, src)
	if err != nil {
		return false, "", err
	}
	if err := w.proved(ctx, quiet, dst, want); err != nil {
		return false, "", ctx.Err()
	}
	return true, want.sha256, nil
}

// proved reads a file on the medium back and verifies it as a bundle.
func (w *writing) proved(ctx context.Context, c copying, f *os.File, want copied) error {
	forgotten, err := c.prove(ctx, f, want)
	if err != nil {
		return err
	}
	if forgotten != nil && w.result.CacheDropped {
		w.result.CacheDropped = false
		w.warn("what was read back may be this machine's memory, not the medium (%v): unplug it, plug it in and run this again to be sure", forgotten)
	}
	if err := verify(f, want.bytes, w.Pool, w.Trust, w.Limits); err != nil {
		return fmt.Errorf("the file in the outbox is not good: %w", err)
	}
	return nil
}

// reserve is room for the marker, the file for people and the folder itself.
const reserve = 64 << 10

func (w *writing) enoughRoom() error {
	dir, err := w.medium.Open(".")
	if err != nil {
		return err
	}
	have, block, err := free(dir)
	if err = errors.Join(err, dir.Close()); err != nil {
		return err
	}
	needed := int64(0)
	for _, f := range w.result.Files {
		if f.State == Copied {
			needed += (f.Bytes+block-1)/block*block + block // and its label
		}
	}
	if needed > 0 {
		needed += reserve
	}
	if needed > have {
		return &FullError{Needed: needed, Free: have}
	}
	return nil
}

// carry copies one bundle. It has its name only once it was read back.
func (w *writing) carry(ctx context.Context, f *File) error {
	src, err := wholefile.Open(w.outbox, f.Name)
	if err != nil {
		return err
	}
	defer src.Close()
	err = wholefile.Create(w.medium, f.Name, temporary+f.Name, func(dst *os.File) error {
		c, err := w.copy(ctx, dst, src)
		if err == nil {
			err = dst.Sync()
		}
		if err != nil {
			return err
		}
		f.Bytes, f.SHA256 = c.bytes, c.sha256
		return w.proved(ctx, w.copying, dst, c)
	})
	if err != nil {
		return err
	}
	return w.carryLabel(ctx, f.Name+labelSuffix)
}

// carryLabel copies what people read beside a bundle; without one it is no worse.
func (w *writing) carryLabel(ctx context.Context, name string) error {
	src, err := wholefile.Open(w.outbox, name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer src.Close()
	return wholefile.Create(w.medium, name, temporary+name, func(dst *os.File) error {
		_, err := copying{limit: reserve}.copy(ctx, dst, src)
		return err
	})
}
