package bridge

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"

	"sallyport/bridge/bundle"
)

// Outgoing is a bundle or a beacon of this site in its outbox.
type Outgoing struct {
	File   string `json:"file"`
	Seq    int64  `json:"seq"`
	Beacon bool   `json:"beacon"`
	Bytes  int64  `json:"bytes"`
	Since  string `json:"since"` // since when it lies there, for people
	// Medium is the serial of the medium that this making was last put on; empty:
	// none. Whether the medium has arrived is not known.
	Medium string `json:"medium,omitempty"`
	// arrived is why it need not be carried any more; empty: it must be.
	arrived string
}

// outbox returns what lies there for each peer, in the order of the numbers.
func (b *Bridge) outbox(ctx context.Context, links []Link) (map[string][]Outgoing, error) {
	names, err := b.Folders.list(outboxDir)
	if err != nil {
		return nil, err
	}
	carried, err := b.Carried(ctx)
	if err != nil {
		return nil, err
	}
	files := map[string][]Outgoing{}
	for _, l := range links {
		peer := l.Card.Name
		made, err := b.lastMade(ctx, l)
		if err != nil {
			return nil, err
		}
		for _, n := range names {
			name, err := bundle.ParseName(n)
			if err != nil || !name.Between(b.Log.Site(), peer) {
				continue
			}
			info, err := b.Folders.root.Lstat(outboxDir + "/" + n)
			if errors.Is(err, fs.ErrNotExist) {
				continue // a courier took it just now
			}
			if err != nil {
				return nil, fmt.Errorf("look at %s: %w", b.Folders.abs(outboxDir+"/"+n), err)
			}
			out := Outgoing{File: n, Seq: name.Seq, Beacon: name.Beacon > 0, Bytes: info.Size(),
				Since: bundle.FormatTime(info.ModTime()), arrived: l.arrived(name, made[name.Seq])}
			if c, put := carried[n]; put && c.At.After(info.ModTime()) {
				out.Medium = c.Serial
			}
			files[peer] = append(files[peer], out)
		}
		slices.SortStableFunc(files[peer], func(x, y Outgoing) int {
			if x.Seq != y.Seq || x.Beacon == y.Beacon {
				return cmp.Compare(x.Seq, y.Seq)
			}
			if x.Beacon { // it was written after the bundle whose number it shows
				return 1
			}
			return -1
		})
	}
	return files, nil
}

// toCarry lists what must be carried to each peer.
func (b *Bridge) toCarry(ctx context.Context, links []Link) (map[string][]Outgoing, error) {
	files, err := b.outbox(ctx, links)
	for peer, all := range files {
		files[peer] = mustGo(all)
	}
	return files, err
}

func mustGo(all []Outgoing) []Outgoing {
	return slices.DeleteFunc(slices.Clone(all), func(o Outgoing) bool { return o.arrived != "" })
}

func namesOf(files []Outgoing) (names []string) {
	for _, o := range files {
		names = append(names, o.File)
	}
	return names
}

// lastMade tells which manifest the last making of each acknowledged number
// has: people may have made one again since.
func (b *Bridge) lastMade(ctx context.Context, l Link) (map[int64]int64, error) {
	rows, err := b.Pool.Query(ctx, `SELECT seq, made_no FROM outbound_bundles WHERE peer = $1 AND epoch = $2 AND seq <= $3 AND made_no > $4`,
		l.Card.Name, l.Out.Epoch, l.Out.AckedSeq, l.seenNo())
	if err != nil {
		return nil, fmt.Errorf("look up what was made again for %s: %w", l.Card.Name, err)
	}
	made := map[int64]int64{}
	var seq, no int64
	_, err = pgx.ForEachRow(rows, []any{&seq, &no}, func() error {
		made[seq] = no
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("look up what was made again for %s: %w", l.Card.Name, err)
	}
	return made, nil
}

// seenNo is the number of the newest manifest of this end that its peer is
// known to have seen; 0: none of this incarnation.
func (l Link) seenNo() int64 {
	if l.Seen.Incarnation != l.Self.Incarnation {
		return 0
	}
	return l.Seen.No
}

// arrived tells why a file need not be carried any more; empty: it must be.
// remade is the manifest of a making that the peer is not known to have seen;
// 0: there is none. Of beacons the newest says all that older ones say, and
// any later manifest does too.
func (l Link) arrived(n bundle.Name, remade int64) string {
	switch {
	case n.Epoch8 != l.Out.Epoch[:8]:
		return ""
	case n.Beacon == 0 && n.Seq <= l.Out.AckedSeq && remade == 0:
		return fmt.Sprintf("%s has applied it", l.Card.Name)
	case n.Beacon > 0 && n.String() != l.LastFile:
		return "what was written later says all that it says"
	case n.Beacon > 0 && l.seenNo() >= l.Told.No:
		return fmt.Sprintf("%s has seen it", l.Card.Name)
	}
	return ""
}

// hasArrived reports whether a file that was once put on a medium need not be
// carried any more: its peer has acknowledged it, or for a beacon, which nobody
// acknowledges, what was made after it.
func hasArrived(n bundle.Name, l Link) bool {
	if n.Epoch8 != l.Out.Epoch[:8] {
		return false
	}
	if n.Beacon > 0 {
		return n.Seq < l.Out.AckedSeq
	}
	return n.Seq <= l.Out.AckedSeq
}

// IsLabel reports whether a file is by its name a label, which is for people.
func IsLabel(file string) bool { return strings.HasSuffix(file, labelSuffix) }

// labelled is the bundle's name that a file in the outbox belongs to: its own,
// or that of the bundle beside which it lies as a label.
func labelled(file string) string { return strings.TrimSuffix(file, labelSuffix) }
