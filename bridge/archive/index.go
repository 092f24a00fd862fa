package archive

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"sallyport/bridge/bundle"
	"sallyport/bridge/wholefile"
)

// Format is the value of an index's format.
const Format = "sallyport-archive/1"

// IndexName is the file of the index.
const IndexName = "archive.txt"

// MaxIndex bounds an index, in bytes: about forty thousand segments.
const MaxIndex = 16 << 20

// Index is the text that is signed. It lists every segment, so that one that is
// missing shows, and says how far each log goes.
type Index struct {
	Format    string    `json:"format"` // always [Format]
	Site      string    `json:"site"`   // whose log it is, and who signed it
	CreatedAt string    `json:"created_at"`
	Segments  []Segment `json:"segments"`
	Logs      []Log     `json:"logs"`
	Keys      []Key     `json:"keys"`
}

// Segment is one file: the events with After < seq ≤ Through.
type Segment struct {
	File       string `json:"file"`
	ID         string `json:"id"` // of the bundle that the file is
	After      int64  `json:"after"`
	Through    int64  `json:"through"`
	StoredFrom string `json:"stored_from"` // when the first event was stored
	StoredTo   string `json:"stored_to"`   // and the last
	Bytes      int64  `json:"bytes"`
}

// Log is one epoch of one log, as far as the archive has it.
type Log struct {
	Stand        // where it ends
	Began  int64 `json:"began"` // the position that it began after
	Events int64 `json:"events"`
	// Withheld counts the positions that this site does not hold.
	Withheld int64 `json:"withheld"`
}

// Key is a public key that the site knew for itself or a peer. It is told for
// people: nobody believes a key because of it.
type Key struct {
	Site  string `json:"site"`
	Key   string `json:"key"`
	State string `json:"state"` // present, next, retired or revoked
}

// SegmentName is what the file of a range of seq is called.
func SegmentName(site string, after, through int64) string {
	return fmt.Sprintf("archive_%s_%010d-%010d.jsonl.zst", site, after+1, through)
}

// SegmentsAfter is a pattern of the names that a segment may have which goes on
// after a seq.
func SegmentsAfter(site string, after int64) string {
	return fmt.Sprintf("archive_%s_%010d-*.jsonl.zst", site, after+1)
}

// Sign gives the file of an index.
func (x Index) Sign(signers ...*bundle.Signer) ([]byte, error) {
	x.Format = Format
	if err := x.check(); err != nil {
		return nil, fmt.Errorf("the index breaks a rule of its format, nothing was written: %w", err)
	}
	text, err := x.text()
	if err != nil {
		return nil, err
	}
	return bundle.SignNote(text, signers...)
}

func (x Index) text() ([]byte, error) {
	b, err := json.Marshal(x, jsontext.WithIndent("  "))
	return append(b, '\n'), err
}

// ParseIndex reads a file, strictly, and proves it with the keys that trust knows.
func ParseIndex(raw []byte, trust bundle.Trust) (Index, error) {
	if len(raw) > MaxIndex {
		return Index{}, &bundle.Error{Code: bundle.Refused, Msg: fmt.Sprintf("the index is larger than %d MiB", MaxIndex>>20)}
	}
	text, signers, err := bundle.OpenNote(raw, trust)
	if err != nil {
		return Index{}, err
	}
	var x Index
	if err := json.Unmarshal(text, &x, json.RejectUnknownMembers(true)); err != nil {
		return Index{}, &bundle.Error{Code: bundle.Damaged, Msg: "the text is no index of format 1", Err: err}
	}
	again, err := x.text()
	if err == nil && !bytes.Equal(text, again) {
		err = errors.New("it is not in its one encoding")
	}
	if err = errors.Join(err, x.check()); err != nil {
		return Index{}, &bundle.Error{Code: bundle.Damaged, Msg: "the text is no index of format 1", Err: err}
	}
	if !slices.ContainsFunc(signers, func(id string) bool { return strings.HasPrefix(id, x.Site+"+") }) {
		return Index{}, &bundle.Error{Code: bundle.Untrusted, Msg: "it is not signed by the site that it names, " + x.Site}
	}
	return x, nil
}

func (x Index) check() error {
	if x.Format != Format || x.Site == "" || len(x.Segments) == 0 {
		return fmt.Errorf("its format is %.40q, want %q, or it names no site or no segment", x.Format, Format)
	}
	after := int64(0)
	for i, s := range x.Segments {
		if s.After != after || s.Through <= after || s.File != SegmentName(x.Site, s.After, s.Through) || s.Bytes < 1 {
			return fmt.Errorf("segment %d does not follow from the one before", i+1)
		}
		after = s.Through
	}
	return nil
}

// end is the last seq of the archive.
func (x Index) end() int64 { return x.Segments[len(x.Segments)-1].Through }

// readIndex reads the index of a folder. It fails with [fs.ErrNotExist] if there is none.
func readIndex(root *os.Root, trust bundle.Trust) (Index, error) {
	f, err := wholefile.Open(root, IndexName)
	if err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			return Index{}, fmt.Errorf("there is no archive: %w", err)
		}
		return Index{}, fmt.Errorf("open the archive's index: %w", err)
	}
	defer f.Close()
	raw, err := io.ReadAll(io.LimitReader(f, MaxIndex+1))
	if err != nil {
		return Index{}, fmt.Errorf("read the archive's index: %w", err)
	}
	x, err := ParseIndex(raw, trust)
	if err != nil {
		return Index{}, fmt.Errorf("the index %s: %w", IndexName, err)
	}
	return x, nil
}
