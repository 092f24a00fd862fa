package searchresponder

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/elastic/elastic-transport-go/v8/elastictransport"

	"sallyport/domain"
	"sallyport/internal/reach"
)

// Source says where an engine is and how to log in there.
type Source struct {
	// Nodes are the addresses of the engine's nodes, such as
	// https://search-1.example:9200. One that does not answer is followed by the
	// next.
	Nodes []string
	// CA holds the certificates, in PEM, that a node's must be signed by; empty:
	// the system's.
	CA []byte
	// APIKey is an API key as the engine gives it out, encoded; empty: none.
	APIKey string
	// Username and Password log in where there is no API key; empty: no login.
	Username, Password string
}

// Config is what the responder needs to know.
type Config struct {
	// Sources are the engines, by name, a slug.
	Sources map[string]Source
	// MaxConns bounds the idle connections to each node; 0 means 8.
	MaxConns int
}

// Responder answers from its sources. It is safe for concurrent use.
type Responder struct {
	sources map[string]*source
}

type source struct {
	client *elastictransport.Client
	pool   *http.Transport
}

const (
	maxNodes        = 32
	defaultMaxConns = 8
	connectTimeout  = 5 * time.Second
	idleTimeout     = 5 * time.Minute
	maxHeader       = 64 << 10
	userAgent       = "sallyport"

	// maxRetries is how often a search is tried again within its time limit.
	maxRetries   = 4
	firstBackoff = 50 * time.Millisecond
)

// Open prepares the sources and calls none of them. An error does not show a
// secret. Close ends it.
func Open(c Config) (*Responder, error) {
	r := &Responder{sources: make(map[string]*source, len(c.Sources))}
	for _, name := range slices.Sorted(maps.Keys(c.Sources)) {
		s, err := open(c.Sources[name], c.MaxConns)
		if err == nil && !domain.ValidSlug(name) {
			err = errors.New("its name must be 2 to 64 of a-z 0-9 -")
		}
		if err != nil {
			r.Close()
			return nil, fmt.Errorf("search source %s: %w", name, err)
		}
		r.sources[name] = s
	}
	return r, nil
}

// Close closes idle connections. It may be called more than once.
func (r *Responder) Close() {
	for _, s := range r.sources {
		_ = s.client.Close(context.Background()) // has nothing to wait for: no discovery runs
		s.pool.CloseIdleConnections()
	}
}

func open(s Source, maxConns int) (*source, error) {
	nodes, err := s.nodes()
	if err != nil {
		return nil, err
	}
	roots, err := s.roots()
	if err != nil {
		return nil, err
	}
	if maxConns <= 0 {
		maxConns = defaultMaxConns
	}
	pool := &http.Transport{
		DialContext:            (&net.Dialer{Timeout: connectTimeout}).DialContext,
		TLSClientConfig:        &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12},
		TLSHandshakeTimeout:    connectTimeout,
		MaxIdleConnsPerHost:    maxConns,
		IdleConnTimeout:        idleTimeout,
		MaxResponseHeaderBytes: maxHeader,
		DisableCompression:     true, // what is counted is what was sent
	}
	client, err := elastictransport.NewClient(
		elastictransport.WithURLs(nodes...), elastictransport.WithTransport(pool), elastictransport.WithUserAgent(userAgent),
		elastictransport.WithAPIKey(s.APIKey), elastictransport.WithBasicAuth(s.Username, s.Password),
		elastictransport.WithMaxRetries(maxRetries), elastictransport.WithRetryBackoff(backoff),
		elastictransport.WithRetryOnStatus(http.StatusTooManyRequests, http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout),
		elastictransport.WithRetryOnError(func(req *http.Request, _ error) bool { return req.Context().Err() == nil }))
	if err != nil {
		return nil, errors.New("it cannot be used")
	}
	return &source{client, pool}, nil
}

// backoff doubles from 50 ms and strays, so that who was refused at once does
// not come back at once. After the last try there is nothing to wait for.
func backoff(attempt int) time.Duration {
	if attempt > maxRetries {
		return 0
	}
	most := firstBackoff << attempt
	return most/2 + rand.N(most/2) //nolint:gosec // not a secret
}

// Check refuses a source that cannot be used. Its error shows no secret.
func (s Source) Check() error {
	_, err := s.nodes()
	return err
}

func (s Source) nodes() ([]*url.URL, error) {
	if len(s.Nodes) == 0 || len(s.Nodes) > maxNodes {
		return nil, fmt.Errorf("nodes: must be 1 to %d addresses such as https://search-1.example:9200", maxNodes)
	}
	secret := s.APIKey != "" || s.Password != ""
	var nodes []*url.URL
	for _, n := range s.Nodes {
		u, err := url.Parse(n)
		switch {
		case err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" || u.RawQuery != "" || u.Fragment != "":
			return nil, errors.New("nodes: one is no address such as https://search-1.example:9200 (it is not shown: it may hold a password)")
		case u.User != nil:
			return nil, errors.New("nodes: one holds a login: give it as username and password_file, or api_key_file")
		case secret && u.Scheme == "http" && !reach.Loopback(u.Hostname()):
			return nil, fmt.Errorf("nodes: a login must not go to %s without TLS: use https", u.Host)
		}
		nodes = append(nodes, &url.URL{Scheme: u.Scheme, Host: u.Host, Path: strings.TrimRight(u.Path, "/")})
	}
	return nodes, nil
}

func (s Source) roots() (*x509.CertPool, error) {
	if len(s.CA) == 0 {
		return nil, nil
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(s.CA) {
		return nil, errors.New("ca_file: holds no certificate in PEM")
	}
	return pool, nil
}
