package console

import (
	"context"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"time"

	"github.com/jellydator/ttlcache/v3"
	"golang.org/x/crypto/chacha20poly1305"
	"golang.org/x/sync/singleflight"
)

// cookieName makes the browser hold the cookie to this host, this path and TLS.
const cookieName = "__Host-sallyport"

// session is what the cookie holds, sealed.
type session struct {
	Access  string `json:"a"`
	Refresh string `json:"r"`
	Expires int64  `json:"e"` // when the access token does, Unix seconds
}

// tokens is what the API gives for a login or a refresh.
type tokens struct {
	Access  string `json:"access_token"`
	Refresh string `json:"refresh_token"`
	Seconds int    `json:"expires_in"`
}

func (t tokens) session(now time.Time) *session {
	return &session{Access: t.Access, Refresh: t.Refresh, Expires: now.Add(time.Duration(t.Seconds) * time.Second).Unix()}
}

// early is how long before its end an access token is renewed: a call that
// begins with it has its time.
const early = time.Minute

func (s *session) expired(now time.Time) bool { return now.Add(early).Unix() >= s.Expires }

// id names the session's tokens in memory, without holding them there.
func (s *session) id() string {
	sum := sha256.Sum256([]byte(s.Refresh))
	return string(sum[:])
}

// sealer seals sessions, so that a browser holds what it cannot read or make.
type sealer struct{ aead cipher.AEAD }

func newSealer(secret []byte, site string) (*sealer, error) {
	key, err := hkdf.Key(sha256.New, secret, []byte(site), "sallyport console session v1", chacha20poly1305.KeySize)
	if err != nil {
		return nil, fmt.Errorf("derive the key of sessions: %w", err)
	}
	aead, err := chacha20poly1305.NewX(key)
	if err != nil {
		return nil, fmt.Errorf("prepare the sealing of sessions: %w", err)
	}
	return &sealer{aead}, nil
}

func (s *sealer) seal(of *session) (string, error) {
	text, err := json.Marshal(of)
	if err != nil {
		return "", fmt.Errorf("encode a session: %w", err)
	}
	nonce := make([]byte, s.aead.NonceSize(), s.aead.NonceSize()+len(text)+s.aead.Overhead())
	if _, err := rand.Read(nonce); err != nil {
		return "", fmt.Errorf("seal a session: %w", err)
	}
	return base64.RawURLEncoding.EncodeToString(s.aead.Seal(nonce, nonce, text, []byte(cookieName))), nil
}

// sessionOf returns the session that a browser shows; nil: none that was made
// here.
func (s *sealer) sessionOf(r *http.Request) *session {
	c, err := r.Cookie(cookieName)
	if err != nil {
		return nil
	}
	raw, err := base64.RawURLEncoding.DecodeString(c.Value)
	if err != nil || len(raw) < s.aead.NonceSize() {
		return nil
	}
	nonce, sealed := raw[:s.aead.NonceSize()], raw[s.aead.NonceSize():]
	text, err := s.aead.Open(nil, nonce, sealed, []byte(cookieName))
	if err != nil {
		return nil
	}
	of := &session{}
	if err := json.Unmarshal(text, of); err != nil {
		return nil
	}
	return of
}

// keep has the browser hold a session.
func (v *visit) keep(s *session) error {
	sealed, err := v.console.sealer.seal(s)
	if err != nil {
		return err
	}
	v.session = s
	v.setCookie(sealed, 0)
	return nil
}

// forget has the browser hold none.
func (v *visit) forget() {
	if v.session != nil || v.r.Header.Get("Cookie") != "" {
		v.setCookie("", -1)
	}
	v.session, v.user = nil, nil
}

func (v *visit) setCookie(value string, age int) {
	http.SetCookie(v.w, &http.Cookie{Name: cookieName, Value: value, Path: "/", MaxAge: age,
		Secure: true, HttpOnly: true, SameSite: http.SameSiteStrictMode})
}

// renewals are tokens that were renewed a moment ago. A browser sends several
// calls with the same cookie at once, and each would spend the refresh token.
type renewals struct {
	recent *ttlcache.Cache[string, *session]
	flight singleflight.Group
}

// remembered is how long calls with the cookie of before still get the same
// successor. The API would give them another for ten seconds, and then end the
// session, because somebody seems to have a copy.
const (
	remembered     = time.Minute
	mostRemembered = 10_000
)

func newRenewals() *renewals {
	return &renewals{recent: ttlcache.New(ttlcache.WithTTL[string, *session](remembered),
		ttlcache.WithCapacity[string, *session](mostRemembered), ttlcache.WithDisableTouchOnHit[string, *session]())}
}

// renew gets new tokens for the session's.
func (v *visit) renew() error {
	k, old := v.console, v.session
	made, err, _ := k.renewals.flight.Do(old.id(), func() (any, error) {
		if known := k.renewals.recent.Get(old.id()); known != nil {
			return known.Value(), nil
		}
		// Who waits with this one must not fail because its browser went away.
		whole := *v
		whole.r = v.r.WithContext(context.WithoutCancel(v.r.Context()))
		var t tokens
		if _, err := whole.plainly(http.MethodPost, "/auth/refresh", map[string]string{"refresh_token": old.Refresh}, &t); err != nil {
			return nil, err
		}
		next := t.session(k.Now())
		k.renewals.recent.Set(old.id(), next, ttlcache.DefaultTTL)
		return next, nil
	})
	if err != nil {
		return signedOut(err)
	}
	next, _ := made.(*session)
	return v.keep(next)
}

// signedOut turns a refusal of a refresh token into the end of the session. A
// site that does not answer ends none.
func signedOut(err error) error {
	if p, ok := err.(*problem); ok && p.Status == http.StatusUnauthorized { //nolint:errorlint // as readProblem returns it
		return errSignedOut
	}
	return err
}

// plainly calls the API without a session's access token.
func (v *visit) plainly(method, path string, body, into any) (http.Header, error) {
	bare := *v
	bare.session = nil
	return bare.callOnce(method, path, body, into, nil)
}
