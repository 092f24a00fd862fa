// Package commands is what people and programs may ask a site to change, the
// same for the HTTP API and the command line:
//
//	load state ─▶ domain.Decide(state, command) ─▶ facts ─▶ one append
//
// Each command is stored whole or not at all. A command that the rules refuse
// returns a [*domain.Error], whose text may be shown to whoever gave it, and
// leaves no trace; any other error is the log's (see [eventstore.Store.Append])
// or the database's. Whether the one who asks may give the command at all is
// the caller's to decide before.
package commands

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgxpool"

	"sallyport/domain"
	"sallyport/eventstore"
	"sallyport/internal/password"
	"sallyport/projections"
	"sallyport/schema"
)

// Config is what commands work on. All fields but Now are required.
type Config struct {
	Log       *eventstore.Store
	Pool      *pgxpool.Pool // the log's
	Directory *projections.Directory
	Passwords *password.Hasher
	Params    *schema.ParameterCache
	// Now is the clock by which an idempotency key grows old; nil: time.Now.
	Now func() time.Time
}

// Commands gives a site's commands. It is safe for concurrent use.
type Commands struct {
	log       *eventstore.Store
	pool      *pgxpool.Pool
	directory *projections.Directory
	passwords *password.Hasher
	params    *schema.ParameterCache
	now       func() time.Time
}

// New returns the commands of the site whose log it is given.
func New(c Config) *Commands {
	if c.Now == nil {
		c.Now = time.Now
	}
	return &Commands{log: c.Log, pool: c.Pool, directory: c.Directory, passwords: c.Passwords, params: c.Params, now: c.Now}
}

// By says who is answerable for a command.
type By struct {
	Actor string // `user-<id>`, `site:<name>` or `cli:<os user>`
	Corr  string // the id of the HTTP request or command; empty: the event's own
}

// Stored says where a command's events are.
type Stored struct {
	ID  string    // of what was made, where it has an id
	Seq int64     // this site's order of the last event
	Pos int64     // of the last event in this site's own log
	At  time.Time // when it was recorded
	// Replayed says that nothing was stored: an idempotency key led to what was
	// made before, of which only ID is told.
	Replayed bool
}

// append stores the writes and tells the last event's place.
func (c *Commands) append(ctx context.Context, by By, writes ...eventstore.Write) (Stored, error) {
	records, err := c.appendAll(ctx, by, writes...)
	if err != nil {
		return Stored{}, err
	}
	return placeOf(records[len(records)-1]), nil
}

func (c *Commands) appendAll(ctx context.Context, by By, writes ...eventstore.Write) ([]eventstore.Record, error) {
	return c.log.Append(ctx, eventstore.Append{Actor: by.Actor, Corr: by.Corr, Writes: writes})
}

func placeOf(r eventstore.Record) Stored { return Stored{Seq: r.Seq, Pos: r.Pos, At: r.At} }

// CodeWrongSite is the code of a command that belongs to the other role.
const CodeWrongSite = "wrong-site"

// only refuses a command on a site of the other role.
func (c *Commands) only(role domain.Role, what string) error {
	if c.log.Role() == role {
		return nil
	}
	return WrongSite(role, what)
}

// WrongSite is the refusal of what only a site of the given role may do.
func WrongSite(role domain.Role, what string) *domain.Error {
	return &domain.Error{Kind: domain.Forbidden, Code: CodeWrongSite,
		Detail: fmt.Sprintf("%s on the %s site: go there, its changes arrive here by bundle; nothing was stored", what, role)}
}

// state is what a domain type offers to be folded.
type state[S any] interface{ Apply(domain.Fact) S }

// load folds a stream; the version is what an append must then expect.
func load[S state[S]](ctx context.Context, log *eventstore.Store, stream string) (S, eventstore.Version, error) {
	f, err := fold[S](ctx, log, stream)
	return f.state, f.version, err
}

// folded is what a stream says as of its newest event.
type folded[S any] struct {
	state   S
	version eventstore.Version // of the newest event; 0: there is none
	at      int64              // its position in the log
}

// fold takes the version from the newest event and does not count: a site that
// came back from a backup lacks what no peer could return.
func fold[S state[S]](ctx context.Context, log *eventstore.Store, stream string) (folded[S], error) {
	var f folded[S]
	records, err := log.ReadStream(ctx, stream)
	for _, r := range records {
		f.state, f.version, f.at = f.state.Apply(r.Fact), eventstore.Version(r.Ver), r.Pos
	}
	return f, err
}

// taken turns a version conflict on one of the streams into a refusal.
func taken(err error, refusals map[string]*domain.Error) error {
	var conflict *eventstore.ConflictError
	if errors.As(err, &conflict) {
		if refusal, ok := refusals[conflict.Stream]; ok {
			return refusal
		}
	}
	return err
}

func conflict(code, format string, args ...any) *domain.Error {
	return &domain.Error{Kind: domain.Conflict, Code: code, Detail: fmt.Sprintf(format, args...)}
}

// invalid is the refusal of one field, with the code of what is wrong with it.
func invalid(code, pointer, field, detail string) *domain.Error {
	return &domain.Error{Kind: domain.Invalid, Code: code, Detail: pointer + " " + detail + "; nothing was stored",
		Fields: []domain.FieldError{{Pointer: pointer, Code: field, Detail: detail}}}
}

// newID makes an id whose order is that of making, which keeps indexes dense.
func newID() (string, error) {
	id, err := uuid.NewV7()
	if err != nil {
		return "", fmt.Errorf("make an id: %w; nothing was stored", err)
	}
	return id.String(), nil
}
