package projections

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"sallyport/domain"
	"sallyport/eventstore"
)

// Directory answers what every call of a busy API asks: who is this user,
// what does their profile allow, what does this request type look like, whose
// API key is this. It
// keeps the answers in memory and the log tells it which to forget.
//
//	this process:   Apply, before the commit ─┐
//	                                          ├─▶ forget ◀── Run, woken by a commit: other processes
//	User, Profile, RequestType ──▶ memory ──▶ │
//	                                 └ else the tables; kept only if nothing changed meanwhile
//
// It is itself a projection: it must stand behind [Inline] in the list of the
// log's inline read models, which is how it hears of this process's own
// changes before they are visible to anybody. What it serves is therefore
// never older than what this process has appended or mirrored; changes by
// other processes show as soon as their commit is heard of ([RightsChanged]),
// and within a second where it is not.
//
// While Run is not running, or the database has been out of its reach for
// longer than a minute, every question goes to the tables. What it returns is
// shared: read it, do not change it.
type Directory struct {
	reader *Reader
	log    *slog.Logger
	now    func() time.Time
	every  time.Duration // [followEvery]
	woken  chan struct{} // holds something when Wake was called

	mu       sync.RWMutex
	users    map[string]*User
	profiles map[string]*domain.ProfileDefined
	types    map[string]*RequestType
	keys     map[string]*APIKey          // by hash
	list     []domain.RequestTypeDefined // all types that are not retired; nil: not known
	// announced is the largest seq of a change that Apply has seen. Until Run
	// has got that far the change may not be committed, and what the tables
	// say now must not be kept.
	announced int64
	followed  int64     // the seq that Run has got to
	rebuilds  int64     // the number of the last rebuild that Run has seen
	current   time.Time // when Run was last at the end of the log
	changes   int64     // counts all forgetting, so that a look-up knows of it
}

// Bounds of a directory.
const (
	maxEntries  = 10_000
	followEvery = 250 * time.Millisecond
	maxStale    = time.Minute
)

// directoryTypes are the events that change what a directory knows: all of
// users, profiles, request types and API keys.
var directoryTypes = func() (types []string) {
	for _, k := range domain.Catalogue() {
		if k.Stream == "user" || k.Stream == "profile" || k.Stream == "requesttype" || k.Stream == "apikey" {
			types = append(types, k.Type)
		}
	}
	return types
}()

// NewDirectory returns a directory of the database that pool connects to.
func NewDirectory(pool *pgxpool.Pool, log *slog.Logger) *Directory {
	d := &Directory{reader: NewReader(pool), log: log, now: time.Now, every: followEvery, woken: make(chan struct{}, 1)}
	d.forgetAll()
	return d
}

// User returns the user of an id, or [ErrNotFound].
func (d *Directory) User(ctx context.Context, id string) (User, error) {
	return copied(d.user(ctx, id))
}

func (d *Directory) user(ctx context.Context, id string) (*User, error) {
	return lookUp(d, func() map[string]*User { return d.users }, id,
		func() (User, error) { return d.reader.User(ctx, id) })
}

// Profile returns the definition of a profile, or [ErrNotFound].
func (d *Directory) Profile(ctx context.Context, name string) (domain.ProfileDefined, error) {
	return copied(d.profile(ctx, name))
}

func (d *Directory) profile(ctx context.Context, name string) (*domain.ProfileDefined, error) {
	return lookUp(d, func() map[string]*domain.ProfileDefined { return d.profiles }, name,
		func() (domain.ProfileDefined, error) { return d.reader.Profile(ctx, name) })
}

// Rights returns all that decides what a user may do, or [ErrNotFound]. A
// profile that is not known leads to rights to nothing.
func (d *Directory) Rights(ctx context.Context, user string) (domain.Rights, error) {
	u, err := d.user(ctx, user)
	if err != nil {
		return domain.Rights{}, err
	}
	rights := domain.Rights{Active: u.Active, Limits: u.Limits, Access: u.Access}
	switch p, err := d.profile(ctx, u.Profile); {
	case err == nil:
		rights.Profile = p
	case !errors.Is(err, ErrNotFound):
		return domain.Rights{}, err
	}
	return rights, nil
}

// Reader returns the reader of the tables that the directory asks.
func (d *Directory) Reader() *Reader { return d.reader }

// RequestType returns the definition of a request type that is not retired, or
// [ErrNotFound].
func (d *Directory) RequestType(ctx context.Context, name string) (domain.RequestTypeDefined, error) {
	t, err := d.KnownRequestType(ctx, name)
	if err == nil && t.Retired {
		err = ErrNotFound
	}
	return t.RequestTypeDefined, err
}

// KnownRequestType returns a request type, retired or not, or [ErrNotFound].
func (d *Directory) KnownRequestType(ctx context.Context, name string) (RequestType, error) {
	return copied(lookUp(d, func() map[string]*RequestType { return d.types }, name,
		func() (RequestType, error) { return d.reader.RequestType(ctx, name) }))
}

// RequestTypes returns all request types that are not retired, ordered by name.
func (d *Directory) RequestTypes(ctx context.Context) ([]domain.RequestTypeDefined, error) {
	d.mu.RLock()
	list, changes, fresh := d.list, d.changes, d.fresh()
	d.mu.RUnlock()
	if list != nil && fresh {
		return list, nil
	}
	all, err := d.reader.RequestTypes(ctx, false)
	if err != nil {
		return nil, err
	}
	list = make([]domain.RequestTypeDefined, len(all))
	for i, t := range all {
		list[i] = t.RequestTypeDefined
	}
	d.keep(changes, func() { d.list = list })
	return list, nil
}

// lookUp takes the row of a key from memory, else from load. The map is
// fetched by a function because it is only to be touched under the lock.
func lookUp[V any](d *Directory, from func() map[string]*V, key string, load func() (V, error)) (*V, error) {
	d.mu.RLock()
	v, ok := from()[key]
	changes, fresh := d.changes, d.fresh()
	d.mu.RUnlock()
	if ok && fresh {
		return v, nil
	}
	loaded, err := load()
	if err != nil {
		return nil, err
	}
	d.keep(changes, func() {
		m := from()
		if len(m) >= maxEntries {
			clear(m)
		}
		m[key] = &loaded
	})
	return &loaded, nil
}

func copied[V any](v *V, err error) (V, error) {
	if err != nil {
		var none V
		return none, err
	}
	return *v, nil
}

func (d *Directory) fresh() bool { return d.now().Sub(d.current) < maxStale }

// keep stores what a look-up found, unless something was forgotten since the
// look-up began or a change may be about to be committed.
func (d *Directory) keep(changes int64, store func()) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if changes == d.changes && d.announced <= d.followed && d.fresh() {
		store()
	}
}

// RightsChanged is the topic of commits that change what somebody is or may do:
// what a directory knows, or that sessions ended.
const RightsChanged = "rights"

// Wake has Run look at once what other processes changed.
func (d *Directory) Wake() {
	select {
	case d.woken <- struct{}{}:
	default: // it is about to
	}
}

// Apply implements [eventstore.Projection]: it forgets what the records are
// about to change, and has other processes told when they did.
func (d *Directory) Apply(b *pgx.Batch, records []eventstore.Record) error {
	tell := false
	for _, r := range records {
		if slices.Contains(directoryTypes, r.Type) {
			tell = true
			d.mu.Lock()
			d.announced = max(d.announced, r.Seq)
			d.forget(r.Type, r.Stream)
			d.mu.Unlock()
		}
	}
	if tell {
		eventstore.Tell(b, RightsChanged)
	}
	return nil
}

// forget drops what one event changes. The lock is held.
func (d *Directory) forget(eventType, stream string) {
	d.changes++
	kind, _ := domain.KindOf(eventType)
	key := strings.TrimPrefix(stream, kind.Stream+"-")
	switch kind.Stream {
	case "user":
		delete(d.users, key)
	case "profile":
		delete(d.profiles, key)
	case "requesttype":
		delete(d.types, key)
		d.list = nil
	case "apikey":
		maps.DeleteFunc(d.keys, func(_ string, k *APIKey) bool { return k.ID == key })
	}
}

func (d *Directory) forgetAll() {
	d.changes++
	d.users = map[string]*User{}
	d.profiles = map[string]*domain.ProfileDefined{}
	d.types = map[string]*RequestType{}
	d.list = nil
	d.keys = map[string]*APIKey{}
}

// Run follows the log until the context ends, and then returns nil. A
// database that does not answer is asked again; meanwhile the directory says
// what it knows for a minute and then asks the tables.
func (d *Directory) Run(ctx context.Context) error {
	tick := time.NewTicker(d.every)
	defer tick.Stop()
	begun := false
	for {
		err := d.follow(ctx, begun)
		switch {
		case ctx.Err() != nil:
			return nil
		case err != nil:
			d.log.WarnContext(ctx, "the directory could not follow the log; it goes on trying", "error", err)
		default:
			begun = true
		}
		select {
		case <-tick.C:
		case <-d.woken:
		case <-ctx.Done():
			return nil
		}
	}
}

// lastRebuild tells that read models were made anew, maybe because they were
// damaged.
const lastRebuild = `(SELECT coalesce(max(number), 0) FROM rebuilds)`

// The head and the events are read by one statement, hence at one moment:
// nothing up to the head can be missing.
const selectChanges = `
	SELECT h.seq, ` + lastRebuild + `, coalesce(e.type, ''), coalesce(e.stream, '')
	FROM log_head AS h LEFT JOIN events AS e ON e.seq > $1 AND e.seq <= h.seq
		AND e.type = ANY ($2)`

func (d *Directory) follow(ctx context.Context, begun bool) error {
	d.mu.RLock()
	after := d.followed
	d.mu.RUnlock()
	if !begun {
		return d.begin(ctx)
	}
	rows, err := d.reader.pool.Query(ctx, selectChanges, after, directoryTypes)
	if err != nil {
		return fmt.Errorf("follow the log: %w", err)
	}
	changes, err := pgx.CollectRows(rows, pgx.RowToStructByPos[change])
	if err != nil {
		return fmt.Errorf("follow the log: %w", err)
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, c := range changes {
		if c.Rebuilds != d.rebuilds {
			d.rebuilds = c.Rebuilds
			d.forgetAll()
		}
		if d.followed = c.Head; c.Type != "" {
			d.forget(c.Type, c.Stream)
		}
	}
	d.current = d.now()
	return nil
}

type change struct {
	Head, Rebuilds int64
	Type, Stream   string
}

// begin starts at the end of the log with nothing known.
func (d *Directory) begin(ctx context.Context) error {
	var seq, rebuilds int64
	if err := d.reader.pool.QueryRow(ctx, `SELECT seq, `+lastRebuild+` FROM log_head`).Scan(&seq, &rebuilds); err != nil {
		return fmt.Errorf("find the log's end: %w", err)
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.forgetAll()
	d.followed, d.rebuilds, d.current = max(d.followed, seq), rebuilds, d.now()
	return nil
}
