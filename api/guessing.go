package api

import (
	"context"
	"net/http"
	"net/netip"
	"time"

	"sallyport/api/throttle"
	"sallyport/domain"
)

// Failures that are free, and how soon one is forgiven.
var (
	// pairRule is for an account from an address: somebody who tries passwords.
	pairRule = throttle.Rule{Name: "pair", Burst: 10, Every: 30 * time.Second}
	// sourceRule is for an address: somebody who tries accounts.
	sourceRule = throttle.Rule{Name: "source", Burst: 100, Every: 3 * time.Second}
	// accountRule is for an account from anywhere: many who try its password.
	accountRule = throttle.Rule{Name: "account", Burst: 100, Every: 20 * time.Second}
	// ownRule is for the old password of somebody who is logged in.
	ownRule = throttle.Rule{Name: "own", Burst: 10, Every: 30 * time.Second}
	// refreshRule and keyRule are for what cannot be guessed, to bound the work.
	refreshRule = throttle.Rule{Name: "refresh", Burst: 100, Every: 3 * time.Second}
	keyRule     = throttle.Rule{Name: "apikey", Burst: 100, Every: 3 * time.Second}
)

// try is one try of a secret that could be guessed.
type try struct {
	server   *server
	call     *call
	username string // for the audit trail
	keys     []throttle.Key
	known    string // what is remembered when it was right; empty: nothing
}

func (s *server) try(c *call, username string, keys ...throttle.Key) try {
	return try{server: s, call: c, username: username, keys: keys}
}

// loginTry is a try at an account. Where somebody has logged in before, the
// guessing of others elsewhere does not count: they cannot lock the owner out.
func (s *server) loginTry(ctx context.Context, c *call, username string) try {
	source := sourceOf(c.RemoteAddr)
	pair := username + "\n" + source
	t := s.try(c, username, throttle.Key{Rule: pairRule, ID: pair}, throttle.Key{Rule: sourceRule, ID: source})
	t.known = pair
	if !s.known.Knows(ctx, pair, s.Now()) {
		t.keys = append(t.keys, throttle.Key{Rule: accountRule, ID: username})
	}
	return t
}

// blocked refuses a try before any work is done for it.
func (t try) blocked(ctx context.Context) error {
	return t.refuse(ctx, t.server.throttle.Blocked(ctx, t.server.Now(), t.keys...))
}

func (t try) refuse(ctx context.Context, wait time.Duration) error {
	if wait <= 0 {
		return nil
	}
	t.record(ctx, domain.RefusedThrottled)
	return &problem{Status: http.StatusTooManyRequests, code: "too-many-failures", retryAfter: wait,
		Detail: "too many failed tries; wait before you try again"}
}

// outcome judges a try: wrong says why it failed, or is empty, and refusal is
// then the answer. Even a right one is refused when too many are being made.
func (t try) outcome(ctx context.Context, wrong string, refusal error) error {
	now := t.server.Now()
	if err := t.refuse(ctx, t.server.throttle.Outcome(ctx, wrong != "", now, t.keys...)); err != nil {
		return err
	}
	if wrong != "" {
		t.record(ctx, wrong)
		return refusal
	}
	if t.known != "" {
		t.server.known.Remember(ctx, t.known, now)
	}
	return nil
}

// record leaves a record of a refusal. What goes wrong with it does not concern
// the one who is refused.
func (t try) record(ctx context.Context, reason string) {
	from := t.call.client()
	t.server.Refusals.Refused(ctx, domain.RefuseLogin(t.username, from.IP, reason, from.Agent, 1))
}

// sourceOf is an address as guessing is counted: all of an IPv6 network is one.
func sourceOf(remote string) string {
	ap, err := netip.ParseAddrPort(remote)
	if err != nil {
		return remote
	}
	address := ap.Addr().Unmap()
	if address.Is6() {
		if network, err := address.Prefix(64); err == nil {
			return network.String()
		}
	}
	return address.String()
}
