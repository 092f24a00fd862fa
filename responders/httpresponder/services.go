package httpresponder

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/netip"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"sallyport/domain"
	"sallyport/internal/reach"
)

// Service is where a service is and how to log in there.
type Service struct {
	// URL is such as https://orders.internal:8443/api, without query. Required.
	URL string
	// CA holds the certificates, in PEM, that alone vouch for the service; empty:
	// those of the machine do.
	CA []byte
	// Allow are networks in which the service may be though they are not public.
	Allow []netip.Prefix
	// Headers are sent with every call, such as Authorization. They are secrets.
	Headers map[string]string
}

// Responder answers from its services. It is safe for concurrent use.
type Responder struct {
	services map[string]*service
}

type service struct {
	base    *url.URL
	headers http.Header
	client  *http.Client
}

// Open prepares the services by their names, which are slugs. None is called. An
// error names the service and shows no secret. Close ends it.
func Open(all map[string]Service) (*Responder, error) {
	r := &Responder{services: make(map[string]*service, len(all))}
	for _, name := range slices.Sorted(maps.Keys(all)) {
		s, err := open(all[name])
		if err == nil && !domain.ValidSlug(name) {
			err = errors.New("a service's name must be 2 to 64 of a-z 0-9 -")
		}
		if err != nil {
			return nil, fmt.Errorf("service %q: %w", name, err)
		}
		r.services[name] = s
	}
	return r, nil
}

// Close closes connections that no call uses. It may be called more than once.
func (r *Responder) Close() {
	for _, s := range r.services {
		s.client.CloseIdleConnections()
	}
}

const maxHeader = 8 << 10

var (
	headerName  = regexp.MustCompile(`^[A-Za-z0-9-]{1,64}$`)
	headerValue = regexp.MustCompile(`^[!-~]([ -~]*[!-~])?$`)
)

func open(c Service) (*service, error) {
	guard := reach.NewGuard(c.Allow)
	base, err := ParseURL(c.URL, guard, len(c.Headers) > 0)
	if err != nil {
		return nil, err
	}
	trust := &tls.Config{MinVersion: tls.VersionTLS12}
	if len(c.CA) > 0 {
		trust.RootCAs = x509.NewCertPool()
		if !trust.RootCAs.AppendCertsFromPEM(c.CA) {
			return nil, errors.New("its ca_file holds no certificate in PEM")
		}
	}
	s := &service{base: base, headers: http.Header{}, client: guard.Client(hardLimit, trust)}
	for name, value := range c.Headers {
		if !headerName.MatchString(name) || !headerValue.MatchString(value) || len(value) > maxHeader {
			return nil, fmt.Errorf("the header %q cannot be sent (its value is not shown: it is a secret)", name)
		}
		s.headers.Set(name, value)
	}
	return s, nil
}

// ParseURL reads the URL of a service. It refuses an address that would never be
// called. With a login, which its headers are, it is called by TLS only.
func ParseURL(text string, guard reach.Guard, login bool) (*url.URL, error) {
	u, err := url.Parse(text)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "" || u.User != nil ||
		u.RawQuery != "" || u.ForceQuery || u.Fragment != "" || strings.Contains(u.EscapedPath(), "/.") {
		return nil, errors.New("url: must be such as https://orders.internal:8443/api, without login, query and fragment (it is not shown: it may hold a password)")
	}
	if login && u.Scheme == "http" && !reach.Loopback(u.Hostname()) {
		return nil, errors.New("url: headers that are secrets must not go there without TLS: use https")
	}
	if err := guard.CheckHost(u.Hostname()); err != nil {
		return nil, fmt.Errorf("url: %w: name its network in allow", err)
	}
	u.Path, u.RawPath = strings.TrimRight(u.Path, "/"), ""
	return u, nil
}
