package eventstore

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"sallyport/domain"
)

// writerVersion is raised when a program must no longer append beside older
// ones; the log refuses writers below log_head.min_writer.
const writerVersion = 1

// Projection keeps a read model. Apply queues the statements that bring the
// model from before the records to after them, for [Send]. It must be
// deterministic, use sets rather than rows where there are many, and give equal
// rows under any interleaving of the origins. Records come in the order of seq.
// Those that were stored before may come again and change nothing; those that are
// being stored come once.
type Projection interface {
	Apply(b *pgx.Batch, records []Record) error
}

// Config is what a log needs to know. All fields but Now are required.
type Config struct {
	// CheckLine refuses a line that a receiver would have to refuse.
	CheckLine func(line []byte) error
	// Inline are the read models that commit with their events.
	Inline []Projection
	// Now is the clock for the events' times; nil means time.Now.
	Now func() time.Time
	// Committed is told how many appends and events each commit of the writer
	// held, and must be quick; nil: nobody is.
	Committed func(appends, events int)
	// Damaged is told of each hole that a reader finds in the log, and must be
	// quick; nil: nobody is.
	Damaged func(*GapError)
	// MaxQueued is how many appends may wait; one more is refused with
	// [ErrOverloaded]. 0: 4096.
	MaxQueued int
}

// Head is the end of a site's log.
type Head struct {
	Site  string
	Role  domain.Role
	Epoch string // 32 hex digits, made when the log was founded
	// Start is the last position that belongs to earlier epochs; 0: there was none.
	Start int64
	Seq   int64 // events stored here, own and mirrored
	Pos   int64 // events written here
	Chain Hash  // the chain's value at Pos
	// ReadOnly is why nothing is appended, see [ReadOnlyError]; empty: it may be.
	ReadOnly string
}

// Store is a site's log. It is safe for concurrent use.
type Store struct {
	pool   *pgxpool.Pool
	check  func([]byte) error
	inline []Projection
	now    func() time.Time
	// committed is told of each group; nil: nobody is.
	committed func(appends, events int)
	older     atomic.Pointer[map[string]int] // see WriteAs; nil: none
	site      Head                           // as it was when opened; site, role, epoch and start do not change while it is open
	writer    *writer
	feed      *feed
	// open lasts until the store is closed.
	open   context.Context
	cancel context.CancelFunc
	// damaged is told of each hole; nil: nobody is.
	damaged func(*GapError)
}

// Open opens the log of a database that [Found] has prepared, and starts its
// writer. It returns [ErrNotFounded] when there is none. Close ends it.
func Open(ctx context.Context, pool *pgxpool.Pool, c Config) (*Store, error) {
	s := newStore(pool, c)
	head, err := s.Head(ctx)
	if err != nil {
		return nil, err
	}
	s.site = head
	s.feed = newFeed(head.Seq)
	s.writer = newWriter(s, c.MaxQueued)
	// The writer outlives the context of whoever opened it: a queued append
	// finishes even while the program is shutting down.
	run, cancel := context.WithCancel(context.WithoutCancel(ctx))
	s.open, s.cancel = run, cancel
	go s.writer.run(run)
	return s, nil
}

func newStore(pool *pgxpool.Pool, c Config) *Store {
	s := &Store{pool: pool, check: c.CheckLine, inline: c.Inline, now: c.Now, committed: c.Committed, damaged: c.Damaged}
	if s.now == nil {
		s.now = time.Now
	}
	return s
}

// Close lets the queued appends finish and refuses new ones. It may be called
// more than once. The pool stays open.
func (s *Store) Close() {
	s.writer.close()
	s.cancel()
	s.feed.listening.Wait()
}

// Queued returns how many appends wait for the writer.
func (s *Store) Queued() int { return len(s.writer.queue) }

// Site returns the name of the site whose log this is.
func (s *Store) Site() string { return s.site.Site }

// Role returns the site's role.
func (s *Store) Role() domain.Role { return s.site.Role }

// Epoch returns the log's epoch.
func (s *Store) Epoch() string { return s.site.Epoch }

// Start returns the last position that belongs to the log's earlier epochs.
func (s *Store) Start() int64 { return s.site.Start }

const selectHead = `SELECT site, role, epoch, start, seq, pos, chain, coalesce(read_only, ''), min_writer FROM log_head`

// Head returns the log's end as committed now.
func (s *Store) Head(ctx context.Context) (Head, error) {
	h, err := scanHead(s.pool.QueryRow(ctx, selectHead))
	if errors.Is(err, pgx.ErrNoRows) {
		return Head{}, ErrNotFounded
	}
	return h, err
}

func scanHead(row pgx.Row) (Head, error) {
	var h Head
	var chain []byte
	var minWriter int
	if err := row.Scan(&h.Site, &h.Role, &h.Epoch, &h.Start, &h.Seq, &h.Pos, &chain, &h.ReadOnly, &minWriter); err != nil {
		return Head{}, fmt.Errorf("read the log's head: %w", err)
	}
	if minWriter > writerVersion {
		return Head{}, fmt.Errorf("this program is too old for the log (writer %d, the log wants %d): upgrade it; nothing was changed", writerVersion, minWriter)
	}
	h.Chain = Hash(chain)
	return h, nil
}

// Found begins a new log in an empty, migrated database with its first event.
// A database that holds a log already is left as it is, and false returned.
func Found(ctx context.Context, pool *pgxpool.Pool, c Config, f domain.SiteFounded, actor string) (bool, error) {
	founded := false
	err := pgx.BeginFunc(ctx, pool, func(tx pgx.Tx) error {
		genesis := Genesis(f.Epoch, f.Site)
		tag, err := tx.Exec(ctx, `INSERT INTO log_head (site, role, epoch, seq, pos, chain)
			VALUES ($1, $2, $3, 0, 0, $4) ON CONFLICT DO NOTHING`, f.Site, f.Role, f.Epoch, genesis[:])
		if err != nil || tag.RowsAffected() == 0 {
			return err
		}
		founded = true
		s := newStore(nil, c)
		_, err = s.AppendTx(ctx, tx, Append{Actor: actor, Writes: []Write{
			{Stream: domain.SiteStream(f.Site), Facts: []domain.Fact{f}}}})
		return err
	})
	if err != nil {
		return false, fmt.Errorf("found the log of %s: %w", f.Site, err)
	}
	return founded, nil
}
