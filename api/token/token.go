package token

import (
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"time"

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
	signing  ed25519.PrivateKey
	kid      string
	keys     map[string]ed25519.PublicKey
	now      func() time.Time
	parser   *jwt.Parser
	verified *verified
	closed   *closed
}

// New returns a site's authority.
func New(c Config) (*Authority, error) {
	if c.Site == "" || len(c.Signing) != ed25519.PrivateKeySize {
		return nil, errors.New("access tokens need the site's name and an Ed25519 private key")
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	public := c.Signing.Public().(ed25519.PublicKey)
	a := &Authority{site: c.Site, signing: c.Signing, kid: KeyID(public), now: c.Now,
		keys: map[string]ed25519.PublicKey{}, verified: newVerified(maxVerified), closed: newClosed()}
	for _, k := range append([]ed25519.PublicKey{public}, c.Verifying...) {
		if len(k) != ed25519.PublicKeySize {
			return nil, errors.New("a key for verifying access tokens is no Ed25519 public key")
		}
		a.keys[KeyID(k)] = k
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

// Issue makes a token for a user within a session; the session may be empty.
func (a *Authority) Issue(user, session string) (string, error) {
	now := a.now()
	t := jwt.NewWithClaims(jwt.SigningMethodEdDSA, claims{Session: session, RegisteredClaims: jwt.RegisteredClaims{
		Issuer: a.site, Subject: user, Audience: jwt.ClaimStrings{Audience},
		IssuedAt: jwt.NewNumericDate(now), ExpiresAt: jwt.NewNumericDate(now.Add(Lifetime))}})
	t.Header["typ"], t.Header["kid"] = Type, a.kid
	signed, err := t.SignedString(a.signing)
	if err != nil {
		return "", fmt.Errorf("sign an access token: %w", err)
	}
	return signed, nil
}

// Verify returns what a token says, or [ErrInvalid].
func (a *Authority) Verify(token string) (Claims, error) {
	if len(token) > maxBytes || strings.Trim(token, alphabet) != "" {
		return Claims{}, ErrInvalid
	}
	sum, now := sha256.Sum256([]byte(token)), a.now()
	if c, ok := a.verified.get(sum, now); ok {
		return a.unlessClosed(c, now)
	}
	var c claims
	if _, err := a.parser.ParseWithClaims(token, &c, a.key); err != nil || c.Subject == "" {
		return Claims{}, ErrInvalid
	}
	out := Claims{User: c.Subject, Session: c.Session, Expires: c.ExpiresAt.Time}
	a.verified.put(sum, out, now)
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

// key finds the key of a token whose header holds exactly what Issue writes.
func (a *Authority) key(t *jwt.Token) (any, error) {
	kid, _ := t.Header["kid"].(string)
	key, ok := a.keys[kid]
	if !ok || len(t.Header) != 3 || t.Header["typ"] != Type {
		return nil, ErrInvalid
	}
	return key, nil
}
