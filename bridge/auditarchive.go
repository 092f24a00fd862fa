package bridge

import (
	"context"
	"crypto/ed25519"
	"iter"
	"log/slog"
	"os"

	"sallyport/bridge/archive"
	"sallyport/bridge/bundle"
	"sallyport/eventstore"
)

// ArchivedAudit is an archive of which audit exports are made, without a database.
// Close ends its reading.
type ArchivedAudit struct {
	source *auditSource
	log    *archivedLog
}

// AuditArchive prepares exports of an archive, signed by the key in a site's
// folder. Logger is told of each.
func AuditArchive(a *archive.Archive, keys string, logger *slog.Logger, progress Progress) (*ArchivedAudit, error) {
	key, err := Keys{dir: keys}.readPresent()
	if err != nil {
		return nil, err
	}
	var head eventstore.Head
	for _, log := range a.Logs { // the present epoch is the last one
		if log.Origin == a.Site {
			head = eventstore.Head{Site: a.Site, Epoch: log.Epoch, Start: log.Began, Pos: log.After, Chain: eventstore.Hash(log.Chain)}
		}
	}
	from := &archivedLog{archive: a, head: head}
	return &ArchivedAudit{log: from, source: &auditSource{lines: lines{from: from, start: head.Start, progress: progress}, head: head, logger: logger,
		chainAt: func(ctx context.Context, pos int64) (bundle.Hash, error) {
			return chainOver(ctx, from, bundle.Start(head.Epoch, head.Site), head.Start, pos)
		},
		sign: func(context.Context) (signing, error) {
			return signing{site: a.Site, keys: []ed25519.PrivateKey{key}}, nil
		},
		scratch: unnamed}}, nil
}

// Plan cuts what is wished into parts, as [Bridge.PlanAudit] does.
func (a *ArchivedAudit) Plan(ctx context.Context, w AuditWish) ([]*AuditPart, error) {
	return a.source.plan(ctx, w)
}

// Close may be called twice.
func (a *ArchivedAudit) Close() { a.log.rest() }

// unnamed opens a new file in the folder for such, which has no name any more.
func unnamed() (*os.File, error) {
	f, err := os.CreateTemp("", "sallyport-audit-")
	if err != nil {
		return nil, err
	}
	return f, os.Remove(f.Name())
}

// archivedLog is the present epoch of the own log in an archive. It remembers where
// the last page of entries ended, so that all of them are found in one reading.
type archivedLog struct {
	archive *archive.Archive
	head    eventstore.Head
	at      int64 // the last position that next gave
	next    func() (eventstore.Line, error, bool)
	stop    func()
}

// rest ends a reading that was not gone on with.
func (l *archivedLog) rest() {
	if l.stop != nil {
		l.stop()
	}
	l.stop, l.next = nil, nil
}

// Lines gives the own lines with pos in (after, through], as the log does.
func (l *archivedLog) Lines(ctx context.Context, after, through int64) iter.Seq2[eventstore.Line, error] {
	return func(yield func(eventstore.Line, error) bool) {
		at := after
		for line, err := range l.archive.Lines(ctx, 0, l.archive.Segments[len(l.archive.Segments)-1].Through) {
			switch {
			case err != nil:
				yield(eventstore.Line{}, err)
				return
			case at == through:
				return
			case line.Entry == nil || line.Entry.Origin != l.head.Site || line.Entry.Line.Event.Pos <= at:
				continue
			}
			e := line.Entry.Line
			if at++; e.Event.Pos != at {
				yield(eventstore.Line{}, &eventstore.GapError{Want: at, Got: e.Event.Pos})
				return
			}
			if !yield(eventstore.Line{Pos: at, Stream: e.Event.Stream, Type: e.Event.Type, Bytes: e.Raw}, nil) {
				return
			}
		}
		if at < through {
			yield(eventstore.Line{}, &eventstore.GapError{Want: at + 1, Got: through})
		}
	}
}

// Entries gives a page of what the own lines are, as the log does.
func (l *archivedLog) Entries(ctx context.Context, after, through int64) ([]eventstore.Entry, error) {
	if l.next == nil || l.at != after {
		l.rest()
		l.at = after
		l.next, l.stop = iter.Pull2(l.Lines(ctx, after, l.head.Pos))
	}
	var page []eventstore.Entry
	for l.at < through && len(page) < eventstore.MaxPage {
		line, err, ok := l.next()
		if err != nil || !ok {
			l.rest()
			return page, err
		}
		l.at = line.Pos
		page = append(page, eventstore.Entry{Pos: line.Pos, Stream: line.Stream, Type: line.Type, Size: int64(len(line.Bytes))})
	}
	return page, nil
}
