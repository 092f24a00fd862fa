package boot

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"sync"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/redis/go-redis/v9"

	"sallyport/api"
	"sallyport/api/ratelimit"
	"sallyport/api/session"
	"sallyport/bridge"
	"sallyport/bridge/bundle"
	"sallyport/domain"
	"sallyport/eventstore"
	"sallyport/internal/commands"
	"sallyport/internal/password"
	"sallyport/internal/pulse"
	"sallyport/internal/tryout"
	"sallyport/internal/webhook"
	"sallyport/projections"
	"sallyport/projections/responsecache"
	"sallyport/responders/manual"
	"sallyport/responders/queue"
	"sallyport/responders/resultcache"
	"sallyport/schema"
)

// Site is an open site: everything that the commands of the command line, the
// HTTP server and the workers need. Nothing runs by itself before Serve.
type Site struct {
	Config    Config
	Version   string // the program's, for those who look; may be set before Serve
	Program   string // its file, which Serve runs anew to hash passwords; empty: Serve hashes them itself
	Logger    *slog.Logger
	Pool      *pgxpool.Pool
	Log       *eventstore.Store
	Reader    *projections.Reader
	Directory *projections.Directory
	Schemas   *schema.Events
	Params    *schema.ParameterCache
	Passwords *password.Hasher
	Commands  *commands.Commands
	Tryout    *tryout.Tryout // nil on a request site
	Bridge    *bridge.Bridge
	Queue     *queue.Queue      // of jobs, to add to it and to see to it; it works on none
	Desk      *manual.Desk      // where people answer; nil on a request site
	Cache     api.Cache         // of finished answers; on a response site, of what sources said too
	Webhooks  *webhook.Webhooks // nil on a response site
	ends      session.Ends
	limits    *ratelimit.Redis       // nil: requests are counted in the process
	redis     redis.UniversalClient  // nil: the cache is in the process
	counting  redis.UniversalClient  // the same, for counts: it gives up soon and repeats nothing
	results   *resultcache.Cache     // of what sources said; nil on a request site
	counted   []prometheus.Collector // what is counted while the site is open
	alone     prometheus.Counter     // tries of secrets that were judged without Redis
	pulse     *pulse.Watch
	answering sync.Mutex                               // held while responders are opened
	answers   map[domain.ResponderKind]queue.Responder // nil: not opened yet
	closers   []func() error
}

const (
	defaultMaxConns = 16
	defaultWorkers  = 8
)

// Open opens a site that Init has made. Close ends it.
func Open(ctx context.Context, c Config, logger *slog.Logger) (*Site, error) {
	s := &Site{Config: c, Logger: logger.With("site", c.Site)}
	for _, step := range []func(context.Context) error{s.openLog, s.openCommands, s.openTryout, s.openCache, s.openQueue, s.openBridge, s.openWebhooks} {
		if err := step(ctx); err != nil {
			return nil, errors.Join(fmt.Errorf("open the site %s: %w", c.Site, err), s.Close())
		}
	}
	return s, nil
}

// Close ends what Open began, in the reverse order. It may be called twice.
func (s *Site) Close() error {
	var errs []error
	for len(s.closers) > 0 {
		last := len(s.closers) - 1
		errs = append(errs, s.closers[last]())
		s.closers = s.closers[:last]
	}
	return errors.Join(errs...)
}

func (s *Site) closing(fn func()) {
	s.closers = append(s.closers, func() error { fn(); return nil })
}

// checkLine is what both the log and the bundles hold each line against.
func checkLine(line []byte) error { return bundle.CheckLine(line, bundle.Limits{}) }

func (s *Site) openLog(ctx context.Context) error {
	url, err := secret(s.Config.Database.URL, s.Config.Database.URLFile)
	if err != nil {
		return err
	}
	s.Pool, err = connect(ctx, url, int32(cmp.Or(s.Config.Database.MaxConns, defaultMaxConns)), //nolint:gosec // bounded by Check
		func(c *pgxpool.Config) { s.pulse = pulse.Attach(c, s.Logger) })
	if err != nil {
		return err
	}
	s.closing(s.Pool.Close)
	if n, err := schema.Pending(ctx, s.Pool); err != nil {
		return err
	} else if n > 0 {
		return fmt.Errorf("the database lacks %d migration(s): run `sallyport migrate up`; nothing was changed", n)
	}
	s.Reader = projections.NewReader(s.Pool)
	s.Directory = projections.NewDirectory(s.Pool, s.Logger)
	inline := append(projections.Inline(), s.Directory, &s.ends)
	if s.Log, err = eventstore.Open(ctx, s.Pool, eventstore.Config{CheckLine: checkLine, Inline: inline, Committed: s.commits(), Damaged: s.holes()}); err != nil {
		return err
	}
	s.closing(s.Log.Close)
	if s.Log.Site() != s.Config.Site || s.Log.Role() != s.Config.Role {
		return fmt.Errorf("the database holds the log of the %s site %s: the configuration names another", s.Log.Role(), s.Log.Site())
	}
	return nil
}

func (s *Site) openCommands(context.Context) error {
	s.Params = schema.NewParameterCache(0)
	s.Passwords = password.New(password.Config{})
	s.closing(s.Passwords.Close)
	s.Commands = commands.New(commands.Config{Log: s.Log, Pool: s.Pool, Directory: s.Directory, Passwords: s.Passwords, Params: s.Params})
	return nil
}

func (s *Site) openCache(context.Context) error {
	if err := s.openResponses(); err != nil || !s.isResponse() {
		return err
	}
	return s.openResults()
}

func (s *Site) openResponses() error {
	s.alone = prometheus.NewCounter(prometheus.CounterOpts{Name: "sallyport_login_throttle_in_memory_total",
		Help: "Tries of passwords and other secrets that this process judged by itself, at a tenth, because Redis was away."})
	s.counted = append(s.counted, s.alone)
	url, err := secret(s.Config.Redis.URL, s.Config.Redis.URLFile)
	if err != nil {
		return err
	}
	if url == "" {
		s.Cache = responsecache.NewMemory(responsecache.MemoryConfig{})
		return nil
	}
	o, err := redis.ParseURL(url)
	if err != nil {
		return errors.New("redis.url does not parse (it is not shown: it may hold a password)")
	}
	quietRedis()
	s.redis = responsecache.Connect(*o)
	s.counting = ratelimit.Connect(*o)
	s.limits = ratelimit.NewRedis(s.counting)
	s.closers = append(s.closers, s.redis.Close, s.counting.Close)
	s.Cache = responsecache.NewRedis(s.redis, responsecache.TTL)
	return nil
}

// quietRedis keeps the client library from writing to stderr by itself: who
// asks Redis tells of its failures, and not once for each connection.
var quietRedis = sync.OnceFunc(func() { redis.SetLogger(silent{}) })

type silent struct{}

// Printf implements the library's logger.
func (silent) Printf(context.Context, string, ...any) {}

func (s *Site) openQueue(ctx context.Context) (err error) {
	if s.isResponse() {
		s.Desk = manual.New(manual.Config{Log: s.Log, Cases: cases{s}})
	}
	s.Queue, err = queue.Open(ctx, queue.Config{Pool: s.Pool, Log: s.Log, Cases: cases{s}, Logger: s.Logger})
	return err
}

// enqueue turns arriving requests into work, on a response site.
func (s *Site) enqueue() func(context.Context, pgx.Tx, []domain.Event, []domain.Fact) error {
	if !s.isResponse() {
		return nil
	}
	return s.Queue.Enqueue
}

func (s *Site) openBridge(ctx context.Context) error {
	folders, err := bridge.OpenFolders(s.Config.Data)
	if err != nil {
		return err
	}
	s.closers = append(s.closers, folders.Close)
	keys, err := bridge.EnsureKeys(s.Config.keysDir())
	if err != nil {
		return err
	}
	if s.Schemas, err = schema.LoadEvents(); err != nil {
		return err
	}
	s.Bridge, err = bridge.New(bridge.Config{Log: s.Log, Pool: s.Pool, Folders: folders, Keys: keys, Schemas: s.Schemas, Logger: s.Logger,
		EncryptAlways: s.Config.Bridge.Encrypt == "always", Enqueue: s.enqueue(), Void: session.CloseAll,
		ExportEvery: s.Config.Bridge.ExportEvery, ExportEvents: s.Config.Bridge.ExportEvents, ScanEvery: s.Config.Bridge.ScanEvery,
		ResendAfter: s.Config.Bridge.ResendAfter, Keep: s.Config.Bridge.Keep})
	if err != nil {
		return err
	}
	if err := s.Bridge.CheckRestored(ctx); err != nil {
		return err
	}
	return s.Bridge.AgreeVersions(ctx)
}

func (s *Site) openWebhooks(context.Context) error {
	if s.isResponse() {
		return nil
	}
	secret, err := bridge.EnsureSigningKey(filepath.Join(s.Config.keysDir(), "webhooks.pem"))
	if err != nil {
		return err
	}
	allow, err := networks("webhooks.allow", s.Config.Webhooks.Allow)
	if err != nil {
		return err
	}
	s.Webhooks, err = webhook.New(webhook.Config{Log: s.Log, Pool: s.Pool, Reader: s.Reader, Key: webhook.NewKey(secret.Seed()),
		Allow: allow, Logger: s.Logger})
	return err
}

// CacheReady says whether the cache can be asked; one in the process always can.
func (s *Site) CacheReady(ctx context.Context) error {
	if s.redis == nil {
		return nil
	}
	return s.redis.Ping(ctx).Err()
}

func (s *Site) tokenKeyPath() string { return filepath.Join(s.Config.keysDir(), "tokens.pem") }

func (s *Site) isResponse() bool { return s.Config.Role == domain.ResponseSite }
