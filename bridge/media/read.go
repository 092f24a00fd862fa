package media

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"

	"sallyport/bridge/bundle"
	"sallyport/bridge/wholefile"
)

// ReadConfig says where a medium's bundles go. All fields are required unless
// they say what their zero value means.
type ReadConfig struct {
	Dir    string // where the medium is mounted
	Inbox  string // the folder of arriving bundles
	Site   string // the name of this site
	Limits bundle.Limits
	Serial string // as the operator reads it on the medium; empty: found out
	DryRun bool   // says what would be done and writes nothing
	Meter  Meter
}

// The states of what was found on a medium, beside [Copied] and [Present].
const (
	Refused   = "refused"   // it has a bundle's name and is not taken
	Elsewhere = "elsewhere" // it is for another site
	Ignored   = "ignored"   // it is no bundle by its name
	Beside    = "beside"    // it lies beside bundles for people, and goes no further
)

// Found is one thing that lies on a medium.
type Found struct {
	Name   string `json:"file"` // anything: quote it before a person sees it
	State  string `json:"state"`
	Reason string `json:"reason,omitempty"`
	// ID and Seq are what the file claims, if it could be opened; nothing of
	// it was verified.
	ID     string `json:"id,omitempty"`
	Seq    int64  `json:"seq,omitempty"`
	Bytes  int64  `json:"bytes,omitempty"`
	SHA256 string `json:"sha256,omitempty"`
}

// Taken is what was found on a medium, by name, and what became of it.
type Taken struct {
	Medium string `json:"medium"` // as its marker claims; empty without one
	Serial
	Pool     Pool     `json:"pool"` // as its marker claims; zero without one
	DryRun   bool     `json:"dry_run"`
	Files    []Found  `json:"files"`
	Warnings []string `json:"warnings"`
}

// Read copies the bundles for this site from a medium into the inbox. Nothing
// on the medium is changed and nothing on it can make Read fail but that it
// cannot be read: what is wrong with a file is said in its [Found].
func Read(ctx context.Context, c ReadConfig) (Taken, error) {
	r := &reading{ReadConfig: c, copying: copying{limit: fileLimit(c.Limits), meter: c.Meter},
		result: Taken{DryRun: c.DryRun, Files: []Found{}, Warnings: []string{}}}
	if err := r.run(ctx); err != nil {
		return Taken{}, fmt.Errorf("read the medium %s: %w; what was copied whole is in the inbox, the medium is unchanged: run this again", c.Dir, err)
	}
	return r.result, nil
}

// reading is one medium being read.
type reading struct {
	ReadConfig
	copying
	medium, inbox *os.Root
	result        Taken
}

func (r *reading) run(ctx context.Context) (err error) {
	var device uint64
	if r.medium, r.inbox, device, err = openMedium(r.Dir, r.Inbox); err != nil {
		return err
	}
	defer r.medium.Close()
	defer r.inbox.Close()
	if !r.DryRun {
		if err := removeLeftovers(r.inbox); err != nil {
			return err
		}
	}
	r.identify(device)
	all, err := entries(r.medium)
	if err != nil {
		return err
	}
	r.Meter.start(r.size(all))
	for _, e := range all {
		f := Found{Name: e.Name()}
		if err := r.take(ctx, &f, e); err != nil {
			return fmt.Errorf("%q: %w", e.Name(), err)
		}
		r.result.Files = append(r.result.Files, f)
	}
	return nil
}

// identify takes what the medium says of itself for what it is: a hint that
// may be missing or false.
func (r *reading) identify(device uint64) {
	m, found, err := readMarker(r.medium)
	switch {
	case err != nil:
		r.warn("%v; what it is for is not known", err)
		m = Marker{}
	case !found:
	case m.Pool.From == r.Site:
		r.warn("this medium is for %s, the direction that LEAVES %s, and it was brought in: find out where it was, and write nothing to it again", m.Pool, r.Site)
	case m.Pool.To != r.Site:
		r.warn("this medium is for %s, not for %s: find out who mixed it up", m.Pool, r.Site)
	}
	r.result.Medium, r.result.Pool = m.ID, m.Pool
	r.result.Serial = serialOf(r.Serial, m.ID, device)
}

func (r *reading) warn(format string, args ...any) {
	r.result.Warnings = append(r.result.Warnings, fmt.Sprintf(format, args...))
}

// size guesses how much will be copied, for the meter alone.
func (r *reading) size(all []fs.DirEntry) (total int64) {
	for _, e := range all {
		if info, err := e.Info(); err == nil && r.isForUs(e.Name()) && info.Mode().IsRegular() {
			total += min(info.Size(), r.limit)
		}
	}
	return total
}

// isForUs goes by the name alone, which may be false.
func (r *reading) isForUs(name string) bool {
	n, err := bundle.ParseName(name)
	return err == nil && strings.HasSuffix(n.Link, "-"+r.Site)
}

// take decides about one thing on the medium and copies it if it is a bundle
// for this site. Its error is about the medium or this site's disk.
func (r *reading) take(ctx context.Context, f *Found, e fs.DirEntry) error {
	switch _, err := bundle.ParseName(f.Name); {
	case err != nil:
		f.State, f.Reason = noBundle(e)
	case !r.isForUs(f.Name):
		f.State, f.Reason = Elsewhere, "by its name it is not for "+r.Site+": carry it where it belongs"
	default:
		return r.bring(ctx, f)
	}
	return nil
}

func noBundle(e fs.DirEntry) (state, reason string) {
	switch name := e.Name(); {
	case e.IsDir():
		return Ignored, "a folder; folders are not looked into"
	case name == MarkerFile, strings.HasPrefix(name, "READ-ME-"), strings.HasSuffix(name, labelSuffix):
		return Beside, "for people; it is not carried further"
	default:
		return Ignored, "its name is not the name of a bundle"
	}
}

// verdict ends the copying of a file that is not taken after all.
type verdict struct{ state, reason string }

func (v *verdict) Error() string { return v.reason }

// bring copies one file under a hidden name and gives it its own if the inbox
// is to have it.
func (r *reading) bring(ctx context.Context, f *Found) error {
	src, err := wholefile.Open(r.medium, f.Name)
	if err != nil { // no file, or one that cannot be read
		f.State, f.Reason = Refused, err.Error()
		return nil
	}
	defer src.Close()
	if r.DryRun {
		err = r.judge(ctx, f, io.Discard, src, src)
	} else {
		err = wholefile.Create(r.inbox, f.Name, temporary+f.Name, func(dst *os.File) error {
			return r.judge(ctx, f, dst, src, dst)
		})
	}
	return f.settle(err)
}

// settle says what became of a file whose copying ended with err, and returns
// what was no fault of the file.
func (f *Found) settle(err error) error {
	var v *verdict
	var unreadable *sourceError
	switch {
	case err == nil:
		f.State = Copied
	case errors.As(err, &v):
		f.State, f.Reason = v.state, v.reason
	case errors.Is(err, errTooLarge), errors.Is(err, errChanging), errors.As(err, &unreadable):
		f.State, f.Reason = Refused, err.Error()
	default:
		return err
	}
	return nil
}

// judge copies src to dst and looks at what was copied.
func (r *reading) judge(ctx context.Context, f *Found, dst io.Writer, src *os.File, result io.ReaderAt) error {
	c, err := r.copy(ctx, dst, src)
	if err != nil {
		return err
	}
	f.Bytes, f.SHA256 = c.bytes, c.sha256
	b, err := bundle.Open(result, c.bytes, r.Limits)
	switch {
	case err != nil:
		f.Reason = "its manifest cannot be read, the import will say why: " + err.Error()
	case b.Manifest().Core.To != r.Site && b.Manifest().Core.To != "":
		return &verdict{Elsewhere, fmt.Sprintf("whatever its name says, it is addressed to %s: carry it there", b.Manifest().Core.To)}
	default:
		f.ID, f.Seq = b.Manifest().Core.ID(), b.Manifest().Core.Seq
		if c.bytes < b.Size() {
			f.Reason = "it ends early: copy it onto the medium again"
		}
	}
	return r.held(ctx, f)
}

// held finds out whether the inbox has a file of that name.
func (r *reading) held(ctx context.Context, f *Found) error {
	there, err := wholefile.Open(r.inbox, f.Name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if errors.Is(err, wholefile.ErrNotRegular) {
		return &verdict{Refused, "the inbox has something else under that name, look at it: " + err.Error()}
	}
	if err != nil {
		return err
	}
	defer there.Close()
	have, err := copying{limit: r.limit}.hash(ctx, there)
	switch {
	case err != nil && !errors.Is(err, errTooLarge):
		return fmt.Errorf("compare with the file in the inbox: %w", err)
	case have.sha256 == f.SHA256:
		return &verdict{Present, "the inbox has it already"}
	default:
		return &verdict{Refused, "the inbox has a file of that name with other bytes: let the site take that in first"}
	}
}
