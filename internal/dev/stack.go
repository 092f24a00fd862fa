package dev

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"sallyport/domain"
	"sallyport/internal/boot"
	"sallyport/internal/dataset"
	"sallyport/internal/pgdev"
	"sallyport/internal/redisdev"
)

// Config says how to run the two sites.
type Config struct {
	// Data is the folder that holds everything; it is made if missing.
	Data string
	// RequestPort and ResponsePort are the HTTP ports; 0 is any.
	RequestPort, ResponsePort int
	// CarryEvery is how often the courier goes; 0 means that nobody carries.
	CarryEvery time.Duration
	// ExportEvery and ScanEvery set the pace of the bridges; 0: one second and
	// half a second.
	ExportEvery, ScanEvery time.Duration
	// WebhooksAllow are networks that the request site's webhooks may be in
	// though they are not public, such as 127.0.0.1.
	WebhooksAllow []string
	// Say is told what happens, a sentence at a time.
	Say func(format string, args ...any)
	// Logger gets the sites' logs.
	Logger *slog.Logger
	// Version is the program's, for those who look.
	Version string
	// Program is its file, see [boot.Site].
	Program string
}

// End is one of the two sites with its own servers.
type End struct {
	*boot.Site
	Name     string
	URL      string
	Dir      string
	Postgres *pgdev.Server
	Redis    *redisdev.Server // nil: the cache is in the process
	listener net.Listener
}

// ConfigPath is where the site's configuration is written.
func (e *End) ConfigPath() string { return filepath.Join(e.Dir, "sallyport.yaml") }

// SuperuserDSN is the connection string of the site's database for everything.
func (e *End) SuperuserDSN() string { return e.Postgres.DSN(database) }

// RedisURL is the site's Redis, or nil.
func (e *End) RedisURL() *string {
	if e.Redis == nil {
		return nil
	}
	u := e.Redis.URL()
	return &u
}

const (
	database        = "sallyport"
	datasetDatabase = "dataset"
	appLogin        = "sallyport"
)

// Stack is the two sites, open but not yet serving.
type Stack struct {
	Field, Core *End
	Accounts    []Account
	config      Config
	carried     atomic.Int64
}

// Start starts the servers, makes or completes both sites, links them, and
// fills the response site. Stop ends what Start began, also after an error.
func Start(ctx context.Context, c Config) (*Stack, error) {
	data, err := filepath.Abs(c.Data)
	if err != nil {
		return nil, err
	}
	c.Data = data
	// Traversable, so that PostgreSQL's own account reaches its cluster when we are root.
	if err := os.MkdirAll(c.Data, 0o711); err != nil { //nolint:gosec // names in it are no secret, files are closed
		return nil, fmt.Errorf("make the data folder: %w; choose another with --data", err)
	}
	s := &Stack{config: c,
		Field: &End{Name: "field", Dir: filepath.Join(c.Data, "field")},
		Core:  &End{Name: "core", Dir: filepath.Join(c.Data, "core")}}
	for _, step := range []func(context.Context) error{s.listen, s.startServers, s.open, s.link, s.fill} {
		if err := step(ctx); err != nil {
			return s, err
		}
	}
	return s, nil
}

func (s *Stack) ends() []*End { return []*End{s.Field, s.Core} }

// startServers starts four servers side by side.
func (s *Stack) startServers(ctx context.Context) error {
	for _, e := range s.ends() {
		if err := os.MkdirAll(e.Dir, 0o711); err != nil { //nolint:gosec // as above
			return fmt.Errorf("make the folder of %s: %w", e.Name, err)
		}
	}
	group, ctx := errgroup.WithContext(ctx)
	for _, e := range s.ends() {
		group.Go(func() (err error) {
			e.Postgres, err = pgdev.Start(ctx, pgdev.Config{Dir: filepath.Join(e.Dir, "postgres"), Say: s.saying(e)})
			if err != nil {
				return fmt.Errorf("start PostgreSQL for %s: %w; if another `sallyport dev` runs there, stop it or choose another folder with --data", e.Name, err)
			}
			_, err = e.Postgres.EnsureDatabase(ctx, database)
			return err
		})
		group.Go(func() (err error) {
			e.Redis, err = redisdev.Start(ctx, redisdev.Config{Dir: filepath.Join(e.Dir, "redis"), Say: s.saying(e)})
			if errors.Is(err, redisdev.ErrNoServer) {
				s.config.Say("%s: no redis-server on this machine: answers are cached in the process", e.Name)
				return nil
			}
			return err
		})
	}
	return group.Wait()
}

func (s *Stack) saying(e *End) func(string, ...any) {
	return func(format string, args ...any) { s.config.Say(e.Name+": "+format, args...) }
}

// listen takes the ports first, so that the addresses are known to all else and
// nothing was started in vain.
func (s *Stack) listen(ctx context.Context) error {
	for _, at := range []struct {
		end  *End
		port int
		flag string
	}{{s.Field, s.config.RequestPort, "--request-port"}, {s.Core, s.config.ResponsePort, "--response-port"}} {
		l, err := new(net.ListenConfig).Listen(ctx, "tcp", fmt.Sprintf("127.0.0.1:%d", at.port))
		if err != nil {
			return fmt.Errorf("listen for %s: %w; choose another port with %s, 0 for any", at.end.Name, err, at.flag)
		}
		at.end.listener, at.end.URL = l, "http://"+l.Addr().String()
	}
	return nil
}

// open makes or completes both sites and opens them.
func (s *Stack) open(ctx context.Context) error {
	group, ctx := errgroup.WithContext(ctx)
	for _, e := range s.ends() {
		group.Go(func() error {
			c, err := s.siteConfig(ctx, e)
			if err != nil {
				return err
			}
			if err := c.Write(e.ConfigPath()); err != nil {
				return err
			}
			if _, err := boot.Init(ctx, c, actor); err != nil {
				return fmt.Errorf("init %s: %w", e.Name, err)
			}
			if e.Site, err = boot.Open(ctx, c, s.config.Logger); err == nil {
				e.Site.Version, e.Site.Program = s.config.Version, s.config.Program
			}
			return err
		})
	}
	return group.Wait()
}

// actor is who answers for what dev mode sets up.
const actor = "cli:dev"

func (s *Stack) siteConfig(ctx context.Context, e *End) (boot.Config, error) {
	c := boot.Config{Site: e.Name, Role: domain.RequestSite, Data: e.Dir, Listen: e.listener.Addr().String(),
		Bridge: boot.Bridge{Encrypt: "when-needed", ExportEvery: s.config.ExportEvery, ScanEvery: s.config.ScanEvery},
		Log:    boot.Log{Level: "warn", Format: "text"}}
	if c.Bridge.ExportEvery == 0 {
		c.Bridge.ExportEvery = time.Second
	}
	if c.Bridge.ScanEvery == 0 {
		c.Bridge.ScanEvery = time.Second / 2
	}
	c.Database = boot.Database{URL: asUser(e.Postgres.DSN(database), appLogin), MigrateURL: e.Postgres.DSN(database)}
	if u := e.RedisURL(); u != nil {
		c.Redis.URL = *u
	}
	if e != s.Core {
		c.Webhooks.Allow = s.config.WebhooksAllow
		return c, c.Check()
	}
	c.Role = domain.ResponseSite
	kept, err := e.keptResponders()
	if err != nil {
		return c, err
	}
	c.Responders = with(kept, sourceName, boot.Source{URL: asUser(e.Postgres.DSN(datasetDatabase), dataset.Reader)})
	return c, errors.Join(c.Check(), s.loadDataset(ctx))
}

// asUser turns the superuser's connection string into another login's.
func asUser(dsn, user string) string {
	u, err := url.Parse(dsn)
	if err != nil {
		return dsn
	}
	u.User = url.User(user)
	return u.String()
}

// link exchanges the site cards, as two people would.
func (s *Stack) link(ctx context.Context) error {
	return errors.Join(
		s.Field.Bridge.AddLink(ctx, s.Core.Bridge.Card(), actor),
		s.Core.Bridge.AddLink(ctx, s.Field.Bridge.Card(), actor))
}

// Run serves both sites, and carries if it is to, until ctx ends.
func (s *Stack) Run(ctx context.Context) error {
	group, ctx := errgroup.WithContext(ctx)
	for _, e := range s.ends() {
		group.Go(func() error { return e.Serve(ctx, e.listener, boot.Everything) })
	}
	if s.config.CarryEvery > 0 {
		group.Go(func() error { return s.carry(ctx) })
	}
	return group.Wait()
}

// Stop closes the sites and stops the servers. State stays on the disk.
func (s *Stack) Stop(ctx context.Context) error {
	var errs []error
	for _, e := range s.ends() {
		if e.Site != nil {
			errs = append(errs, e.Site.Close())
		}
		if e.listener != nil {
			_ = e.listener.Close() // closed already when it was served
		}
		if e.Redis != nil {
			errs = append(errs, e.Redis.Stop(ctx))
		}
		if e.Postgres != nil {
			errs = append(errs, e.Postgres.Stop(ctx))
		}
	}
	return errors.Join(errs...)
}
