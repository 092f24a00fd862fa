package bridge

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"sallyport/bridge/bundle"
	"sallyport/bridge/media"
	"sallyport/domain"
	"sallyport/eventstore"
)

// Carried tells on which medium an outbound bundle was last put.
type Carried struct {
	Medium string
	Serial string
	SHA256 string // of the file: a bundle that was made again since has another
	At     time.Time
}

// Carried returns, by its name, each file that was put onto a medium and its
// latest one. It says nothing about whether the medium has arrived.
func (b *Bridge) Carried(ctx context.Context) (map[string]Carried, error) {
	rows, err := b.Pool.Query(ctx, `SELECT DISTINCT ON (file) file, medium, serial, sha256, written_at FROM media_bundles
		ORDER BY file, written_at DESC`)
	if err != nil {
		return nil, fmt.Errorf("look up what was put onto media: %w", err)
	}
	all := map[string]Carried{}
	var file string
	var c Carried
	_, err = pgx.ForEachRow(rows, []any{&file, &c.Medium, &c.Serial, &c.SHA256, &c.At}, func() error {
		all[file] = c
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("look up what was put onto media: %w", err)
	}
	return all, nil
}

// Wipeable are bundles on one medium that their peer has: losing them loses
// nothing.
type Wipeable struct {
	Medium string   `json:"medium"`
	Serial string   `json:"serial"`
	Here   bool     `json:"here"` // it is the medium that is plugged in
	Files  []string `json:"files"`
}

// mayWipe returns what may be wiped from which medium, the one that is plugged
// in first. Of that one it is told what is really there.
func (b *Bridge) mayWipe(ctx context.Context, links []Link, here MediumWritten) ([]Wipeable, error) {
	rows, err := b.Pool.Query(ctx, `SELECT medium, serial, file, peer FROM media_bundles WHERE medium <> $1 ORDER BY medium, file`, here.Medium)
	if err != nil {
		return nil, fmt.Errorf("look up what may be wiped: %w", err)
	}
	all := []Wipeable{{Medium: here.Medium, Serial: here.Serial.Text, Here: true, Files: arrived(here.Others, here.Peer, links)}}
	var medium, serial, file, peer string
	_, err = pgx.ForEachRow(rows, []any{&medium, &serial, &file, &peer}, func() error {
		if last := &all[len(all)-1]; last.Medium != medium || last.Here {
			all = append(all, Wipeable{Medium: medium, Serial: serial})
		}
		last := &all[len(all)-1]
		last.Files = append(last.Files, arrived([]string{file}, peer, links)...)
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("look up what may be wiped: %w", err)
	}
	return slices.DeleteFunc(all, func(w Wipeable) bool { return len(w.Files) == 0 }), nil
}

// arrived returns those of a peer's files that it has.
func arrived(files []string, peer string, links []Link) (there []string) {
	for _, l := range links {
		for _, file := range files {
			if n, err := bundle.ParseName(file); err == nil && l.Card.Name == peer && hasArrived(n, l) {
				there = append(there, file)
			}
		}
	}
	return there
}

const putOnMedium = `
	INSERT INTO media_bundles (medium, file, peer, serial, sha256, operator) VALUES ($1, $2, $3, $4, $5, $6)
	ON CONFLICT (medium, file) DO UPDATE SET peer = excluded.peer, serial = excluded.serial, sha256 = excluded.sha256,
		operator = excluded.operator, written_at = excluded.written_at
	WHERE $7 OR (media_bundles.serial, media_bundles.sha256) IS DISTINCT FROM (excluded.serial, excluded.sha256)`

// inEvents makes the events that name all bundles of a medium, at least one. No
// event names more than 1,000: that is far below what a line holds.
func inEvents(all []domain.CarriedBundle, event func([]domain.CarriedBundle) domain.Fact) (facts []domain.Fact) {
	if len(all) == 0 {
		return []domain.Fact{event(all)}
	}
	for part := range slices.Chunk(all, 1000) {
		facts = append(facts, event(part))
	}
	return facts
}

// recordWritten notes which bundles lie on a medium, and forgets those that
// were wiped from it. What was recorded before makes no event.
func (b *Bridge) recordWritten(ctx context.Context, operator string, links []Link, w MediumWritten) error {
	err := pgx.BeginFunc(ctx, b.Pool, func(tx pgx.Tx) error {
		var news []domain.CarriedBundle
		for _, f := range w.Files {
			tag, err := tx.Exec(ctx, putOnMedium, w.Medium, f.Name, w.Peer, w.Serial.Text, f.SHA256, operator, f.State == media.Copied)
			if err != nil {
				return err
			}
			if tag.RowsAffected() > 0 {
				news = append(news, domain.CarriedBundle{File: f.Name, ID: f.ID, SHA256: f.SHA256, Bytes: f.Bytes})
			}
		}
		if err := forgetWiped(ctx, tx, links, w); err != nil || len(news) == 0 {
			return err
		}
		facts := inEvents(news, func(part []domain.CarriedBundle) domain.Fact {
			return domain.MediaWritten{Operator: operator, Medium: w.Medium, Serial: w.Serial.Text, SerialFrom: w.Serial.From, Bundles: part}
		})
		_, err := b.Log.AppendTx(ctx, tx, custody(operator, w.Medium, facts))
		return err
	})
	if err != nil {
		return fmt.Errorf("record the medium that was written: %w", err)
	}
	return nil
}

func custody(operator, medium string, facts []domain.Fact) eventstore.Append {
	return eventstore.Append{Actor: operator, Writes: []eventstore.Write{{
		Stream: domain.CustodyStream(medium), Expected: eventstore.Any, Facts: facts}}}
}

// forgetWiped drops the rows of bundles that have arrived and are no longer on
// the medium. Others that are gone were moved by whoever received them.
func forgetWiped(ctx context.Context, tx pgx.Tx, links []Link, w MediumWritten) error {
	rows, err := tx.Query(ctx, `SELECT file FROM media_bundles WHERE medium = $1 AND peer = $2`, w.Medium, w.Peer)
	if err != nil {
		return err
	}
	known, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return err
	}
	gone := slices.DeleteFunc(arrived(known, w.Peer, links), func(file string) bool { return slices.Contains(w.Others, file) })
	_, err = tx.Exec(ctx, `DELETE FROM media_bundles WHERE medium = $1 AND file = ANY($2)`, w.Medium, gone)
	return err
}
