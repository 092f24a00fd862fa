package token

import (
	"crypto/ed25519"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

type desk struct {
	*Authority
	key   ed25519.PrivateKey
	clock *atomic.Int64
}

func newDesk(t testing.TB) desk {
	t.Helper()
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	clock := &atomic.Int64{}
	clock.Store(1_800_000_000)
	a, err := New(Config{Site: "field", Signing: key, Now: func() time.Time { return time.Unix(clock.Load(), 0) }})
	if err != nil {
		t.Fatal(err)
	}
	return desk{a, key, clock}
}

func TestIssuedTokensVerify(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	text, err := d.Issue("user-1", "session-1")
	if err != nil {
		t.Fatal(err)
	}
	for range 2 { // the second time from memory
		c, err := d.Verify(text)
		if err != nil || c.User != "user-1" || c.Session != "session-1" {
			t.Fatalf("%+v, %v", c, err)
		}
	}
	d.clock.Add(int64(Lifetime/time.Second) - 1)
	if _, err := d.Verify(text); err != nil {
		t.Errorf("a second before it expires: %v", err)
	}
	d.clock.Add(1)
	if _, err := d.Verify(text); !errors.Is(err, ErrInvalid) {
		t.Errorf("expired, from memory: %v", err)
	}
}

func TestClosedSessions(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	text, err := d.Issue("user-1", "session-1")
	if err != nil {
		t.Fatal(err)
	}
	other, err := d.Issue("user-1", "session-2")
	if err != nil {
		t.Fatal(err)
	}
	d.CloseSession("session-1")
	if _, err := d.Verify(text); !errors.Is(err, ErrInvalid) {
		t.Errorf("of a closed session: %v", err)
	}
	if _, err := d.Verify(other); err != nil {
		t.Errorf("of another session: %v", err)
	}
}

func TestOlderKeys(t *testing.T) {
	t.Parallel()
	old := newDesk(t)
	text, err := old.Issue("user-1", "")
	if err != nil {
		t.Fatal(err)
	}
	now := newDesk(t)
	if _, err := now.Verify(text); !errors.Is(err, ErrInvalid) {
		t.Errorf("of a key that is not known: %v", err)
	}
	both, err := New(Config{Site: "field", Signing: now.key, Now: now.now,
		Verifying: []ed25519.PublicKey{old.key.Public().(ed25519.PublicKey)}})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := both.Verify(text); err != nil {
		t.Errorf("of an older key: %v", err)
	}
}

// forge signs what it is given, whatever it is.
func (d desk) forge(t *testing.T, header, claims map[string]any) string {
	t.Helper()
	return d.forgeText(segment(t, header) + "." + segment(t, claims))
}

func (d desk) forgeText(signed string) string {
	return signed + "." + base64.RawURLEncoding.EncodeToString(ed25519.Sign(d.key, []byte(signed)))
}

func segment(t *testing.T, v any) string {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return base64.RawURLEncoding.EncodeToString(b)
}

// good are the parts of a token that verifies, with some of them changed or,
// if nil, left out.
func (d desk) good(header, claims map[string]any) (map[string]any, map[string]any) {
	now := d.clock.Load()
	h := map[string]any{"alg": "EdDSA", "typ": Type, "kid": d.keys.Load().kid}
	c := map[string]any{"iss": "field", "sub": "user-1", "aud": []string{Audience}, "iat": now, "exp": now + 900}
	for to, from := range map[*map[string]any]map[string]any{&h: header, &c: claims} {
		for k, v := range from {
			if (*to)[k] = v; v == nil {
				delete(*to, k)
			}
		}
	}
	return h, c
}

type parts = map[string]any

func TestAttacks(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	now := d.clock.Load()
	h, c := d.good(nil, nil)
	if _, err := d.Verify(d.forge(t, h, c)); err != nil {
		t.Fatalf("the forger cannot make a good token: %v", err)
	}
	for name, change := range map[string][2]parts{
		"no algorithm":          {{"alg": "none"}, nil},
		"NoNe":                  {{"alg": "NoNe"}, nil},
		"another algorithm":     {{"alg": "HS256"}, nil},
		"lower case":            {{"alg": "eddsa"}, nil},
		"algorithm left out":    {{"alg": nil}, nil},
		"another type":          {{"typ": "JWT"}, nil},
		"type left out":         {{"typ": nil}, nil},
		"unknown kid":           {{"kid": "x"}, nil},
		"kid is a path":         {{"kid": "../../dev/null"}, nil},
		"kid is SQL":            {{"kid": "' OR 1=1 --"}, nil},
		"kid is a number":       {{"kid": 7}, nil},
		"kid left out":          {{"kid": nil}, nil},
		"key by address":        {{"jku": "https://evil.example/keys"}, nil},
		"key in the header":     {{"jwk": parts{"kty": "OKP"}}, nil},
		"certificate":           {{"x5u": "https://evil.example/cert"}, nil},
		"critical extension":    {{"crit": []string{"b64"}, "b64": false}, nil},
		"another issuer":        {nil, parts{"iss": "core"}},
		"issuer left out":       {nil, parts{"iss": nil}},
		"another audience":      {nil, parts{"aud": []string{"other"}}},
		"audience left out":     {nil, parts{"aud": nil}},
		"expired":               {nil, parts{"exp": now}},
		"never expires":         {nil, parts{"exp": nil}},
		"expires in words":      {nil, parts{"exp": "tomorrow"}},
		"not yet":               {nil, parts{"nbf": now + 60}},
		"issued in the future":  {nil, parts{"iat": now + 60}},
		"nobody":                {nil, parts{"sub": ""}},
		"nobody, left out":      {nil, parts{"sub": nil}},
		"subject is an object":  {nil, parts{"sub": parts{"id": 1}}},
		"session is a number":   {nil, parts{"sid": 1}},
		"larger than the bound": {nil, parts{"pad": strings.Repeat("x", maxBytes)}},
	} {
		h, c := d.good(change[0], change[1])
		if _, err := d.Verify(d.forge(t, h, c)); !errors.Is(err, ErrInvalid) {
			t.Errorf("%s: %v, want ErrInvalid", name, err)
		}
	}
}

func TestBrokenTokens(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	text, err := d.Issue("user-1", "")
	if err != nil {
		t.Fatal(err)
	}
	cut := strings.Split(text, ".")
	mac := hmac.New(sha256.New, d.key.Public().(ed25519.PublicKey))
	confused := segment(t, parts{"alg": "HS256", "typ": Type, "kid": d.keys.Load().kid}) + "." + cut[1]
	mac.Write([]byte(confused))
	unsigned, err := jwt.NewWithClaims(jwt.SigningMethodNone, jwt.MapClaims{"sub": "user-1"}).SignedString(jwt.UnsafeAllowNoneSignatureType)
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{
		"empty":                  "",
		"dots":                   "..",
		"a megabyte of dots":     strings.Repeat(".", 1<<20),
		"within bounds, of dots": strings.Repeat(".", maxBytes),
		"no signature":           cut[0] + "." + cut[1] + ".",
		"two parts":              cut[0] + "." + cut[1],
		"four parts":             text + ".x",
		"public key as a secret": confused + "." + base64.RawURLEncoding.EncodeToString(mac.Sum(nil)),
		"none":                   unsigned,
		"padded":                 text + "=",
		"space before":           " " + text,
		"line feed after":        text + "\n",
		"other claims":           cut[0] + "." + segment(t, parts{"sub": "root"}) + "." + cut[2],
	} {
		if _, err := d.Verify(text); !errors.Is(err, ErrInvalid) {
			t.Errorf("%s: %v, want ErrInvalid", name, err)
		}
	}
	for i := range text {
		changed := []byte(text)
		changed[i] ^= 1
		if _, err := d.Verify(string(changed)); !errors.Is(err, ErrInvalid) {
			t.Fatalf("byte %d changed: %v, want ErrInvalid", i, err)
		}
	}
}

func TestMemoryIsBounded(t *testing.T) {
	t.Parallel()
	v, now := newVerified(100), time.Unix(1_800_000_000, 0)
	for i := range 1000 {
		v.put(sha256.Sum256([]byte{byte(i), byte(i >> 8)}), Claims{Expires: now.Add(time.Minute)}, "kid", now)
	}
	if n := len(v.tokens); n > 100 {
		t.Errorf("%d tokens are remembered, want at most 100", n)
	}
}

func BenchmarkVerify(b *testing.B) {
	d := newDesk(b)
	text, err := d.Issue("user-1", "session-1")
	if err != nil {
		b.Fatal(err)
	}
	b.Run("known", func(b *testing.B) {
		for b.Loop() {
			if _, err := d.Verify(text); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("new", func(b *testing.B) {
		for b.Loop() {
			clear(d.verified.tokens)
			if _, err := d.Verify(text); err != nil {
				b.Fatal(err)
			}
		}
	})
}
