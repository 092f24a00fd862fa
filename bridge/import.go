package bridge

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"sallyport/bridge/bundle"
	"sallyport/bridge/link"
	"sallyport/eventstore"
)

// Outcome says what became of one file.
type Outcome struct {
	File   string `json:"file"`
	Peer   string `json:"peer,omitempty"`
	Seq    int64  `json:"seq,omitempty"`
	ID     string `json:"id,omitempty"` // of the bundle; empty if it could not be read or believed
	State  string `json:"state"`        // applied, held, duplicate, quarantined, ignored
	Events int64  `json:"events,omitempty"`
	// Err is why the file was quarantined or is held; nil otherwise.
	Err error `json:"-"`
	// Reason is Err for people.
	Reason string `json:"reason,omitempty"`
}

// The states of an outcome.
const (
	Applied     = "applied"
	Held        = "held"
	Duplicate   = "duplicate"
	Quarantined = "quarantined"
	Ignored     = "ignored" // not a bundle by its name; it stays where it is
)

// Import takes in what lies in the inbox: stages it, verifies it, applies what
// is next in order, holds what is early, and quarantines what cannot be
// believed. It may be ended anywhere and run again. The error is about this
// site (its disk, its database); what is wrong with a file is in its outcome.
func (b *Bridge) Import(ctx context.Context) ([]Outcome, error) {
	return b.importing(ctx, func(ctx context.Context) ([]Outcome, error) {
		names, err := b.Folders.list(inboxDir)
		if err != nil {
			return nil, err
		}
		return b.stageInbox(ctx, names)
	})
}

// ImportFiles takes in single files from anywhere, which stay where they are.
// A file that is missing or cannot be read is an error; the others are still
// taken in.
func (b *Bridge) ImportFiles(ctx context.Context, dir string, names []string) ([]Outcome, error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", dir, err)
	}
	defer root.Close()
	return b.importing(ctx, func(ctx context.Context) ([]Outcome, error) {
		return nil, b.stageFiles(ctx, root, names)
	})
}

func (b *Bridge) importing(ctx context.Context, stage func(context.Context) ([]Outcome, error)) ([]Outcome, error) {
	var outcomes []Outcome
	err := b.locked(ctx, "import", func(ctx context.Context) error {
		defer thrift()()
		if err := b.Folders.removeUnfinished(stagingDir); err != nil {
			return err
		}
		early, notStaged := stage(ctx)
		taken, notTaken := b.takeStaged(ctx)
		outcomes = append(early, taken...)
		return errors.Join(notStaged, notTaken)
	})
	return outcomes, err
}

// takeStaged goes through the staging folder until nothing moves any more: a
// bundle that is applied may release those that were held for it. A file that
// fails is left for the next time and does not stop the others.
func (b *Bridge) takeStaged(ctx context.Context) ([]Outcome, error) {
	var outcomes []Outcome
	held, failed := map[string]Outcome{}, map[string]error{}
	for progress := true; progress; {
		progress = false
		names, links, err := b.waitingFiles(ctx)
		if err != nil {
			return outcomes, errors.Join(append(slices.Collect(maps.Values(failed)), err)...)
		}
		for _, name := range names {
			if failed[name] != nil {
				continue
			}
			o, err := b.takeUnlessHeld(ctx, name, links)
			switch {
			case err != nil:
				failed[name] = fmt.Errorf("import %s: %w; the file is kept and tried again", name, err)
			case o.State == Held:
				held[name] = o
			default:
				delete(held, name)
				outcomes, progress = append(outcomes, o), true
			}
		}
	}
	for _, name := range slices.Sorted(maps.Keys(held)) {
		outcomes = append(outcomes, held[name])
	}
	return outcomes, errors.Join(append(slices.Collect(maps.Values(failed)), b.forgetHeld(ctx, held, failed))...)
}

// forgetHeld drops the notes of held bundles that are not staged any more: a
// database that was restored remembers what has long been applied, and would
// never ask for it. Files that failed are still there.
func (b *Bridge) forgetHeld(ctx context.Context, held map[string]Outcome, failed map[string]error) error {
	if len(failed) > 0 {
		return nil
	}
	var ids []string
	for _, o := range held {
		ids = append(ids, o.ID)
	}
	_, err := b.Pool.Exec(ctx, `DELETE FROM inbound_bundles WHERE state = 'held' AND id <> ALL (coalesce($1, '{}'::text[]))`, ids)
	if err != nil {
		return fmt.Errorf("forget the bundles that are not held any more: %w", err)
	}
	return nil
}

// waitingFiles returns what is staged, and the links as they are before any
// of it is taken.
func (b *Bridge) waitingFiles(ctx context.Context) ([]string, []Link, error) {
	names, err := b.staged()
	if err != nil {
		return nil, nil, err
	}
	b.held.keep(names)
	links, err := b.Links(ctx)
	return names, links, err
}

// takeUnlessHeld takes a staged file unless it is known that it must wait.
func (b *Bridge) takeUnlessHeld(ctx context.Context, name string, links []Link) (Outcome, error) {
	if o, still := b.held.still(name, links); still {
		return o, nil
	}
	o, err := b.take(ctx, name)
	if err == nil && o.State == Held {
		b.held.add(name, o, links)
	}
	return o, err
}

// staged lists the staged files by link and number.
func (b *Bridge) staged() ([]string, error) {
	names, err := b.Folders.list(stagingDir)
	if err != nil {
		return nil, err
	}
	names = slices.DeleteFunc(names, func(n string) bool { return strings.HasPrefix(n, ".") })
	slices.SortStableFunc(names, func(x, y string) int { return cmp.Compare(originalName(x), originalName(y)) })
	return names, nil
}

// take does with one staged file what its place in the order asks for.
func (b *Bridge) take(ctx context.Context, staged string) (Outcome, error) {
	defer thrift()()
	path := stagingDir + "/" + staged
	f, err := openRegular(b.Folders.root, path)
	if err != nil {
		return Outcome{}, fmt.Errorf("open %s: %w", b.Folders.abs(path), err)
	}
	defer f.Close()
	a := &arrival{bridge: b, staged: staged, name: originalName(staged), file: f}
	head, err := b.Log.Head(ctx)
	if err != nil {
		return Outcome{}, err
	}
	a.readOnly = head.ReadOnly
	err = a.take(ctx)
	var bad *bundle.Error
	if errors.As(err, &bad) {
		// Where nothing may be noted, nothing is put away either.
		if bad.Code == bundle.Upgrade || a.readOnly != "" {
			return Outcome{File: a.name, Peer: a.core.From, Seq: a.core.Seq, ID: a.id(), State: Held, Err: bad, Reason: bad.Error()}, nil
		}
		return b.quarantine(ctx, a, bad)
	}
	return a.outcome, err
}

// arrival is one staged file on its way through the state machine.
type arrival struct {
	bridge *Bridge
	staged string // its name in staging/
	name   string // the name it came with
	file   *os.File
	bundle *bundle.File
	core   bundle.Core
	signed bool // a trusted peer's signature was found good, and all that it signed counts
	// readOnly is why this site applies nothing; empty: it does.
	readOnly string
	link     Link
	outcome  Outcome
	// first is the payload's own line, once all of the bundle was found good.
	first []byte
	// earlier is the last epoch of the sender's log before the present one, while
	// nothing of the present one is applied; nil: there is none.
	earlier *eventstore.Epoch
	stored  int64 // the last position that this run stored; 0: none
}

// id is the bundle's own; empty while its manifest was not read.
func (a *arrival) id() string {
	if a.core.Format == "" {
		return ""
	}
	return a.core.ID()
}

func (a *arrival) take(ctx context.Context) error {
	if err := a.verify(ctx); err != nil {
		return err
	}
	a.outcome = Outcome{File: a.name, Peer: a.core.From, Seq: a.core.Seq, ID: a.id()}
	if a.core.Kind == bundle.Return {
		return a.takeReturn(ctx)
	}
	var err error
	if a.link, err = a.bridge.hear(ctx, a.link.Card, a.said()); err != nil {
		return err
	}
	if a.core.Kind == bundle.Beacon {
		a.outcome.State = Applied
		return a.archive()
	}
	known, err := a.state(ctx)
	if err != nil {
		return err
	}
	switch {
	case known == "applied" && a.readOnly != "":
		a.outcome.State, a.outcome.Reason = Held, "it is applied; this site is read-only, and notes that later"
		return nil
	case known == "applied":
		return a.finish(ctx) // an earlier run ended before it was archived
	case known == "archived":
		return a.duplicate(ctx)
	case a.readOnly != "":
		return a.hold(ctx, "", "this site is read-only: "+a.readOnly)
	case a.link.Stopped != "":
		return a.hold(ctx, "", "the link is stopped: "+a.link.Stopped)
	}
	verdict := a.link.In.Judge(a.core)
	if verdict == link.Apply && !a.signed && a.core.Seq <= a.link.In.Seq {
		return &bundle.Error{Code: bundle.Untrusted, Position: a.core.Range.After + 1,
			Msg: fmt.Sprintf("signed by a key that was revoked, under number %d, which was used before, with other content", a.core.Seq)}
	}
	switch verdict {
	case link.Duplicate:
		return a.duplicate(ctx)
	case link.Hold:
		return a.hold(ctx, "", a.waits(a.link))
	case link.Fork:
		return a.fork()
	default:
		return a.apply(ctx)
	}
}

// waits tells what a bundle that is early waits for.
func (a *arrival) waits(l Link) string {
	return fmt.Sprintf("waits for what comes before position %d; %s is applied through %d", a.core.Range.After+1, a.core.From, l.In.Through)
}

func (a *arrival) fork() error {
	return &bundle.Error{Code: bundle.Fork, Position: a.core.Range.After + 1,
		Msg: "its chain contradicts what is already known of that log: one of the two was made by somebody else or from an old backup"}
}

// verify takes the steps whose order is fixed, up to the payload's hash: after
// it the bundle is what the peer made, for us, and its ack may be believed.
func (a *arrival) verify(ctx context.Context) error {
	info, err := a.file.Stat()
	if err != nil {
		return err
	}
	if a.bundle, err = bundle.Open(meteredAt{a.file, a.bridge.Progress}, info.Size(), a.bridge.Limits); err != nil {
		return err
	}
	a.core = a.bundle.Manifest().Core
	if a.core.Format == "" {
		return a.newer(ctx)
	}
	if forPeople[a.core.Kind] != "" {
		return &bundle.Error{Code: bundle.Refused, Msg: fmt.Sprintf("it is an %s of the log of %s, for people who look into it, and no site takes it in: read it with `sallyport bundle verify` and `bundle cat`", forPeople[a.core.Kind], a.core.From)}
	}
	if a.link, err = a.bridge.link(ctx, a.bridge.Pool, a.core.From, false); errors.Is(err, ErrNoLink) {
		return &bundle.Error{Code: bundle.Untrusted, Msg: fmt.Sprintf("it says to come from %q, of which this site has no card", a.core.From)}
	} else if err != nil {
		return err
	}
	ring, err := readKeyring(ctx, a.bridge.Pool, a.link.Card)
	if err != nil {
		return err
	}
	counts, err := ring.VerifySignatures(a.bundle)
	if err != nil {
		return err
	}
	if a.core.To != a.bridge.Log.Site() {
		return &bundle.Error{Code: bundle.Untrusted, Msg: fmt.Sprintf("it is addressed to %s, this is %s: carry it there", a.core.To, a.bridge.Log.Site())}
	}
	if a.core.Kind == bundle.Return {
		return a.verifyReturn(ctx)
	}
	if a.core.Epoch != a.link.Card.Epoch {
		return &bundle.Error{Code: bundle.Untrusted, Msg: "its epoch is not the one of the sender's card: the sender founded its log anew and must send a new card"}
	}
	a.signed = counts
	return a.bundle.VerifyPayload()
}

// forPeople are the kinds of bundles that no site takes in.
var forPeople = map[bundle.Kind]string{bundle.Audit: "audit export", bundle.Archive: "archive segment"}

// said is what of the manifest counts beside the bundle itself.
func (a *arrival) said() bundle.Manifest {
	if a.signed {
		return a.bundle.Manifest()
	}
	return bundle.Manifest{Core: a.core}
}

// newer decides about a manifest that this program is too old to read: a peer's
// is kept until the upgrade, anybody else's is believed no more than any other.
func (a *arrival) newer(ctx context.Context) error {
	links, err := a.bridge.Links(ctx)
	if err != nil {
		return err
	}
	err = &bundle.Error{Code: bundle.Untrusted, Msg: "made in a newer format, and signed by no key that is trusted here"}
	for _, l := range links {
		ring, fault := readKeyring(ctx, a.bridge.Pool, l.Card)
		if fault != nil {
			return fault
		}
		if _, err = ring.VerifySignatures(a.bundle); bundle.CodeOf(err) == bundle.Upgrade {
			break
		}
	}
	return err
}

// state returns what is already known of this very bundle.
func (a *arrival) state(ctx context.Context) (state string, err error) {
	err = a.bridge.Pool.QueryRow(ctx, `SELECT state FROM inbound_bundles WHERE peer = $1 AND epoch = $2 AND seq = $3 AND id = $4`,
		a.core.From, a.core.Epoch, a.core.Seq, a.core.ID()).Scan(&state)
	if errors.Is(err, pgx.ErrNoRows) {
		return "", nil
	}
	return state, err
}

const setState = `
	INSERT INTO inbound_bundles (peer, epoch, seq, id, file, state, reason, manifest, code, applied_at)
	VALUES ($1, $2, $3, $4, $5, $6::text, $7, $8, $9, CASE WHEN $6::text = 'applied' THEN clock_timestamp() END)
	ON CONFLICT (peer, epoch, seq, id) DO UPDATE SET state = excluded.state, reason = excluded.reason, code = excluded.code,
		applied_at = coalesce(inbound_bundles.applied_at, excluded.applied_at)`

func (a *arrival) set(ctx context.Context, to execer, state string, code bundle.Code, reason string) error {
	_, err := to.Exec(ctx, setState, a.core.From, a.core.Epoch, a.core.Seq, a.core.ID(), a.name, state, reason, string(a.bundle.Signed()), string(code))
	if err != nil {
		return fmt.Errorf("note that bundle %d of %s is %s: %w", a.core.Seq, a.core.From, state, err)
	}
	return nil
}

// hold leaves the file where it is until what it waits for has come; code is
// [bundle.Upgrade] if that is another program.
func (a *arrival) hold(ctx context.Context, code bundle.Code, reason string) error {
	a.outcome.State, a.outcome.Reason = Held, reason
	return a.set(ctx, a.bridge.Pool, "held", code, reason)
}

type execer interface {
	Exec(ctx context.Context, sql string, args ...any) (pgconn.CommandTag, error)
}
