package bridge

import (
	"context"
	"fmt"
	"strings"

	"github.com/google/uuid"

	"sallyport/bridge/media"
	"sallyport/domain"
)

// MediumWrite says which bundles go onto which medium.
type MediumWrite struct {
	Dir      string // where the medium is mounted
	Peer     string // empty: the one peer for which bundles wait
	Operator string // `cli:<os user>`
	Serial   string // as the operator reads it on the medium; empty: found out
	AnyPool  bool   // also onto a medium of another direction
	DryRun   bool   // writes and records nothing
	Meter    media.Meter
}

// MediumWritten is what is on a medium now and what may be wiped.
type MediumWritten struct {
	media.Written
	Peer string `json:"peer"`
	// Wipe are the bundles on this and earlier media that their peers have
	// acknowledged, by medium.
	Wipe []Wipeable `json:"may_wipe"`
}

// MediumRead says which medium's bundles go into the inbox.
type MediumRead struct {
	Dir      string // where the medium is mounted
	Operator string // `cli:<os user>`
	Serial   string // as the operator reads it on the medium; empty: found out
	DryRun   bool   // writes and records nothing
	Meter    media.Meter
}

// PeersError means that bundles for several peers wait and none was named: a
// medium goes to one peer.
type PeersError struct{ Peers []string }

func (e *PeersError) Error() string {
	return fmt.Sprintf("bundles for %s lie in the outbox, and a medium goes to one peer: name it; nothing was written", strings.Join(e.Peers, " and "))
}

// WriteMedium puts all bundles for a peer that lie in the outbox and are not
// acknowledged onto a medium, those that are on another medium too: whichever
// arrives first brings them. Then it records the custody. It fails as
// [media.Write] does, with [*PeersError], or with [ErrNoLink].
func (b *Bridge) WriteMedium(ctx context.Context, w MediumWrite) (out MediumWritten, err error) {
	err = b.locked(ctx, "media", func(ctx context.Context) error {
		links, err := b.Links(ctx)
		if err != nil {
			return err
		}
		files, err := b.toCarry(ctx, links)
		if err != nil {
			return err
		}
		if out.Peer, err = choosePeer(w.Peer, links, files); err != nil || out.Peer == "" {
			return err
		}
		trust, err := b.ownTrust(ctx)
		if err != nil {
			return err
		}
		// With nothing to carry the medium is only looked at.
		look := w.DryRun || len(files[out.Peer]) == 0
		out.Written, err = media.Write(ctx, media.WriteConfig{Outbox: b.Folders.abs(outboxDir), Dir: w.Dir,
			Pool: media.Pool{From: b.Log.Site(), To: out.Peer}, Files: namesOf(files[out.Peer]), Operator: w.Operator, Trust: trust,
			Limits: b.Limits, Serial: w.Serial, AnyPool: w.AnyPool, DryRun: look, Meter: w.Meter})
		if err != nil {
			return err
		}
		out.DryRun = w.DryRun
		if !look {
			if err := b.recordWritten(ctx, w.Operator, links, out); err != nil {
				return fmt.Errorf("%w; the bundles are on the medium, run this again to record it", err)
			}
		}
		out.Wipe, err = b.mayWipe(ctx, links, out)
		return err
	})
	return out, err
}

// choosePeer returns the peer that a medium goes to; empty if nothing waits.
func choosePeer(named string, links []Link, files map[string][]Outgoing) (string, error) {
	var waiting []string
	for _, l := range links {
		if l.Card.Name == named {
			return named, nil
		}
		if len(files[l.Card.Name]) > 0 {
			waiting = append(waiting, l.Card.Name)
		}
	}
	switch {
	case named != "":
		return "", fmt.Errorf("%w (%s)", ErrNoLink, named)
	case len(waiting) > 1:
		return "", &PeersError{waiting}
	case len(waiting) == 1:
		return waiting[0], nil
	case len(links) == 1:
		return links[0].Card.Name, nil
	}
	return "", nil
}

// ReadMedium copies the bundles for this site from a medium into the inbox and
// records the custody. They are believed no more than others there. It fails
// as [media.Read] does.
func (b *Bridge) ReadMedium(ctx context.Context, r MediumRead) (out media.Taken, err error) {
	err = b.locked(ctx, "media", func(ctx context.Context) error {
		out, err = media.Read(ctx, media.ReadConfig{Dir: r.Dir, Inbox: b.Folders.abs(inboxDir), Site: b.Log.Site(),
			Limits: b.Limits, Serial: r.Serial, DryRun: r.DryRun, Meter: r.Meter})
		if err != nil || r.DryRun {
			return err
		}
		if err := b.recordRead(ctx, r.Operator, out); err != nil {
			return fmt.Errorf("%w; the bundles are in the inbox and will be taken in", err)
		}
		return nil
	})
	return out, err
}

// recordRead notes what a medium brought; a folder that is no medium of ours
// and brought nothing is not worth an event.
func (b *Bridge) recordRead(ctx context.Context, operator string, t media.Taken) error {
	carried := []domain.CarriedBundle{}
	for _, f := range t.Files {
		if f.State == media.Copied || f.State == media.Present {
			carried = append(carried, domain.CarriedBundle{File: f.Name, ID: f.ID, SHA256: f.SHA256, Bytes: f.Bytes})
		}
	}
	if t.Medium == "" && len(carried) == 0 {
		return nil
	}
	stream := t.Medium
	if stream == "" {
		id, err := uuid.NewV7()
		if err != nil {
			return err
		}
		stream = id.String()
	}
	facts := inEvents(carried, func(part []domain.CarriedBundle) domain.Fact {
		return domain.MediaRead{Operator: operator, Medium: t.Medium, Serial: t.Serial.Text, SerialFrom: t.Serial.From, Bundles: part}
	})
	if _, err := b.Log.Append(ctx, custody(operator, stream, facts)); err != nil {
		return fmt.Errorf("record the medium that was read: %w", err)
	}
	return nil
}
