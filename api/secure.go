package api

import (
	"net/http"
	"net/netip"
	"slices"
	"strings"

	"github.com/rs/cors"
)

// Header values that never change; a response takes them without a copy.
var (
	noSniff     = []string{"nosniff"}
	noStore     = []string{"no-store"}
	noFrame     = []string{"DENY"}
	noReferrer  = []string{"no-referrer"}
	sameOrigin  = []string{"same-origin"}
	loadNothing = []string{"default-src 'none'; frame-ancestors 'none'"}
	useNothing  = []string{"camera=(), geolocation=(), microphone=(), payment=(), usb=()"}
	onlyTLS     = []string{"max-age=31536000"}
	jsonType    = []string{"application/json"}
	problemType = []string{"application/problem+json"}
)

// secure gives every answer the headers that keep a browser from doing more
// with it than it is for.
func (s *server) secure(c *call) {
	h := c.sent.Header()
	h["X-Request-Id"] = []string{c.id}
	h["Cache-Control"] = noStore
	h["X-Content-Type-Options"] = noSniff
	h["X-Frame-Options"] = noFrame
	h["Content-Security-Policy"] = loadNothing
	h["Referrer-Policy"] = noReferrer
	h["Cross-Origin-Opener-Policy"] = sameOrigin
	h["Cross-Origin-Resource-Policy"] = sameOrigin
	h["Permissions-Policy"] = useNothing
	if c.TLS != nil {
		h["Strict-Transport-Security"] = onlyTLS
	}
}

// newCORS lets pages of these origins call the API; nil if there are none.
// Cookies are not meant: the API knows none.
func newCORS(origins []string) *cors.Cors {
	if len(origins) == 0 {
		return nil
	}
	return cors.New(cors.Options{AllowedOrigins: origins,
		AllowedMethods: []string{get, http.MethodHead, post, put, http.MethodPatch, http.MethodDelete},
		AllowedHeaders: []string{"Authorization", "Content-Type", "Idempotency-Key", "If-Match", "If-None-Match", "Prefer", "Range", "X-API-Key", "X-Request-Id"},
		ExposedHeaders: []string{"Content-Disposition", "Content-Range", "ETag", "Idempotent-Replay", "Link", "Location", "RateLimit", "RateLimit-Policy",
			"Retry-After", "X-Cache", "X-Log-Position", "X-RateLimit-Backend", "X-RateLimit-Grace-Period-Ends", "X-RateLimit-Message",
			"X-RateLimit-Remaining-Day", "X-RateLimit-Remaining-Hour", "X-RateLimit-Remaining-Minute", "X-RateLimit-Remaining-Month",
			"X-RateLimit-Status", "X-Request-Id"},
		MaxAge: 600, OptionsSuccessStatus: http.StatusNoContent})
}

// preflight tells the browser of another place what it may do, and reports
// whether that was all that it asked.
func (s *server) preflight(w http.ResponseWriter, c *call) bool {
	if s.cors == nil {
		return false
	}
	s.cors.HandlerFunc(w, c.Request)
	return c.Method == http.MethodOptions && c.Header.Get("Access-Control-Request-Method") != ""
}

// caller returns the address that a call comes from. Only what a trusted proxy
// says of it is believed: the last one in the list that is no such proxy.
func (s *server) caller(r *http.Request) string {
	if len(s.TrustedProxies) == 0 {
		return r.RemoteAddr
	}
	peer, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil || !s.trusted(peer.Addr()) {
		return r.RemoteAddr
	}
	said := strings.Split(strings.Join(r.Header["X-Forwarded-For"], ","), ",")
	from := peer
	for _, text := range slices.Backward(said) {
		address, err := netip.ParseAddr(strings.TrimSpace(text))
		if err != nil {
			break
		}
		from = netip.AddrPortFrom(address.Unmap().WithZone(""), 0)
		if !s.trusted(address) {
			break
		}
	}
	return from.String()
}

func (s *server) trusted(a netip.Addr) bool {
	a = a.Unmap().WithZone("")
	return slices.ContainsFunc(s.TrustedProxies, func(p netip.Prefix) bool { return p.Contains(a) })
}
