package media

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"time"

	"github.com/google/uuid"

	"sallyport/bridge/bundle"
	"sallyport/bridge/wholefile"
)

// Pool is the direction that a medium is for. Media flow one way: what was on
// the high side never returns.
type Pool struct {
	From string `json:"from"`
	To   string `json:"to"`
}

// String gives `<from>-<to>`, to be written on the medium; empty for none.
func (p Pool) String() string {
	if p == (Pool{}) {
		return ""
	}
	return p.From + "-" + p.To
}

func (p Pool) valid() bool { return (bundle.Name{Link: p.String()}).Between(p.From, p.To) }

// MarkerFile tells what a medium is for. It lies beside the bundles.
const MarkerFile = "sallyport-medium.json"

const markerFormat = "sallyport-medium/1"

// maxMarker bounds the marker, in bytes; one is about 200 long.
const maxMarker = 4 << 10

// Marker is what a medium says of itself. Anybody can write one: it guards
// against mix-ups, not against people.
type Marker struct {
	Format    string `json:"format"`
	ID        string `json:"id"` // random, made at the first use
	Pool      Pool   `json:"pool"`
	FirstUsed string `json:"first_used"` // for people
}

func newMarker(p Pool, now time.Time) (Marker, error) {
	id, err := uuid.NewRandom()
	return Marker{Format: markerFormat, ID: id.String(), Pool: p, FirstUsed: bundle.FormatTime(now)}, err
}

// readMarker returns the marker of a medium; false if it has none.
func readMarker(medium *os.Root) (m Marker, found bool, err error) {
	f, err := wholefile.Open(medium, MarkerFile)
	if errors.Is(err, fs.ErrNotExist) {
		return Marker{}, false, nil
	}
	if err != nil {
		return Marker{}, false, fmt.Errorf("read %s: %w", MarkerFile, err)
	}
	defer f.Close()
	dec := json.NewDecoder(io.LimitReader(f, maxMarker))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&m); err != nil {
		return Marker{}, false, fmt.Errorf("read %s: %w", MarkerFile, err)
	}
	return m, true, m.check()
}

func (m Marker) check() error {
	id, err := uuid.Parse(m.ID)
	_, badTime := time.Parse(time.RFC3339, m.FirstUsed)
	if err != nil || id.String() != m.ID || badTime != nil || m.Format != markerFormat || !m.Pool.valid() {
		return fmt.Errorf("%s is not one that this program wrote", MarkerFile)
	}
	return nil
}

func (m Marker) write(medium *os.Root) error {
	text, err := json.MarshalIndent(m, "", "  ")
	if err != nil {
		return err
	}
	return writeText(medium, MarkerFile, string(text)+"\n")
}

// temporary begins the names of what is not finished. Nobody else's files are
// called so.
const temporary = ".sallyport-"

func writeText(medium *os.Root, name, text string) error {
	return wholefile.Create(medium, name, temporary+name, func(f *os.File) error {
		_, err := io.WriteString(f, text)
		return err
	})
}
