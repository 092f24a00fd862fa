package bridge

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"sallyport/bridge/bundle"
	"sallyport/domain"
	"sallyport/eventstore"
)

// Reason is what reason.json beside a quarantined file says.
type Reason struct {
	ID       string      `json:"id"`
	File     string      `json:"file"`
	SHA256   string      `json:"sha256"` // empty if the file was not read
	Peer     string      `json:"peer"`   // as the file claims; empty if it could not be read
	Seq      int64       `json:"seq"`
	Code     bundle.Code `json:"code"`
	Message  string      `json:"message"`
	Frame    int         `json:"frame"`    // 0: none is meant
	Line     int         `json:"line"`     // 0: none is meant
	Position int64       `json:"position"` // 0: not known
	NextStep string      `json:"next_step"`
	At       string      `json:"at"`
}

// nextSteps tells people what to do about each kind of refusal.
var nextSteps = map[bundle.Code]string{
	bundle.Damaged:    "The file was damaged on its way. Carry it again from the sender's outbox/, or from another copy whose SHA-256 is the one on its label. Nothing was applied, nothing is lost.",
	bundle.Incomplete: "The file was cut off. Copy it again, and let the copy finish before the medium is pulled. Nothing was applied, nothing is lost.",
	bundle.Untrusted:  "Find out who made this file. If the sender has a new key, exchange site cards again and compare fingerprints by another way. Nothing was applied.",
	bundle.Refused:    "The sender signed something that it may not send. The link is stopped and stays so: talk to the people there before anything else is carried. Nothing was applied.",
	bundle.Fork:       "Two different histories carry the same signature: a site was copied or restored from a backup. The link is stopped and stays so: talk to the people there. Nothing was applied.",
}

// unsignedStep is for what breaks a rule and stops nothing.
const unsignedStep = "Keep the file and ask the people whom it names as sender what it is. The link goes on. Nothing was applied."

func (a *arrival) nextStep(bad *bundle.Error) string {
	step := nextSteps[bad.Code]
	if bad.Code == bundle.Refused && !a.signed {
		step = unsignedStep
	}
	if a.stored > 0 { // only the database could see it, after earlier transactions
		step = strings.Replace(step, "Nothing was applied.", fmt.Sprintf("What comes before the fault was applied, through position %d.", a.stored), 1)
	}
	return step
}

// quarantine puts a staged file away with the reason. A bundle that a trusted
// peer signed and that breaks a rule also stops the link; anything else blocks
// nothing.
func (b *Bridge) quarantine(ctx context.Context, a *arrival, bad *bundle.Error) (Outcome, error) {
	r, err := b.reason(a, bad)
	if err != nil {
		return Outcome{}, err
	}
	dir := quarantineDir + "/" + r.ID
	if err := b.writeReason(dir, r); err != nil {
		return Outcome{}, err
	}
	if err := b.recordQuarantine(ctx, r, a.numbered()); err != nil {
		return Outcome{}, err
	}
	if a.signed && (bad.Code == bundle.Refused || bad.Code == bundle.Fork) {
		if err := b.Stop(ctx, r.Peer, bad.Error(), b.actor()); err != nil {
			return Outcome{}, err
		}
	}
	if err := b.Folders.move(stagingDir+"/"+a.staged, dir+"/"+a.name); err != nil {
		return Outcome{}, err
	}
	b.Logger.WarnContext(ctx, "file quarantined", "file", a.name, "code", string(bad.Code), "reason", bad.Error(), "id", r.ID)
	return Outcome{File: a.name, Peer: r.Peer, Seq: r.Seq, State: Quarantined, Err: bad, Reason: bad.Error()}, nil
}

// putAside moves what is no readable file from the inbox to quarantine, unread.
// Its id follows from the file, so that one that cannot be moved (the inbox is
// another file system, or may not be written) is still recorded only once. It
// came from nobody, so no link is stopped.
func (b *Bridge) putAside(ctx context.Context, name string, seen mark, bad *bundle.Error) (Outcome, error) {
	id := uuid.NewSHA1(uuid.NameSpaceOID, fmt.Appendf(nil, "%s %+v", name, seen)).String()
	r := Reason{ID: id, File: name, Code: bad.Code, Message: bad.Error(), NextStep: unreadStep, At: bundle.FormatTime(time.Now())}
	dir := quarantineDir + "/" + id
	if err := b.writeReason(dir, r); err != nil {
		return Outcome{}, err
	}
	if err := b.recordQuarantine(ctx, r, ""); err != nil {
		return Outcome{}, err
	}
	o := Outcome{File: name, State: Quarantined, Err: bad, Reason: bad.Error()}
	if err := b.Folders.move(inboxDir+"/"+name, dir+"/"+name); err != nil {
		b.told.add(name, seen)
		o.Reason += "; it cannot be moved and stays in the inbox: take it away"
		b.Logger.WarnContext(ctx, "file refused and left in the inbox, because it cannot be moved", "file", name, "reason", bad.Error(), "id", id, "error", err)
		return o, nil
	}
	b.Logger.WarnContext(ctx, "file quarantined", "file", name, "code", string(bad.Code), "reason", bad.Error(), "id", id)
	return o, nil
}

const unreadStep = "Bring the bundle as an ordinary file, copied with its bytes. Nothing was read, nothing was applied."

// reason tells what is wrong. Its id is the staged file's own, so that a run
// that ended in the middle is gone on with, not repeated.
func (b *Bridge) reason(a *arrival, bad *bundle.Error) (Reason, error) {
	if _, err := a.file.Seek(0, 0); err != nil {
		return Reason{}, err
	}
	sum, err := hashFile(a.file)
	if err != nil {
		return Reason{}, fmt.Errorf("hash %s: %w", a.name, err)
	}
	id := a.staged[:min(len(a.staged), 36)]
	if _, err := uuid.Parse(id); err != nil {
		return Reason{}, fmt.Errorf("%s was not staged by this program: %w", a.staged, err)
	}
	r := Reason{ID: id, File: a.name, SHA256: sum, Peer: a.core.From, Seq: a.core.Seq, Code: bad.Code, Message: bad.Error(),
		Frame: bad.Frame, Line: bad.Line, Position: bad.Position, NextStep: a.nextStep(bad), At: bundle.FormatTime(time.Now())}
	return r, nil
}

// reasonName is what tells of a refused file beside it.
const reasonName = "reason.json"

func (b *Bridge) writeReason(dir string, r Reason) error {
	text, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return err
	}
	if err := b.Folders.root.MkdirAll(dir, 0o750); err != nil {
		return fmt.Errorf("make %s: %w", b.Folders.abs(dir), err)
	}
	return b.Folders.create(dir+"/"+reasonName, dir+"/."+reasonName, func(f *os.File) error {
		_, err := f.Write(append(text, '\n'))
		return err
	})
}

// numbered returns the epoch of a bundle whose peer and number a trusted
// signature vouches for: the peer is told what became of it. Empty for others.
func (a *arrival) numbered() string {
	if a.signed && a.core.Kind == bundle.Data {
		return a.core.Epoch
	}
	return ""
}

func (b *Bridge) recordQuarantine(ctx context.Context, r Reason, epoch string) error {
	err := pgx.BeginFunc(ctx, b.Pool, func(tx pgx.Tx) error {
		tag, err := tx.Exec(ctx, `INSERT INTO quarantined_files (id, file, sha256, peer, code, message, next_step, epoch, seq, signed)
			VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $8 <> '') ON CONFLICT DO NOTHING`,
			r.ID, r.File, r.SHA256, r.Peer, string(r.Code), r.Message, r.NextStep, epoch, r.Seq)
		if err != nil || tag.RowsAffected() == 0 {
			return err
		}
		_, err = b.Log.AppendTx(ctx, tx, eventstore.Append{Actor: b.actor(), Writes: []eventstore.Write{{
			Stream: domain.QuarantineStream(r.ID), Facts: []domain.Fact{domain.BundleQuarantined{
				File: r.File, SHA256: r.SHA256, Peer: r.Peer, Code: string(r.Code), Message: r.Message}}}}})
		return err
	})
	if err != nil {
		return fmt.Errorf("record the quarantined file %s: %w", r.File, err)
	}
	return nil
}
