package boot

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"sallyport/domain"
)

// Config is a site's configuration, as `sallyport.yaml` spells it. The reader
// of the file, the environment and the flags is in cmd.
type Config struct {
	// Site is the site's name: a-z, 0-9 and dashes, 1 to 32.
	Site string `koanf:"site" yaml:"site"`
	// Role is what the site does: request or response.
	Role domain.Role `koanf:"role" yaml:"role"`
	// Data is the folder of keys, outbox, inbox and the like; empty: the folder
	// of the configuration file.
	Data string `koanf:"data" yaml:"data,omitempty"`
	// Listen is the address of the HTTP server.
	Listen string `koanf:"listen" yaml:"listen"`
	TLS    TLS    `koanf:"tls" yaml:"tls,omitempty"`
	CORS   CORS   `koanf:"cors" yaml:"cors,omitempty"`
	// TrustedProxies are the networks, such as 10.0.0.0/8, whose X-Forwarded-For
	// tells whom a call comes from; empty: nobody is believed.
	TrustedProxies []string `koanf:"trusted_proxies" yaml:"trusted_proxies,omitempty"`
	// DrainNotice is how long a site that was told to stop says so at
	// /health/ready before it takes no more calls; 0: half a second.
	DrainNotice time.Duration `koanf:"drain_notice" yaml:"drain_notice,omitempty"`
	Database    Database      `koanf:"database" yaml:"database"`
	Redis       Redis         `koanf:"redis" yaml:"redis,omitempty"`
	Bridge      Bridge        `koanf:"bridge" yaml:"bridge,omitempty"`
	Retention   Retention     `koanf:"retention" yaml:"retention,omitempty"`
	// Responders are for response sites only.
	Responders Responders `koanf:"responders" yaml:"responders,omitempty"`
	// Webhooks are for request sites only.
	Webhooks Webhooks `koanf:"webhooks" yaml:"webhooks,omitempty"`
	Log      Log      `koanf:"log" yaml:"log,omitempty"`
}

// TLS says what the HTTP server shows its clients; both empty: it speaks plain
// HTTP, and a proxy in front of it TLS.
type TLS struct {
	// CertFile holds the certificate and those between it and the root, in PEM.
	CertFile string `koanf:"cert_file" yaml:"cert_file,omitempty"`
	KeyFile  string `koanf:"key_file" yaml:"key_file,omitempty"`
}

// CORS says which pages of other origins may call the API.
type CORS struct {
	// Origins are such as https://portal.example; empty: none.
	Origins []string `koanf:"origins" yaml:"origins,omitempty"`
}

// Database says where PostgreSQL is. Each URL may instead be the first line
// of a file, so that a password stands in neither flags nor environment.
type Database struct {
	// URL logs in with the rights of sallyport_app.
	URL     string `koanf:"url" yaml:"url,omitempty"`
	URLFile string `koanf:"url_file" yaml:"url_file,omitempty"`
	// MigrateURL logs in as the database's owner; empty: URL, which then must be.
	// Only Init and Migrate look at it, and no file that Write makes holds it.
	MigrateURL     string `koanf:"migrate_url" yaml:"migrate_url,omitempty"`
	MigrateURLFile string `koanf:"migrate_url_file" yaml:"migrate_url_file,omitempty"`
	// MaxConns bounds the connection pool; 0: 16.
	MaxConns int `koanf:"max_conns" yaml:"max_conns,omitempty"`
}

// Redis says where Redis is.
type Redis struct {
	// URL is what go-redis reads; empty: the cache in the process.
	URL     string `koanf:"url" yaml:"url,omitempty"`
	URLFile string `koanf:"url_file" yaml:"url_file,omitempty"`
}

// Bridge says how the site carries its log.
type Bridge struct {
	// Encrypt is always or when-needed; empty: when-needed.
	Encrypt string `koanf:"encrypt" yaml:"encrypt,omitempty"`
	// ExportEvery is the longest that something due waits; 0: 2 minutes.
	ExportEvery time.Duration `koanf:"export_every" yaml:"export_every,omitempty"`
	// ExportEvents starts an export when so many positions have piled up; 0: 500.
	ExportEvents int64 `koanf:"export_events" yaml:"export_events,omitempty"`
	// ScanEvery is how often the inbox is looked at; 0: 30 seconds.
	ScanEvery time.Duration `koanf:"scan_every" yaml:"scan_every,omitempty"`
	// ResendAfter is how long what was sent may stay unacknowledged before a
	// beacon reminds the peer; 0: 10 minutes.
	ResendAfter time.Duration `koanf:"resend_after" yaml:"resend_after,omitempty"`
	// Keep is how long applied bundles stay in the archive; 0: 7 days.
	Keep time.Duration `koanf:"keep" yaml:"keep,omitempty"`
}

// Retention says how long the site keeps what it derives from its log. The log
// itself is kept for ever.
type Retention struct {
	// Requests is how long a finished request stays in the read models; not given:
	// 30 days (720h), 0: for ever.
	Requests *time.Duration `koanf:"requests" yaml:"requests,omitempty"`
}

// Responders says how a response site answers.
type Responders struct {
	// Workers is how many questions each source is asked at once, by each process;
	// 0: 8.
	Workers int `koanf:"workers" yaml:"workers,omitempty"`
	// Concurrency is the same for one kind of responder, such as sql, or for one of
	// its sources, such as sql/flights; what it does not name has Workers.
	Concurrency map[string]int `koanf:"concurrency" yaml:"concurrency,omitempty"`
	// Sources are the databases that the sql responder may read, by name.
	Sources map[string]Source `koanf:"sources" yaml:"sources,omitempty"`
	// Searches are what the elasticsearch responder may search, by name.
	Searches map[string]Search `koanf:"searches" yaml:"searches,omitempty"`
	// Services are what the http responder may call, by name.
	Services map[string]Service `koanf:"services" yaml:"services,omitempty"`
}

// Source is one database of the sql responder. Its login must not be able to
// write.
type Source struct {
	URL     string `koanf:"url" yaml:"url,omitempty"`
	URLFile string `koanf:"url_file" yaml:"url_file,omitempty"`
}

// Webhooks says whom a request site may call.
type Webhooks struct {
	// Allow are networks, such as 10.1.0.0/16, in which webhooks may be though
	// they are not public; empty: none.
	Allow []string `koanf:"allow" yaml:"allow,omitempty"`
}

// Log says what is logged to stderr.
type Log struct {
	// Level is debug, info, warn or error; empty: info.
	Level string `koanf:"level" yaml:"level,omitempty"`
	// Format is json or text; empty: json.
	Format string `koanf:"format" yaml:"format,omitempty"`
}

// Check refuses a configuration that cannot work and says all that is wrong.
func (c Config) Check() error {
	_, trusted := networks("trusted_proxies", c.TrustedProxies)
	_, callable := networks("webhooks.allow", c.Webhooks.Allow)
	return errors.Join(
		rule(domain.ValidSiteName(c.Site), "site: must be 1 to 32 of a-z 0-9 -"),
		rule(c.Role.Valid(), "role: must be request or response"),
		rule(listens(c.Listen), "listen: must be an address such as 127.0.0.1:8001"),
		rule((c.TLS.CertFile == "") == (c.TLS.KeyFile == ""), "tls.cert_file and tls.key_file: give both or none"),
		c.CORS.check(),
		trusted, callable,
		rule(c.DrainNotice >= 0 && c.DrainNotice <= maxDrainNotice, "drain_notice: must be 0 to 5m"),
		rule(c.Database.URL != "" || c.Database.URLFile != "", "database.url or database.url_file: must be given (in the environment: SALLYPORT_DATABASE_URL or SALLYPORT_DATABASE_URL_FILE)"),
		one("database.url", c.Database.URL, c.Database.URLFile),
		one("database.migrate_url", c.Database.MigrateURL, c.Database.MigrateURLFile),
		one("redis.url", c.Redis.URL, c.Redis.URLFile),
		rule(c.Database.MaxConns >= 0 && c.Database.MaxConns <= maxMaxConns, "database.max_conns: must be 0 to 1000"),
		rule(parses(c.Database.URL) && parses(c.Database.MigrateURL), "database.url, database.migrate_url: one does not parse (it is not shown: it may hold a password)"),
		rule(c.Bridge.Encrypt == "" || c.Bridge.Encrypt == "always" || c.Bridge.Encrypt == "when-needed", "bridge.encrypt: must be always or when-needed"),
		rule(c.Bridge.ExportEvery >= 0 && c.Bridge.ScanEvery >= 0 && c.Bridge.ExportEvents >= 0 && c.Bridge.ResendAfter >= 0, "bridge: times and counts must not be negative"),
		rule(c.Bridge.Keep == 0 || c.Bridge.Keep >= time.Hour, "bridge.keep: must be at least 1h, or 0 for 7 days (168h); to keep all, give a long time such as 1000000h"),
		rule(c.Retention.Requests == nil || *c.Retention.Requests == 0 || *c.Retention.Requests >= domain.MinRetention, "retention.requests: must be at least 1m, such as 720h, or 0 for ever"),
		rule(c.Responders.Workers >= 0 && c.Responders.Workers <= 256, "responders.workers: must be 0 to 256"),
		c.Responders.checkSources(), c.Responders.checkSearches(), c.Responders.checkServices(), c.Responders.checkConcurrency(),
		c.Log.check(),
	)
}

const (
	maxMaxConns    = 1000
	maxDrainNotice = 5 * time.Minute
)

func (c CORS) check() error {
	var errs []error
	for _, o := range c.Origins {
		u, err := url.Parse(o)
		errs = append(errs, rule(err == nil && (u.Scheme == "https" || u.Scheme == "http") && o == u.Scheme+"://"+u.Host &&
			u.Hostname() != "" && !strings.Contains(o, "*"),
			fmt.Sprintf("cors.origins: %q must be an origin such as https://portal.example, without a path or *", o)))
	}
	return errors.Join(errs...)
}

// networks reads the networks that a setting lists.
func networks(key string, given []string) ([]netip.Prefix, error) {
	var out []netip.Prefix
	var errs []error
	for _, text := range given {
		n, err := netip.ParsePrefix(text)
		if address, single := netip.ParseAddr(text); single == nil {
			n, err = address.Prefix(address.BitLen())
		}
		if err == nil {
			out = append(out, n.Masked())
		}
		errs = append(errs, rule(err == nil, fmt.Sprintf("%s: %q must be a network such as 10.0.0.0/8, or an address", key, text)))
	}
	return out, errors.Join(errs...)
}

// knows reports whether the site has the source that a responder names, and in
// which setting those of its kind stand.
func (r Responders) knows(c domain.ResponderConfigured) (setting string, known bool) {
	switch c.Kind {
	case domain.ResponderSQL:
		_, known = r.Sources[c.Source]
		return "responders.sources", known
	case domain.ResponderElasticsearch:
		_, known = r.Searches[c.Source]
		return "responders.searches", known
	case domain.ResponderHTTP:
		_, known = r.Services[c.Source]
		return "responders.services", known
	default:
		return "", true
	}
}

// names are the sources that the site has, by kind.
func (r Responders) names() map[domain.ResponderKind][]string {
	return map[domain.ResponderKind][]string{
		domain.ResponderSQL:           slices.Sorted(maps.Keys(r.Sources)),
		domain.ResponderElasticsearch: slices.Sorted(maps.Keys(r.Searches)),
		domain.ResponderHTTP:          slices.Sorted(maps.Keys(r.Services)),
	}
}

func (r Responders) checkSources() error {
	var errs []error
	for _, name := range slices.Sorted(maps.Keys(r.Sources)) {
		key, source := "responders.sources."+name, r.Sources[name]
		errs = append(errs,
			rule(domain.ValidSlug(name), key+": the name must be 2 to 64 of a-z 0-9 -"),
			rule(source.URL != "" || source.URLFile != "", key+": url or url_file must be given"),
			one(key+".url", source.URL, source.URLFile),
			rule(parses(source.URL), key+".url: does not parse (it is not shown: it may hold a password)"))
	}
	return errors.Join(errs...)
}

func (l Log) check() error {
	_, err := l.Logger(io.Discard)
	return err
}

// one refuses a value that is given both as itself and as a file: which of
// them counts must not be a guess.
func one(key, value, file string) error {
	return rule(value == "" || file == "", key+" and "+key+"_file: give one of them, not both")
}

// listens reports whether an address has a host, which may be empty, and a port.
func listens(address string) bool {
	_, port, err := net.SplitHostPort(address)
	if err != nil {
		return false
	}
	_, err = strconv.ParseUint(port, 10, 16)
	return err == nil
}

// parses reports whether a URL that is given is one of PostgreSQL.
func parses(url string) bool {
	_, err := pgx.ParseConfig(url)
	return url == "" || err == nil
}

func rule(ok bool, what string) error {
	if ok {
		return nil
	}
	return errors.New(what)
}

// SecretError is a file named in the configuration that cannot be read.
type SecretError struct{ err error }

func (e *SecretError) Error() string {
	return fmt.Sprintf("read a secret of the configuration: %v; make the file readable for this program's user, or correct the setting that names it; nothing was changed", e.err)
}

// Unwrap returns what reading the file led to.
func (e *SecretError) Unwrap() error { return e.err }

// secret returns a value that may be given by file instead.
func secret(value, file string) (string, error) {
	if file == "" {
		return value, nil
	}
	b, err := os.ReadFile(file)
	if err != nil {
		return "", &SecretError{err}
	}
	return strings.TrimSpace(string(b)), nil
}

func (c Config) keysDir() string { return filepath.Join(c.Data, "keys") }

// CardPath is where the site's own card is written.
func (c Config) CardPath() string { return filepath.Join(c.Data, "site-card.json") }

// Logger returns the logger that the configuration asks for, on w.
func (l Log) Logger(w io.Writer) (*slog.Logger, error) {
	var level slog.Level
	if err := level.UnmarshalText([]byte(cmp.Or(l.Level, "info"))); err != nil {
		return nil, fmt.Errorf("log.level: %w", err)
	}
	o := &slog.HandlerOptions{Level: level}
	switch cmp.Or(l.Format, "json") {
	case "json":
		return slog.New(slog.NewJSONHandler(w, o)), nil
	case "text":
		return slog.New(slog.NewTextHandler(w, o)), nil
	default:
		return nil, errors.New("log.format: must be json or text")
	}
}
