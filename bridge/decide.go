package bridge

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"sallyport/domain"
	"sallyport/eventstore"
)

// What people decide about a refused file.
const (
	released = "released"
	rejected = "rejected"
)

// decision is what one person decides about one refused file.
type decision struct {
	id, verdict, reason, actor string
	// fact is what the log records.
	fact func(QuarantinedFile) domain.Fact
	// act does with the file what was decided. It runs after the decision was
	// committed, and again if that run was ended before it.
	act func(QuarantinedFile) error
}

// Release puts a refused file back into staging, where the next import judges
// it again: because its sender's card was added since, or this program is newer.
// If it is refused again, that is another refused file. actor is who decided:
// `user-<id>` or `cli:<os user>`.
//
// A run that was ended may be run again. Deciding twice, a file that is not
// there and an id that nothing has are refused by a [domain.Error].
func (b *Bridge) Release(ctx context.Context, id, reason, actor string) error {
	err := b.decide(ctx, decision{id: id, verdict: released, reason: reason, actor: actor,
		fact: func(q QuarantinedFile) domain.Fact {
			return domain.QuarantineReleased{File: q.File, SHA256: q.SHA256, Reason: reason}
		},
		act: func(q QuarantinedFile) error {
			return b.Folders.move(q.path(), stagingDir+"/"+again(q.ID)+"_"+q.File)
		}})
	if err != nil {
		return fmt.Errorf("release a refused file: %w", err)
	}
	return nil
}

// Reject deletes a refused file that nobody wants. Its reason.json and its row
// stay. If a trusted peer signed it, the peer is still told that this number was
// refused, and makes it again if that can help. The rest is as for Release.
func (b *Bridge) Reject(ctx context.Context, id, reason, actor string) error {
	err := b.decide(ctx, decision{id: id, verdict: rejected, reason: reason, actor: actor,
		fact: func(q QuarantinedFile) domain.Fact {
			return domain.BundleRejected{File: q.File, SHA256: q.SHA256, Reason: reason}
		},
		act: func(q QuarantinedFile) error {
			if err := b.Folders.root.RemoveAll(q.path()); err != nil {
				return fmt.Errorf("delete %s: %w", b.Folders.abs(q.path()), err)
			}
			err := b.Folders.syncDir(path.Dir(q.path()))
			if errors.Is(err, fs.ErrNotExist) {
				return nil // somebody took all of it away
			}
			return err
		}})
	if err != nil {
		return fmt.Errorf("reject a refused file: %w", err)
	}
	return nil
}

func (q QuarantinedFile) path() string { return quarantineDir + "/" + q.ID + "/" + q.File }

// again is the id under which a released file is staged. It follows from the
// first, so that a release that is run again cannot stage it twice.
func again(id string) string {
	return uuid.NewSHA1(uuid.MustParse(id), []byte(released)).String()
}

// decide commits a decision and then acts on the file. It waits for a running
// import, whose files these are.
func (b *Bridge) decide(ctx context.Context, d decision) error {
	if err := domain.CheckReason(d.reason); err != nil {
		return err
	}
	return b.locked(ctx, "import", func(ctx context.Context) error {
		var q QuarantinedFile
		err := pgx.BeginFunc(ctx, b.Pool, func(tx pgx.Tx) (err error) {
			if q, err = readQuarantined(ctx, tx, d.id, "FOR UPDATE"); err != nil {
				return err
			}
			if unfinished, err := b.mayDecide(q, d.verdict); err != nil || unfinished {
				return err
			}
			return b.recordDecision(ctx, tx, q, d)
		})
		if err != nil {
			return err
		}
		if err := d.act(q); err != nil {
			return fmt.Errorf("%w; the decision stands: run it again", err)
		}
		b.Logger.InfoContext(ctx, "decided about a refused file", "id", q.ID, "file", q.File, "decided", d.verdict, "by", d.actor, "reason", d.reason)
		return nil
	})
}

// mayDecide reports whether this very decision was made by a run that ended
// before it acted on the file.
func (b *Bridge) mayDecide(q QuarantinedFile, verdict string) (unfinished bool, err error) {
	if _, err := b.Folders.root.Lstat(stagingDir + "/" + q.ID + "_" + q.File); err == nil {
		return false, undecidable("import-unfinished", "the import that refused %s was ended before it put the file away: run `sallyport bundle import` first", q.File)
	}
	_, err = b.Folders.root.Lstat(q.path())
	there := err == nil
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return false, fmt.Errorf("look for %s: %w", b.Folders.abs(q.path()), err)
	}
	switch {
	case q.Decided == verdict && there:
		return true, b.mayAct(q, verdict)
	case q.Decided != "":
		return false, undecidable("already-decided", "%s was %s at %s by %s", q.File, q.Decided, *q.DecidedAt, q.DecidedBy)
	case !there && verdict == released:
		return false, undecidable("file-not-in-quarantine", "%s is not in %s: bring it anew, or reject it", q.File, b.Folders.abs(path.Dir(q.path())))
	}
	return false, b.mayAct(q, verdict)
}

// mayAct holds that what is released can be read: an import would stumble over
// anything else for ever.
func (b *Bridge) mayAct(q QuarantinedFile, verdict string) error {
	if verdict != released {
		return nil
	}
	f, err := openRegular(b.Folders.root, q.path())
	if errors.Is(err, errNotRegular) {
		return undecidable("not-a-file", "%s cannot be judged again: %v; bring the bundle as an ordinary file, and reject this one", q.File, err)
	}
	if err != nil {
		return fmt.Errorf("open %s: %w", b.Folders.abs(q.path()), err)
	}
	return f.Close()
}

func undecidable(code, format string, args ...any) error {
	return &domain.Error{Kind: domain.Conflict, Code: code, Detail: fmt.Sprintf(format, args...) + "; nothing was changed"}
}

func (b *Bridge) recordDecision(ctx context.Context, tx pgx.Tx, q QuarantinedFile, d decision) error {
	_, err := tx.Exec(ctx, `UPDATE quarantined_files SET decided = $2, decided_by = $3, decided_at = clock_timestamp() WHERE id = $1`, q.ID, d.verdict, d.actor)
	if err != nil {
		return fmt.Errorf("note that %s was %s: %w", q.File, d.verdict, err)
	}
	_, err = b.Log.AppendTx(ctx, tx, eventstore.Append{Actor: d.actor, Writes: []eventstore.Write{{
		Stream: domain.QuarantineStream(q.ID), Expected: eventstore.Any, Facts: []domain.Fact{d.fact(q)}}}})
	return err
}
