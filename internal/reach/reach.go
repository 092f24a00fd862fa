// Package reach makes HTTP clients that reach only what they may.
//
//	name ──DNS──▶ address ──▶ public, or in a network that is allowed? ──yes──▶ connection
//	                                         └──no──▶ [ErrAddress]
//
// # Promised
//
//   - Only public addresses are called, and those of the networks that are allowed.
//     What a name resolves to is looked at when the connection is made, so that no
//     name can lead elsewhere later.
//   - Redirects are not followed, and no proxy is used.
//   - [ErrAddress] does not say what a name resolved to.
package reach

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"net/http"
	"net/netip"
	"regexp"
	"strings"
	"time"

	"code.dny.dev/ssrf"
)

// ErrAddress refuses an address. It may be told to anybody.
var ErrAddress = errors.New("its address is not public, and this site's configuration does not allow it")

// Guard decides which addresses may be called. It is safe for concurrent use.
type Guard struct{ of *ssrf.Guardian }

// NewGuard returns a guard that admits public addresses and those of the
// networks.
func NewGuard(allow []netip.Prefix) Guard {
	var v4, v6 []netip.Prefix
	for _, p := range allow {
		if p = p.Masked(); p.Addr().Is4() {
			v4 = append(v4, p)
		} else {
			v6 = append(v6, p)
		}
	}
	return Guard{ssrf.New(ssrf.WithAnyPort(), ssrf.WithAllowedV4Prefixes(v4...), ssrf.WithAllowedV6Prefixes(v6...))}
}

// CheckHost refuses a host that is an address which would never be called. What
// a name resolves to is looked at when it is called.
func (g Guard) CheckHost(host string) error {
	if ip, named := netip.ParseAddr(host); named == nil {
		return g.admits(ip)
	}
	return nil
}

// CheckGiven is [Guard.CheckHost] for a host that any user may give: it also
// refuses the names of this machine, and addresses that are written as nobody
// writes them who has nothing to hide.
func (g Guard) CheckGiven(host string) error {
	name := strings.ToLower(strings.TrimSuffix(host, "."))
	switch {
	case name == "localhost", strings.HasSuffix(name, ".localhost"): // RFC 6761, 6.3
		if g.admits(netip.IPv6Loopback()) == nil {
			return nil
		}
		return g.admits(netip.AddrFrom4([4]byte{127, 0, 0, 1}))
	case endsInNumber.MatchString(name):
		if ip, err := netip.ParseAddr(name); err == nil {
			return g.admits(ip)
		}
		return ErrAddress
	}
	return g.CheckHost(host)
}

// endsInNumber matches what no name of a domain does, and what resolvers may
// take for an IPv4 address, such as 127.1, 2130706433 or 0x7f.1.
var endsInNumber = regexp.MustCompile(`(^|\.)([0-9]+|0x[0-9a-f]*)$`)

func (g Guard) admits(ip netip.Addr) error {
	if g.of.SafeAddr(ip.Unmap()) != nil {
		return ErrAddress
	}
	return nil
}

// Loopback reports whether a host is this machine by its name or address: what is
// sent there is seen by nobody on the way.
func Loopback(host string) bool {
	ip, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && ip.Unmap().IsLoopback()
}

const connectTime = 5 * time.Second

// Client returns an HTTP client that reaches only what the guard admits. A call
// takes at most limit. trust says which certificates it believes; nil: the
// machine's.
func (g Guard) Client(limit time.Duration, trust *tls.Config) *http.Client {
	dialer := &net.Dialer{Timeout: connectTime, Control: g.of.Safe}
	return &http.Client{
		Timeout:       limit,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		Transport: &http.Transport{
			DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
				conn, err := dialer.DialContext(ctx, network, address)
				if errors.Is(err, ssrf.ErrProhibitedIP) || errors.Is(err, ssrf.ErrProhibitedNetwork) {
					return nil, ErrAddress
				}
				return conn, err
			},
			TLSClientConfig: trust, TLSHandshakeTimeout: connectTime, ResponseHeaderTimeout: limit,
			MaxResponseHeaderBytes: 16 << 10, MaxIdleConns: 32, MaxIdleConnsPerHost: 8, IdleConnTimeout: time.Minute, ForceAttemptHTTP2: true,
		},
	}
}
