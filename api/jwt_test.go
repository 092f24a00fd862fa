package api_test

import (
	"crypto/ed25519"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"math/big"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"sallyport/api/token"
	"sallyport/domain"
	"sallyport/eventstore"
)

// forger makes tokens with the site's own key: each differs from a good one in
// exactly what its test says.
type forger struct {
	key    ed25519.PrivateKey
	header map[string]any
	claims map[string]any
}

func (s *site) forger(user string) forger {
	now := s.now().Unix()
	return forger{s.key, map[string]any{"alg": "EdDSA", "typ": token.Type, "kid": token.KeyID(s.key.Public().(ed25519.PublicKey))},
		map[string]any{"iss": "core", "sub": user, "aud": []string{token.Audience}, "iat": now, "exp": now + 600}}
}

func part(v any) string {
	text, isText := v.(string)
	if !isText {
		b, err := json.Marshal(v)
		if err != nil {
			panic(err)
		}
		text = string(b)
	}
	return base64.RawURLEncoding.EncodeToString([]byte(text))
}

// signed signs whatever the two parts are, be they objects or text.
func (f forger) signed(header, claims any) string {
	text := part(header) + "." + part(claims)
	return text + "." + base64.RawURLEncoding.EncodeToString(ed25519.Sign(f.key, []byte(text)))
}

// with is a map with some members changed; nil: left out.
func with(m map[string]any, change map[string]any) map[string]any {
	out := map[string]any{}
	for k, v := range m {
		out[k] = v
	}
	for k, v := range change {
		if out[k] = v; v == nil {
			delete(out, k)
		}
	}
	return out
}

// malleable is a token whose signature has the group's order added to S: an
// equal one, but for verifiers that do not look.
func malleable(text string) string {
	cut := strings.LastIndex(text, ".")
	sig, err := base64.RawURLEncoding.DecodeString(text[cut+1:])
	if err != nil {
		panic(err)
	}
	order, _ := new(big.Int).SetString("7237005577332262213973186563042994240857116359379907606001950938285454250989", 10)
	le := func(b []byte) []byte {
		out := make([]byte, 32)
		for i := range b {
			out[len(b)-1-i] = b[i]
		}
		return out
	}
	sum := new(big.Int).Add(new(big.Int).SetBytes(le(sig[32:])), order).FillBytes(make([]byte, 32))
	return text[:cut+1] + base64.RawURLEncoding.EncodeToString(append(sig[:32:32], le(sum)...))
}

// The attacks on tokens that are known, each against the running API.
func TestAttacksOnTokens(t *testing.T) {
	t.Parallel()
	core := newCore(t)
	root := core.idOf("root")
	f := core.forger(root)
	good := f.signed(f.header, f.claims)
	core.call("GET", "/auth/me", good, "").want(t, 200, "") // else this test sees nothing
	parts := strings.Split(good, ".")
	header := func(change map[string]any) string { return f.signed(with(f.header, change), f.claims) }
	claims := func(change map[string]any) string { return f.signed(f.header, with(f.claims, change)) }
	hs256 := func(secret []byte) string {
		text := part(with(f.header, map[string]any{"alg": "HS256"})) + "." + parts[1]
		mac := hmac.New(sha256.New, secret)
		mac.Write([]byte(text))
		return text + "." + base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
	}
	_, theirs, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	own := forger{theirs, f.header, f.claims}
	jwk := map[string]any{"kty": "OKP", "crv": "Ed25519", "x": base64.RawURLEncoding.EncodeToString(theirs.Public().(ed25519.PublicKey))}
	injected := func(change map[string]any) string { return own.signed(with(f.header, change), f.claims) }
	now := core.now().Unix()
	attacks := map[string]string{
		"alg none, no signature":     part(with(f.header, map[string]any{"alg": "none"})) + "." + parts[1] + ".",
		"alg none, signed":           header(map[string]any{"alg": "none"}),
		"alg NONE":                   part(with(f.header, map[string]any{"alg": "NONE"})) + "." + parts[1] + ".",
		"alg left out":               header(map[string]any{"alg": nil}),
		"alg a list":                 header(map[string]any{"alg": []string{"EdDSA", "none"}}),
		"public key as HMAC secret":  hs256(core.key.Public().(ed25519.PublicKey)),
		"kid as HMAC secret":         hs256([]byte(f.header["kid"].(string))),
		"empty HMAC secret":          hs256(nil),
		"another key":                own.signed(f.header, f.claims),
		"jwk injected":               injected(map[string]any{"jwk": jwk}),
		"jku injected":               injected(map[string]any{"jku": "https://evil.example/jwks.json"}),
		"x5u injected":               injected(map[string]any{"x5u": "https://evil.example/cert.pem"}),
		"x5c injected":               injected(map[string]any{"x5c": []string{"MIIB"}}),
		"kid of another key":         injected(map[string]any{"kid": token.KeyID(theirs.Public().(ed25519.PublicKey))}),
		"kid a path":                 injected(map[string]any{"kid": "../../../../dev/null"}),
		"kid the key's file":         injected(map[string]any{"kid": "keys/tokens.pem"}),
		"kid SQL":                    injected(map[string]any{"kid": "x' UNION SELECT 'secret"}),
		"kid a URL":                  injected(map[string]any{"kid": "https://evil.example/key"}),
		"kid null":                   header(map[string]any{"kid": nil}),
		"kid an object":              header(map[string]any{"kid": jwk}),
		"crit":                       header(map[string]any{"crit": []string{"exp"}}),
		"b64 false":                  header(map[string]any{"b64": false, "crit": []string{"b64"}}),
		"zip":                        header(map[string]any{"zip": "DEF"}),
		"typ JWT":                    header(map[string]any{"typ": "JWT"}),
		"typ of an id token":         header(map[string]any{"typ": "id+jwt"}),
		"typ left out":               header(map[string]any{"typ": nil}),
		"nested in a JWE":            good + ".x.y",
		"iss of the other site":      claims(map[string]any{"iss": "field"}),
		"iss a list":                 claims(map[string]any{"iss": []string{"core"}}),
		"iss left out":               claims(map[string]any{"iss": nil}),
		"aud of others":              claims(map[string]any{"aud": "elsewhere"}),
		"aud left out":               claims(map[string]any{"aud": nil}),
		"aud empty":                  claims(map[string]any{"aud": []string{}}),
		"expired":                    claims(map[string]any{"exp": now - 1}),
		"expired long ago":           claims(map[string]any{"exp": 0}),
		"exp left out":               claims(map[string]any{"exp": nil}),
		"exp text":                   claims(map[string]any{"exp": "9999999999"}),
		"exp beyond numbers":         f.signed(f.header, `{"iss":"core","sub":"`+root+`","aud":["sallyport"],"exp":1e999}`),
		"not yet valid":              claims(map[string]any{"nbf": now + 600}),
		"issued in the future":       claims(map[string]any{"iat": now + 600}),
		"sub left out":               claims(map[string]any{"sub": nil}),
		"sub empty":                  claims(map[string]any{"sub": ""}),
		"sub of nobody":              claims(map[string]any{"sub": "01a20351-498a-7e70-a315-478c02f0c07c"}),
		"sub SQL":                    claims(map[string]any{"sub": "' OR true --"}),
		"sub a list":                 claims(map[string]any{"sub": []string{root}}),
		"no claims":                  f.signed(f.header, map[string]any{}),
		"claims a list":              f.signed(f.header, "[]"),
		"claims null":                f.signed(f.header, "null"),
		"claims no JSON":             f.signed(f.header, "{"),
		"header with a name twice":   f.signed(`{"alg":"none","typ":"at+jwt","kid":"`+f.header["kid"].(string)+`","alg":"EdDSA"}`, f.claims),
		"header with kid twice":      f.signed(`{"alg":"EdDSA","typ":"at+jwt","kid":"x","kid":"`+f.header["kid"].(string)+`"}`, f.claims),
		"claims with sub twice":      f.signed(f.header, `{"iss":"core","sub":"x","sub":"`+root+`","aud":["sallyport"],"exp":`+json.Number(big.NewInt(now+600).String()).String()+`}`),
		"data behind the header":     f.signed(`{"alg":"EdDSA","typ":"at+jwt","kid":"`+f.header["kid"].(string)+`"}{}`, f.claims),
		"data behind the claims":     f.signed(f.header, mustJSON(f.claims)+"{}"),
		"data behind the token":      good + "x",
		"a fourth part":              good + ".",
		"a space behind":             good + " ",
		"padding":                    good + "==",
		"a NUL behind":               good + "\x00",
		"two tokens":                 good + "," + good,
		"standard alphabet":          strings.ReplaceAll(strings.ReplaceAll(good, "-", "+"), "_", "/") + "/",
		"signature of another token": parts[0] + "." + part(with(f.claims, map[string]any{"exp": now + 9000})) + "." + parts[2],
		"signature cut":              good[:len(good)-4],
		"signature empty":            parts[0] + "." + parts[1] + ".",
		"signature of zeros":         parts[0] + "." + parts[1] + "." + part(strings.Repeat("\x00", 64)),
		"signature malleable":        malleable(good),
		"signature's last bits":      lastBits(good),
		"only dots":                  "..",
		"megabytes of dots":          strings.Repeat(".", 4<<20),
		"megabytes of token":         claims(map[string]any{"pad": strings.Repeat("x", 4<<20)}),
		"deep claims":                f.signed(f.header, strings.Repeat("[", 1000)+strings.Repeat("]", 1000)),
		"empty":                      "",
		"a refresh token":            strings.Repeat("A", 43),
	}
	for name, attack := range attacks {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for range 2 { // what was refused is not remembered as good
				r := httptest.NewRequestWithContext(t.Context(), "GET", "/auth/me", nil)
				r.Header.Set("Authorization", "Bearer "+attack)
				if got := core.do(r); got.StatusCode != 401 || got.code() != "invalid-token" {
					t.Errorf("answered %d %s", got.StatusCode, got.text)
				}
			}
		})
	}
}

func mustJSON(v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return string(b)
}

// lastBits is another spelling of the same signature: base64 of 64 bytes ends
// in four bits that mean nothing.
func lastBits(text string) string {
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
	last := strings.IndexByte(alphabet, text[len(text)-1])
	return text[:len(text)-1] + string(alphabet[last|1])
}

// A token that was good is refused on the call after what ends it.
func TestTokensEndOnTheNextCall(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		end  func(core *site, user, refresh string)
		code string
	}{
		"logout": {func(core *site, _, refresh string) {
			core.call("POST", "/auth/logout", "", `{"refresh_token":"`+refresh+`"}`).want(t, 204, "")
		}, "invalid-token"},
		"deactivation": {func(core *site, user, _ string) {
			core.append(eventstore.Write{Stream: user, Expected: eventstore.Any, Facts: []domain.Fact{domain.UserDeactivated{Reason: "left"}}})
		}, "invalid-token"},
		"another role": {func(core *site, user, _ string) {
			core.append(eventstore.Write{Stream: user, Expected: eventstore.Any, Facts: []domain.Fact{domain.UserRoleChanged{Role: domain.RoleUser}}})
		}, "role-not-allowed"},
		"another password": {func(core *site, user, _ string) {
			core.append(eventstore.Write{Stream: user, Expected: eventstore.Any, Facts: []domain.Fact{domain.UserPasswordChanged{
				Credential: domain.Credential{Algorithm: "bcrypt", Hash: "$2a$10$x"}}}})
		}, "invalid-token"},
		"time": {func(core *site, _, _ string) { core.clock.Add(int64(token.Lifetime + time.Second)) }, "invalid-token"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			core := newCore(t)
			access, refresh := core.login("root")
			core.warm(access) // verified before, and the user known
			core.call("GET", "/users", access, "").want(t, 200, "")
			c.end(core, domain.UserStream(core.idOf("root")), refresh)
			if got := core.call("GET", "/users", access, ""); got.code() != c.code {
				t.Errorf("answered %d %s", got.StatusCode, got.text)
			}
		})
	}
}
