package api

import (
	"context"
	"crypto/ed25519"
	"errors"
	"log/slog"
	"net/http"
	"net/netip"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/cors"
	"golang.org/x/sync/singleflight"

	"sallyport/api/hold"
	"sallyport/api/keyuse"
	"sallyport/api/ratelimit"
	"sallyport/api/refusals"
	"sallyport/api/session"
	"sallyport/api/throttle"
	"sallyport/api/token"
	"sallyport/bridge"
	"sallyport/domain"
	"sallyport/eventstore"
	"sallyport/internal/commands"
	"sallyport/internal/password"
	"sallyport/internal/tryout"
	"sallyport/internal/webhook"
	"sallyport/projections"
	"sallyport/projections/reactor"
	"sallyport/projections/responsecache"
	"sallyport/projections/tally"
	"sallyport/responders/manual"
	"sallyport/responders/queue"
)

// Config is what the API works on. Fields are required unless they say
// otherwise.
type Config struct {
	Log       *eventstore.Store
	Pool      *pgxpool.Pool // for sessions and readiness
	Reader    *projections.Reader
	Directory *projections.Directory
	Commands  *commands.Commands
	Bridge    *bridge.Bridge    // what operators see of the crossing and do with it
	Queue     *queue.Queue      // what operators see to; it works on nothing
	Desk      *manual.Desk      // where analysts answer, of a response site; nil on the other
	Webhooks  *webhook.Webhooks // of a request site; nil on the other
	Passwords *password.Hasher
	Refusals  *refusals.Recorder // of logins; somebody else runs it
	// SessionEnds is among the log's inline read models.
	SessionEnds *session.Ends
	Cache       Cache
	// CacheReady tells whether the cache's server answers; nil: it has none.
	CacheReady func(context.Context) error
	// Throttle slows down guessing; nil: it counts in this process.
	Throttle *throttle.Throttle
	// KeyUses is told when API keys are used; somebody else runs it.
	KeyUses *keyuse.Uses
	// Tryout checks and tries out how a response site answers; nil on a request site.
	Tryout *tryout.Tryout
	// RateLimits counts requests; nil: they are counted in the process.
	RateLimits *ratelimit.Redis
	// TokenKey signs access tokens; tokens of OlderTokenKeys are accepted too.
	TokenKey       ed25519.PrivateKey
	OlderTokenKeys []ed25519.PublicKey // may be empty
	// Crossing tells how far the link to the response site has got. It is asked
	// at nearly every call, so it must answer from memory. Nil: not known.
	Crossing func(context.Context) (Crossing, error)
	Logger   *slog.Logger
	Now      func() time.Time // nil: time.Now
	// Version is the program's.
	Version string
	// Disk tells how much room there is for the site's files; nil: not known.
	Disk func() (Room, error)
	// Metrics are served at /metrics; the API adds its own. Nil: those alone.
	Metrics *prometheus.Registry
	// AllowedOrigins are those whose pages may call the API, such as
	// https://portal.example; empty: none.
	AllowedOrigins []string
	// TrustedProxies are believed when they say whom a call comes from; empty:
	// nobody is.
	TrustedProxies []netip.Prefix
}

// Cache keeps rendered answers, see [responsecache].
type Cache interface {
	Get(ctx context.Context, requestID string) (responsecache.Entry, bool, error)
	Set(ctx context.Context, requestID string, e responsecache.Entry) error
	Delete(ctx context.Context, requestID string) error
	Clear(ctx context.Context) (cleared int64, err error)
	ClearUser(ctx context.Context, user string) (cleared int64, err error)
	Stats(ctx context.Context) (responsecache.Stats, error)
}

// server is the API of one site.
type server struct {
	Config
	role      domain.Role
	tokens    *token.Authority
	sessions  *session.Store
	closed    *session.Watch
	throttle  *throttle.Throttle
	known     *throttle.Known
	anyUser   atomic.Bool        // a site that had a user once has users
	lookUps   singleflight.Group // of answers that are not cached
	limiter   *ratelimit.Limiter
	limitLog  atomic.Int64 // when a failing Redis was last logged, Unix seconds
	cacheLog  atomic.Int64 // when a failing cache was last logged, Unix seconds
	page      map[string]pageFile
	poison    *reactor.Poison
	tally     *tally.Tally
	cors      *cors.Cors    // nil: no other origin may call
	draining  chan struct{} // closed when the process is to end
	started   time.Time
	room      *hold.Room  // where calls wait for a change
	verifying atomic.Bool // the log is
	exporting atomic.Bool // a range of it is, for an auditor
	counts
}

// API is a site's whole API.
type API struct {
	http.Handler
	server *server
}

// Drain makes the site say that it is not ready and ends what only waits. All
// else is answered as before. It may be called once.
func (a *API) Drain() { close(a.server.draining) }

// HearOfRights has the API look at once when another process of the site says
// that sessions ended, until its log is closed.
func (a *API) HearOfRights() { a.server.Log.Hear(projections.RightsChanged, a.server.closed.Heard) }

// FollowTokenKeys takes the keys of access tokens from a file whenever it
// changes, until the context ends, see [token.KeyFile].
func (a *API) FollowTokenKeys(ctx context.Context, path string) error {
	return a.server.tokens.Follow(ctx, path, a.server.Logger)
}

// New returns a site's API, ready to answer.
func New(c Config) (*API, error) {
	if c.Log == nil || c.Pool == nil || c.Reader == nil || c.Directory == nil || c.Commands == nil || c.Bridge == nil ||
		c.Passwords == nil || c.Refusals == nil || c.SessionEnds == nil || c.KeyUses == nil || c.Cache == nil || c.Logger == nil {
		return nil, errors.New("the API lacks a part of its configuration")
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Throttle == nil {
		c.Throttle = throttle.New(throttle.Config{})
	}
	if c.Crossing == nil {
		c.Crossing = func(context.Context) (Crossing, error) { return Crossing{}, nil }
	}
	tokens, err := token.New(token.Config{Site: c.Log.Site(), Signing: c.TokenKey, Verifying: c.OlderTokenKeys, Now: c.Now})
	if err != nil {
		return nil, err
	}
	if c.Metrics == nil {
		c.Metrics = prometheus.NewRegistry()
	}
	counts, err := newCounts(c.Metrics)
	if err != nil {
		return nil, err
	}
	page, err := documentation()
	if err != nil {
		return nil, err
	}
	sessions := session.New(c.Log, c.Pool, c.Now)
	s := &server{Config: c, role: c.Log.Role(), tokens: tokens, sessions: sessions,
		closed:   session.NewWatch(sessions, c.SessionEnds, token.Lifetime, tokens.CloseSession),
		throttle: c.Throttle, known: throttle.NewKnown(c.Throttle), page: page,
		cors: newCORS(c.AllowedOrigins), poison: reactor.NewPoison(c.Pool), tally: tally.New(c.Pool), counts: counts, draining: make(chan struct{}), started: c.Now()}
	s.limiter = ratelimit.New(ratelimit.Config{Redis: c.RateLimits, Failed: s.redisFailed})
	s.room = hold.New(c.Log, c.Pool, func(ctx context.Context) (exportedThrough, ackedThrough int64) {
		link, _ := s.Crossing(ctx) // what is not known has not moved
		return link.ExportedThrough, link.AckedThrough
	})
	handler, err := compressing(s.router())
	if err != nil {
		return nil, err
	}
	return &API{Handler: handler, server: s}, nil
}

// Limits of a connection. A header must come quickly, a body of 1 MiB within
// half a minute; an answer of 16 MiB may take a minute.
const (
	readHeaderTimeout = 5 * time.Second
	readTimeout       = 30 * time.Second
	writeTimeout      = 60 * time.Second
	idleTimeout       = 2 * time.Minute
	maxHeaderBytes    = 16 << 10
)

// Server returns an HTTP server with all of its limits set. The caller starts
// it, and stops it with Shutdown, which lets the calls under way finish.
func Server(h http.Handler, log *slog.Logger) *http.Server {
	return &http.Server{Handler: h, ReadHeaderTimeout: readHeaderTimeout, ReadTimeout: readTimeout,
		WriteTimeout: writeTimeout, IdleTimeout: idleTimeout, MaxHeaderBytes: maxHeaderBytes,
		ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelWarn)}
}
