package webhook

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"time"

	"code.dny.dev/ssrf"
)

// guard decides which addresses may be called.
type guard struct{ *ssrf.Guardian }

func newGuard(allow []netip.Prefix) guard {
	var v4, v6 []netip.Prefix
	for _, p := range allow {
		if p = p.Masked(); p.Addr().Is4() {
			v4 = append(v4, p)
		} else {
			v6 = append(v6, p)
		}
	}
	return guard{ssrf.New(ssrf.WithAnyPort(), ssrf.WithAllowedV4Prefixes(v4...), ssrf.WithAllowedV6Prefixes(v6...))}
}

// errAddress is told to a webhook's owner: it must not say what the name
// resolved to.
var errAddress = errors.New("its address is not public, and this site's configuration does not allow it")

// checkURL refuses a URL whose host is an address that would never be called.
// What a name resolves to is looked at when it is called.
func (g guard) checkURL(text string) error {
	u, err := url.Parse(text)
	if err != nil {
		return fmt.Errorf("read a webhook's URL: %w", err) // the domain refuses it before
	}
	if ip, named := netip.ParseAddr(u.Hostname()); named == nil && g.SafeAddr(ip.Unmap()) != nil {
		return errAddress
	}
	return nil
}

const attemptTimeout = 15 * time.Second

// client returns an HTTP client that reaches only what the guard lets it.
func (g guard) client() *http.Client {
	dialer := &net.Dialer{Timeout: 5 * time.Second, Control: g.Safe}
	return &http.Client{
		Timeout:       attemptTimeout,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		Transport: &http.Transport{
			DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
				conn, err := dialer.DialContext(ctx, network, address)
				if errors.Is(err, ssrf.ErrProhibitedIP) || errors.Is(err, ssrf.ErrProhibitedNetwork) {
					return nil, errAddress
				}
				return conn, err
			},
			TLSHandshakeTimeout: 5 * time.Second, ResponseHeaderTimeout: attemptTimeout,
			MaxResponseHeaderBytes: 16 << 10, MaxIdleConns: 32, IdleConnTimeout: time.Minute, ForceAttemptHTTP2: true,
		},
	}
}
