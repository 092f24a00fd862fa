package bridge

import (
	"context"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"sallyport/bridge/bundle"
	"sallyport/bridge/link"
	"sallyport/domain"
	"sallyport/eventstore"
	"sallyport/schema"
)

// Config is what a bridge needs. All fields are required unless they say
// what their zero value means.
type Config struct {
	Log     *eventstore.Store
	Pool    *pgxpool.Pool
	Folders *Folders
	Keys    Keys
	Schemas *schema.Events
	Logger  *slog.Logger
	// Limits of bundles; zero fields stand for the format's defaults.
	Limits bundle.Limits
	// EncryptAlways encrypts what needs no encryption too. Whatever carries
	// password hashes is always encrypted.
	EncryptAlways bool
	// Enqueue stores the work that arriving events lead to, in the transaction
	// that stores the events. nil: there is none.
	Enqueue func(ctx context.Context, tx pgx.Tx, events []domain.Event, facts []domain.Fact) error
	// Void ends what a restored site must not know any more, its sessions, in the
	// transaction that founds its log anew. nil: there is nothing.
	Void func(ctx context.Context, tx pgx.Tx) error
	// ExportEvery is the longest time that something due waits; 0: 2 minutes.
	ExportEvery time.Duration
	// ExportEvents is how many new positions make an export start at once; 0: 500.
	ExportEvents int64
	// ResendAfter is how long what was sent may stay unacknowledged before a beacon
	// reminds the peer; 0: 10 minutes. Each one in vain doubles it, up to a day.
	ResendAfter time.Duration
	// ScanEvery is how often the inbox is looked at; 0: 30 seconds.
	ScanEvery time.Duration
	// Keep is how long an applied bundle stays in the archive for who clears it,
	// see [Bridge.Prune]; 0: 7 days.
	Keep time.Duration
	// Progress is for commands that people wait for.
	Progress Progress
}

// Bridge is one site's end of all its links. It is safe for concurrent use;
// any number of programs may run it on one database.
type Bridge struct {
	Config
	own atomic.Pointer[own]
	// settled is the number of the last rotation whose files are where they belong.
	settled atomic.Int64
	idle    idle
	held    held
	told    told
	intact  intact
	turns   turns
}

// New returns a bridge. It starts nothing; [Bridge.Run] does.
func New(c Config) (*Bridge, error) {
	if c.ExportEvery == 0 {
		c.ExportEvery = 2 * time.Minute
	}
	if c.ExportEvents == 0 {
		c.ExportEvents = 500
	}
	if c.ResendAfter == 0 {
		c.ResendAfter = 10 * time.Minute
	}
	if c.ScanEvery == 0 {
		c.ScanEvery = 30 * time.Second
	}
	if c.Keep == 0 {
		c.Keep = 7 * 24 * time.Hour
	}
	b := &Bridge{Config: c}
	if err := b.signsWith(c.Keys.Signing); err != nil {
		return nil, err
	}
	return b, nil
}

// Card returns this site's own card, for its peers, with the signing key that
// it last saw: see [Bridge.OwnKeys].
func (b *Bridge) Card() Card { return b.own.Load().card }

// actor is who answers for what the bridge does by itself.
func (b *Bridge) actor() string { return "site:" + b.Log.Site() }

// Run exports what is due and imports what arrives, until ctx ends. A failure
// is logged and tried again at the next turn: nothing is lost by waiting.
func (b *Bridge) Run(ctx context.Context) error {
	export := time.NewTicker(min(b.ExportEvery, time.Second))
	scan := time.NewTicker(b.ScanEvery)
	defer export.Stop()
	defer scan.Stop()
	last := map[string]time.Time{}
	seen := b.importTurn(ctx, nil)
	for {
		select {
		case <-ctx.Done():
			return nil
		case now := <-export.C:
			b.exportTurn(ctx, now, last)
		case <-scan.C:
			seen = b.importTurn(ctx, seen)
		}
	}
}

// exportTurn writes a bundle for every link whose time has come or whose
// events have piled up.
func (b *Bridge) exportTurn(ctx context.Context, now time.Time, last map[string]time.Time) {
	if err := b.CheckRestored(ctx); err != nil {
		b.complain(ctx, "it is not known whether this site was restored", err)
		return
	}
	links, err := b.Links(ctx)
	if err != nil {
		b.complain(ctx, "the links could not be read", err)
		return
	}
	if err := b.agree(ctx, links); err != nil {
		b.complain(ctx, "it is not known which versions of events may be written; it stays as it was", err)
	}
	head, err := b.Log.Head(ctx)
	if err != nil {
		b.complain(ctx, "the log's head could not be read", err)
		return
	}
	for _, l := range links {
		piled := l.Stopped == "" && head.Pos-b.idle.through(l.Card.Name, l.Out.Through) >= b.ExportEvents
		if !piled && now.Sub(last[l.Card.Name]) < b.ExportEvery {
			continue
		}
		last[l.Card.Name] = now
		if _, err := b.export(ctx, l.Card.Name, b.actor(), link.Turn); err != nil {
			b.complain(ctx, "the export failed and will be tried again", err, "peer", l.Card.Name)
		}
	}
}

func (b *Bridge) importTurn(ctx context.Context, seen growing) growing {
	if err := b.CheckRestored(ctx); err != nil {
		b.complain(ctx, "it is not known whether this site was restored", err)
		return seen
	}
	still, err := b.scan(ctx, seen)
	if err != nil {
		b.complain(ctx, "the import failed and will be tried again", err)
	}
	return still
}

func (b *Bridge) complain(ctx context.Context, what string, err error, args ...any) {
	if ctx.Err() == nil {
		b.Logger.ErrorContext(ctx, what, append(args, "error", err)...)
	}
}
