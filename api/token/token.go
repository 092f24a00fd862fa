package token

import (
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"maps"
	"strings"
	"sync/atomic"
	"time"

	strict "github.com/go-json-experiment/json"
	"github.com/golang-jwt/jwt/v5"
)

const (
	// Audience is what every access token is for.
	Audience = "sallyport"
	// Lifetime is how long an access token is valid.
	Lifetime = 15 * time.Minute
	// Type is the typ of the header (RFC 9068, 2.1).
	Type = "at+jwt"
	// maxBytes bounds a token before anything of it is looked at.
	maxBytes = 2048
	// usualBytes is what a token of ours fits in: no memory is taken for it.
	usualBytes = 512
	// maxVerified bounds how many verified tokens are remembered.
	maxVerified = 1 << 16
)

// alphabet is what a token is written in. Decoders of base64 skip line feeds,
// so that one token would have many spellings.
const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_."

// ErrInvalid says that a token is not one of this site's or has expired. Why
// is not said: whoever holds a good one has no use for it.
var ErrInvalid = errors.New("the access token is not valid here or has expired: log in again")

// Config says whose tokens these are. All fields but Verifying and Now are
// required.
type Config struct {
	// Site is the issuer.
	Site string
	// Signing makes new tokens; they are verified with its public half.
	Signing ed25519.PrivateKey
	// Verifying are older keys whose tokens are still accepted.
	Verifying []ed25519.PublicKey
	// Now is the clock; nil means time.Now.
	Now func() time.Time
}

// Claims is what a verified token says.
type Claims struct {
	User    string
	Session string // empty: of no session that can be closed
	Expires time.Time
}

// Authority issues and verifies the tokens of one site. It is safe for
// concurrent use.
type Authority struct {
	site     string
	keys     atomic.Pointer[keys]
	now      func() time.Time
	parser   *jwt.Parser
	verified *verified
	closed   *closed
}

// keys is what signs and what is believed at one moment.
type keys struct {
	signing  ed25519.PrivateKey
	kid      string
	believed map[string]ed25519.PublicKey
}

// SetKeys changes the keys; one caller at a time. Tokens that were verified by one that is not among
// them any more are refused from now on.
func (a *Authority) SetKeys(signing ed25519.PrivateKey, verifying []ed25519.PublicKey) error {
	if len(signing) != ed25519.PrivateKeySize {
		return errors.New("access tokens need an Ed25519 private key")
	}
	public := signing.Public().(ed25519.PublicKey)
	next := &keys{signing: signing, kid: KeyID(public), believed: map[string]ed25519.PublicKey{KeyID(public): public}}
	for _, k := range verifying {
		if len(k) != ed25519.PublicKeySize {
			return errors.New("a key for verifying access tokens is no Ed25519 public key")
		}
		next.believed[KeyID(k)] = k
	}
	before := a.keys.Load()
	if before != nil && before.kid == next.kid && maps.EqualFunc(before.believed, next.believed, func(a, b ed25519.PublicKey) bool { return a.Equal(b) }) {
		return nil
	}
	a.keys.Store(next)
	if before == nil {
		return nil
	}
	for kid := range before.believed {
		if next.believed[kid] == nil {
			a.verified.forget(kid)
		}
	}
	return nil
}

// New returns a site's authority.
func New(c Config) (*Authority, error) {
	if c.Site == "" {
		return nil, errors.New("access tokens need the site's name")
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	a := &Authority{site: c.Site, now: c.Now, verified: newVerified(maxVerified), closed: newClosed()}
	if err := a.SetKeys(c.Signing, c.Verifying); err != nil {
		return nil, err
	}
	a.parser = jwt.NewParser(jwt.WithValidMethods([]string{jwt.SigningMethodEdDSA.Alg()}),
		jwt.WithIssuer(c.Site), jwt.WithAudience(Audience), jwt.WithExpirationRequired(), jwt.WithIssuedAt(),
		jwt.WithStrictDecoding(), jwt.WithTimeFunc(c.Now))
	return a, nil
}

// KeyID returns the kid under which tokens of a key are verified.
func KeyID(key ed25519.PublicKey) string {
	sum := sha256.Sum256(key)
	return base64.RawURLEncoding.EncodeToString(sum[:12])
}

type claims struct {
	jwt.RegisteredClaims
	Session string `json:"sid,omitempty"`
}

// UnmarshalJSON takes exactly what Issue writes: each name once, no other, and
// no text in the place of a number.
func (c *claims) UnmarshalJSON(b []byte) error {
	var w struct {
		Issuer   string   `json:"iss"`
		Subject  string   `json:"sub"`
		Audience []string `json:"aud"`
		Expires  *int64   `json:"exp"`
		Issued   *int64   `json:"iat"`
		Session  string   `json:"sid"`
	}
	if err := strict.Unmarshal(b, &w, strict.RejectUnknownMembers(true)); err != nil {
		return err
	}
	if w.Expires == nil || w.Issued == nil {
		return ErrInvalid
	}
	*c = claims{Session: w.Session, RegisteredClaims: jwt.RegisteredClaims{Issuer: w.Issuer, Subject: w.Subject, Audience: w.Audience,
		ExpiresAt: jwt.NewNumericDate(time.Unix(*w.Expires, 0)), IssuedAt: jwt.NewNumericDate(time.Unix(*w.Issued, 0))}}
	return nil
}

// Issue makes a token for a user within a session; the session may be empty.
func (a *Authority) Issue(user, session string) (string, error) {
	now, keys := a.now(), a.keys.Load()
	t := jwt.NewWithClaims(jwt.SigningMethodEdDSA, claims{Session: session, RegisteredClaims: jwt.RegisteredClaims{
		Issuer: a.site, Subject: user, Audience: jwt.ClaimStrings{Audience},
		IssuedAt: jwt.NewNumericDate(now), ExpiresAt: jwt.NewNumericDate(now.Add(Lifetime))}})
	t.Header["typ"], t.Header["kid"] = Type, keys.kid
	signed, err := t.SignedString(keys.signing)
	if err != nil {
		return "", fmt.Errorf("sign an access token: %w", err)
	}
	return signed, nil
}

// Verify returns what a token says, or [ErrInvalid].
func (a *Authority) Verify(token string) (Claims, error) {
	if len(token) > maxBytes {
		return Claims{}, ErrInvalid
	}
	text := append(make([]byte, 0, usualBytes), token...)
	sum, now := sha256.Sum256(text), a.now()
	if c, ok := a.verified.get(sum, now); ok {
		return a.unlessClosed(c, now)
	}
	if strings.Trim(token, alphabet) != "" {
		return Claims{}, ErrInvalid
	}
	var c claims
	keys := a.keys.Load()
	parsed, err := a.parser.ParseWithClaims(token, &c, keys.find)
	if err != nil || c.Subject == "" {
		return Claims{}, ErrInvalid
	}
	out := Claims{User: c.Subject, Session: c.Session, Expires: c.ExpiresAt.Time}
	if a.verified.put(sum, out, parsed.Header["kid"].(string), now); a.keys.Load() != keys { // they were changed meanwhile
		a.verified.drop(sum)
	}
	return a.unlessClosed(out, now)
}

func (a *Authority) unlessClosed(c Claims, now time.Time) (Claims, error) {
	if a.closed.has(c.Session, now) {
		return Claims{}, ErrInvalid
	}
	return c, nil
}

// CloseSession refuses the tokens of a session from now on, in this process:
// others must be told too. To tell it twice changes nothing.
func (a *Authority) CloseSession(session string) { a.closed.add(session, a.now()) }

// find finds the key of a token whose header is, to the byte, what Issue writes
// for one of the keys.
func (k *keys) find(t *jwt.Token) (any, error) {
	kid, _ := t.Header["kid"].(string)
	key, ok := k.believed[kid]
	if header, _, _ := strings.Cut(t.Raw, "."); !ok || header != headerOf(kid) {
		return nil, ErrInvalid
	}
	return key, nil
}

func headerOf(kid string) string {
	return base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"EdDSA","kid":"` + kid + `","typ":"` + Type + `"}`))
}
