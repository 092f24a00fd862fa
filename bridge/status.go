package bridge

import (
	"context"
	"fmt"
	"time"

	"sallyport/bridge/bundle"
	"sallyport/domain"

	"github.com/jackc/pgx/v5"
)

// Status is one link at a glance.
type Status struct {
	Peer            string      `json:"peer"`
	Role            domain.Role `json:"role"`
	ExportedThrough int64       `json:"exported_through"`
	AckedThrough    int64       `json:"acked_through"`
	AppliedThrough  int64       `json:"applied_through"`
	Missing         []int64     `json:"missing"`
	Held            []int64     `json:"held"`
	Quarantined     int         `json:"quarantined"`
	// QuarantinedInAll counts the files of all links and those that name no
	// sender; it is the same for each link.
	QuarantinedInAll int     `json:"quarantined_in_all"`
	LastContact      *string `json:"last_contact"`
	Stopped          *string `json:"stopped"`
	NextAction       string  `json:"next_action"`
}

// Status returns all links at a glance, by name.
func (b *Bridge) Status(ctx context.Context) ([]Status, error) {
	links, err := b.Links(ctx)
	if err != nil {
		return nil, err
	}
	waiting, err := b.waiting()
	if err != nil {
		return nil, err
	}
	all := make([]Status, 0, len(links))
	for _, l := range links {
		s := Status{Peer: l.Card.Name, Role: l.Card.Role, ExportedThrough: l.Out.Through,
			AckedThrough: l.Out.AckedThrough, AppliedThrough: l.In.Through}
		if s.Missing, err = b.missing(ctx, l); err != nil {
			return nil, err
		}
		if err := b.count(ctx, l, &s); err != nil {
			return nil, err
		}
		if l.Stopped != "" {
			s.Stopped = &l.Stopped
		}
		if l.LastContact != nil {
			at := bundle.FormatTime(*l.LastContact)
			s.LastContact = &at
		}
		s.NextAction = nextAction(l, s, waiting[l.Card.Name])
		all = append(all, s)
	}
	return all, nil
}

func (b *Bridge) count(ctx context.Context, l Link, s *Status) error {
	rows, err := b.Pool.Query(ctx, `SELECT seq FROM inbound_bundles WHERE peer = $1 AND epoch = $2 AND state = 'held' AND seq > $3 ORDER BY seq LIMIT 1000`,
		l.Card.Name, l.In.Epoch, l.In.Seq)
	if err == nil {
		s.Held, err = pgx.AppendRows([]int64{}, rows, pgx.RowTo[int64])
	}
	if err == nil {
		err = b.Pool.QueryRow(ctx, `SELECT count(*) FILTER (WHERE peer = $1), count(*) FROM quarantined_files`, l.Card.Name).Scan(&s.Quarantined, &s.QuarantinedInAll)
	}
	if err != nil {
		return fmt.Errorf("count the bundles of %s: %w", l.Card.Name, err)
	}
	return nil
}

// waiting counts the files in the outbox for each peer.
func (b *Bridge) waiting() (map[string]int, error) {
	names, err := b.Folders.list(outboxDir)
	if err != nil {
		return nil, err
	}
	counts := map[string]int{}
	for _, n := range names {
		name, err := bundle.ParseName(n)
		if err == nil && len(name.Link) > len(b.Log.Site())+1 {
			counts[name.Link[len(b.Log.Site())+1:]]++
		}
	}
	return counts, nil
}

func nextAction(l Link, s Status, waiting int) string {
	switch {
	case s.Stopped != nil:
		return "the link is stopped: " + *s.Stopped
	case waiting > 0:
		return fmt.Sprintf("carry %d file(s) from outbox/ to %s", waiting, s.Peer)
	case len(s.Missing) > 0:
		return fmt.Sprintf("bring bundle %d of %s: later ones wait for it", s.Missing[0], s.Peer)
	case l.PeerHeadSeq > l.In.Seq:
		return fmt.Sprintf("bring bundle %d of %s: it was made and has not arrived", l.In.Seq+1, s.Peer)
	case l.Out.Seq > l.Out.AckedSeq:
		return fmt.Sprintf("nothing to carry: waiting for %d bundle(s) to be acknowledged by %s", l.Out.Seq-l.Out.AckedSeq, s.Peer)
	default:
		return "nothing to carry"
	}
}

// Crossing is how far a link has got, for those who wait for an answer.
type Crossing struct {
	Peer            string
	ExportedThrough int64
	AckedThrough    int64
	LastContact     *time.Time
}

// Crossings returns how far this site's own log has got with each peer.
func (b *Bridge) Crossings(ctx context.Context) ([]Crossing, error) {
	links, err := b.Links(ctx)
	if err != nil {
		return nil, err
	}
	all := make([]Crossing, len(links))
	for i, l := range links {
		all[i] = Crossing{Peer: l.Card.Name, ExportedThrough: l.Out.Through, AckedThrough: l.Out.AckedThrough, LastContact: l.LastContact}
	}
	return all, nil
}
