package domain_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"reflect"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"sallyport/domain"
)

// refusal asserts that err is a refusal of this kind and code.
func refusal(t interface {
	Helper()
	Fatalf(string, ...any)
}, err error, kind domain.ErrorKind, code string) *domain.Error {
	t.Helper()
	var refused *domain.Error
	if !errors.As(err, &refused) || refused.Kind != kind || refused.Code != code {
		t.Fatalf("got %v, want kind %d, code %s", err, kind, code)
	}
	return refused
}

func pointers(e *domain.Error) (all []string) {
	for _, f := range e.Fields {
		all = append(all, f.Pointer)
	}
	return all
}

var hashed = domain.Credential{Algorithm: "argon2id", Hash: "$argon2id$v=19$x"}

func register() domain.RegisterUser {
	return domain.RegisterUser{Username: "alice", Email: "alice@example.org", FullName: "Alice", Role: domain.RoleUser,
		Profile: "standard", ProfileExists: true, Credential: hashed}
}

func TestRegisterUser(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name  string
		spoil func(*domain.RegisterUser)
		wrong []string
	}{
		{"all right", func(*domain.RegisterUser) {}, nil},
		{"shortest username", func(c *domain.RegisterUser) { c.Username = "abc" }, nil},
		{"longest username", func(c *domain.RegisterUser) { c.Username = strings.Repeat("a", 64) }, nil},
		{"no full name", func(c *domain.RegisterUser) { c.FullName = "" }, nil},
		{"full name of 200 letters", func(c *domain.RegisterUser) { c.FullName = strings.Repeat("ü", 200) }, nil},
		{"bcrypt", func(c *domain.RegisterUser) { c.Credential.Algorithm = "bcrypt" }, nil},
		{"username too short", func(c *domain.RegisterUser) { c.Username = "ab" }, []string{"/username"}},
		{"username too long", func(c *domain.RegisterUser) { c.Username = strings.Repeat("a", 65) }, []string{"/username"}},
		{"username in upper case", func(c *domain.RegisterUser) { c.Username = "Alice" }, []string{"/username"}},
		{"username of look-alikes", func(c *domain.RegisterUser) { c.Username = "аlice" }, []string{"/username"}},
		{"username with line feed", func(c *domain.RegisterUser) { c.Username = "alice\n" }, []string{"/username"}},
		{"username that ends in a dot", func(c *domain.RegisterUser) { c.Username = "alice." }, []string{"/username"}},
		{"email with a name", func(c *domain.RegisterUser) { c.Email = "Alice <alice@example.org>" }, []string{"/email"}},
		{"two emails", func(c *domain.RegisterUser) { c.Email = "a@b, c@d" }, []string{"/email"}},
		{"email too long", func(c *domain.RegisterUser) { c.Email = strings.Repeat("a", 250) + "@b.cd" }, []string{"/email"}},
		{"full name too long", func(c *domain.RegisterUser) { c.FullName = strings.Repeat("ü", 201) }, []string{"/full_name"}},
		{"full name with control character", func(c *domain.RegisterUser) { c.FullName = "a\x1b[31m" }, []string{"/full_name"}},
		{"full name of broken bytes", func(c *domain.RegisterUser) { c.FullName = "\xff" }, []string{"/full_name"}},
		{"unknown role", func(c *domain.RegisterUser) { c.Role = "root" }, []string{"/role"}},
		{"no profile", func(c *domain.RegisterUser) { c.ProfileExists = false }, []string{"/profile"}},
		{"password in the clear", func(c *domain.RegisterUser) { c.Credential = domain.Credential{Algorithm: "plain", Hash: "secret"} }, []string{"/password"}},
		{"no hash", func(c *domain.RegisterUser) { c.Credential.Hash = "" }, []string{"/password"}},
		{"all wrong", func(c *domain.RegisterUser) { *c = domain.RegisterUser{FullName: "\x00"} },
			[]string{"/username", "/email", "/full_name", "/role", "/profile", "/password"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			command := register()
			c.spoil(&command)
			facts, err := domain.User{}.Decide(command)
			if c.wrong != nil {
				if got := pointers(refusal(t, err, domain.Invalid, "invalid-user")); !reflect.DeepEqual(got, c.wrong) {
					t.Errorf("refused for %v, want %v", got, c.wrong)
				}
				return
			}
			want := domain.UserRegistered{Username: command.Username, Email: command.Email, FullName: command.FullName, Role: command.Role,
				Profile: command.Profile, Credential: command.Credential}
			if err != nil || !reflect.DeepEqual(facts, []domain.Fact{want}) {
				t.Errorf("got %v, %v", facts, err)
			}
		})
	}
}

func TestDefineProfile(t *testing.T) {
	t.Parallel()
	long := make([]string, 1001)
	for i := range long {
		long[i] = fmt.Sprintf("type-%d", i)
	}
	for _, c := range []struct {
		name  string
		given domain.ProfileDefined
		wrong []string
	}{
		{"bounds", domain.ProfileDefined{Name: "aa", Priority: 10, MaxResults: 1000, Limits: domain.Limits{Minute: 1_000_000_000}, Allowed: long[:1000]}, nil},
		{"name", domain.ProfileDefined{Name: "-a"}, []string{"/name"}},
		{"texts", domain.ProfileDefined{Name: "aa", DisplayName: strings.Repeat("x", 101), Description: strings.Repeat("x", 1001)}, []string{"/display_name", "/description"}},
		{"priority", domain.ProfileDefined{Name: "aa", Priority: 11}, []string{"/priority"}},
		{"negative priority", domain.ProfileDefined{Name: "aa", Priority: -1}, []string{"/priority"}},
		{"results", domain.ProfileDefined{Name: "aa", MaxResults: 1001}, []string{"/max_results"}},
		{"negative limit", domain.ProfileDefined{Name: "aa", Limits: domain.Limits{Month: -1}}, []string{"/limits"}},
		{"limit too large", domain.ProfileDefined{Name: "aa", Limits: domain.Limits{Day: math.MaxInt}}, []string{"/limits"}},
		{"lists", domain.ProfileDefined{Name: "aa", Allowed: long, Blocked: []string{"A"}}, []string{"/allowed_request_types", "/blocked_request_types"}},
		{"type limits", domain.ProfileDefined{Name: "aa", TypeLimits: map[string]domain.TypeLimit{"b": {}, "cc": {MaxResults: 1001}, "dd": {Limits: &domain.Limits{Hour: -1}}, "ee": {}}},
			[]string{"/type_limits/b", "/type_limits/cc", "/type_limits/dd"}},
		{"too many type limits", domain.ProfileDefined{Name: "aa", TypeLimits: func() map[string]domain.TypeLimit {
			m := map[string]domain.TypeLimit{}
			for _, n := range long {
				m[n] = domain.TypeLimit{}
			}
			return m
		}()}, []string{"/type_limits"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			_, err := domain.Profile{}.Decide(c.given)
			if c.wrong == nil && err != nil {
				t.Fatal(err)
			}
			if c.wrong != nil {
				if got := pointers(refusal(t, err, domain.Invalid, "invalid-profile")); !reflect.DeepEqual(got, c.wrong) {
					t.Errorf("refused for %v, want %v", got, c.wrong)
				}
			}
		})
	}
}

func TestProfileIsFilled(t *testing.T) {
	t.Parallel()
	facts, err := domain.Profile{}.Decide(domain.ProfileDefined{Name: "standard"})
	if err != nil {
		t.Fatal(err)
	}
	const want = `{"name":"standard","display_name":"","description":"","limits":{"minute":0,"hour":0,"day":0,"month":0},"priority":5,` +
		`"allowed_request_types":[],"blocked_request_types":[],"type_limits":{},"max_results":1000}`
	if got := string(encode(t, facts[0])); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

func TestDefineRequestType(t *testing.T) {
	t.Parallel()
	good := domain.DefineRequestType{Name: "airport", Title: "Airport", Parameters: json.RawMessage(`{}`), Public: true, Examples: 1}
	facts, err := domain.RequestType{}.Decide(good)
	want := domain.RequestTypeDefined{Name: "airport", Title: "Airport", Version: 1, Parameters: good.Parameters, MaxResults: 1000, Public: true}
	if err != nil || !reflect.DeepEqual(facts, []domain.Fact{want}) {
		t.Errorf("got %v, %v", facts, err)
	}
	bad := domain.DefineRequestType{Name: "A", Description: strings.Repeat("x", 1001), MaxResults: -1, SchemaError: errors.New("no schema")}
	_, err = domain.RequestType{}.Decide(bad)
	if got := pointers(refusal(t, err, domain.Invalid, "invalid-request-type")); len(got) != 5 {
		t.Errorf("refused for %v, want five parts", got)
	}
	good.Examples = 0
	_, err = domain.RequestType{}.Decide(good)
	if got := pointers(refusal(t, err, domain.Invalid, "invalid-request-type")); !slices.Equal(got, []string{"/parameters/examples"}) {
		t.Errorf("without an example refused for %v", got)
	}
}

func TestConfigureResponder(t *testing.T) {
	t.Parallel()
	good := domain.ResponderConfigured{Kind: domain.ResponderSQL, Source: "airports", Statement: "SELECT 1"}
	facts, err := domain.ResponderConfig{}.Decide(good)
	if err != nil || facts[0].(domain.ResponderConfigured).TimeoutMS != domain.DefaultTimeoutMS {
		t.Errorf("got %v, %v", facts, err)
	}
	bad := domain.ResponderConfigured{Kind: domain.ResponderSQL, Source: "/etc", Statement: strings.Repeat("x", 16<<10+1), TimeoutMS: 30_001, CacheSeconds: new(86_401)}
	_, err = domain.ResponderConfig{}.Decide(bad)
	if got := pointers(refusal(t, err, domain.Invalid, "invalid-responder")); len(got) != 4 {
		t.Errorf("refused for %v, want four parts", got)
	}
	good.Kind = "shell"
	_, err = domain.ResponderConfig{}.Decide(good)
	if got := pointers(refusal(t, err, domain.Invalid, "invalid-responder")); len(got) != 1 || got[0] != "/kind" {
		t.Errorf("refused for %v, want the kind", got)
	}
}

func submit() domain.SubmitRequest {
	return domain.SubmitRequest{Type: domain.RequestTypeDefined{Name: "airport", Version: 2, Public: true},
		Rights: domain.Rights{Active: true, Profile: &domain.ProfileDefined{Name: "standard", Priority: 6}}, User: "019a", Params: json.RawMessage(`{}`)}
}

func TestPriorityMayBeLoweredNotRaised(t *testing.T) {
	t.Parallel()
	if facts, err := (domain.Request{}).Decide(submit()); err != nil || facts[0].(domain.RequestSubmitted).Priority != 6 {
		t.Errorf("no priority: got %v, %v, want the profile's", facts, err)
	}
	for given, want := range map[int]int{0: -1, 1: 1, 5: 5, 6: 6, 7: -1, 10: -1, 11: -1, -1: -1} {
		c := submit()
		c.Priority = &given
		facts, err := domain.Request{}.Decide(c)
		if want < 0 {
			refusal(t, err, domain.Invalid, "invalid-request")
			continue
		}
		if err != nil || facts[0].(domain.RequestSubmitted).Priority != want {
			t.Errorf("priority %d: got %v, %v, want %d", given, facts, err, want)
		}
	}
}

func TestSubmitRequest(t *testing.T) {
	t.Parallel()
	forbidden := submit()
	forbidden.Type.Public = false
	forbidden.ParamErrors = []domain.FieldError{{Pointer: "/params/iata", Detail: "is missing"}}
	_, err := domain.Request{}.Decide(forbidden)
	refusal(t, err, domain.Forbidden, "type-not-allowed") // before anything about the parameters is told

	bad := submit()
	bad.Name = strings.Repeat("x", 201)
	bad.ParamErrors = append(make([]domain.FieldError, 0, 9), domain.FieldError{Pointer: "/params/iata", Detail: "is missing"})
	_, err = domain.Request{}.Decide(bad)
	if got := pointers(refusal(t, err, domain.Invalid, "invalid-request")); !reflect.DeepEqual(got, []string{"/params/iata", "/name"}) {
		t.Errorf("refused for %v", got)
	}
	if spare := bad.ParamErrors[:2][1]; spare != (domain.FieldError{}) {
		t.Errorf("deciding wrote %v into its command", spare)
	}
}

func TestOneOutcomeStands(t *testing.T) {
	t.Parallel()
	started, recorded, failed := domain.ResponseStarted{Worker: "w"}, domain.ResponseRecorded{Result: []byte(`[]`)}, domain.ResponseFailed{Code: "timeout"}
	for _, first := range []domain.Fact{recorded, failed} {
		r := domain.Response{}.Apply(started).Apply(first)
		for _, late := range []domain.Fact{started, domain.ResponseRetryScheduled{}, recorded, failed} {
			if _, err := r.Decide(late); !errors.Is(err, domain.ErrAnswered) {
				t.Errorf("%T after %T: got %v, want ErrAnswered", late, first, err)
			}
		}
	}
	var r domain.Response
	for attempt := 1; attempt <= 3; attempt++ {
		facts, err := r.Decide(started)
		if err != nil || facts[0].(domain.ResponseStarted).Attempt != attempt {
			t.Fatalf("got %v, %v, want attempt %d", facts, err, attempt)
		}
		r = r.Apply(facts[0])
		if facts, err = r.Decide(domain.ResponseRetryScheduled{Error: "a\nb"}); err != nil || facts[0] != (domain.ResponseRetryScheduled{Attempt: attempt, Error: "a b"}) {
			t.Fatalf("after attempt %d another is scheduled as %v, %v", attempt, facts, err)
		}
		r = r.Apply(facts[0])
	}
}

func TestOutcomesAreMadeToFit(t *testing.T) {
	t.Parallel()
	long := "pq: \x00\n" + strings.Repeat("ü", 5000) + "\xff"
	facts, err := domain.Response{}.Decide(domain.ResponseFailed{Code: "source", Error: long})
	if err != nil {
		t.Fatal(err)
	}
	if got, want := facts[0].(domain.ResponseFailed).Error, "pq:   "+strings.Repeat("ü", 3993)+"…"; got != want {
		t.Errorf("got %d bytes %.20q…, want %d bytes", len(got), got, len(want))
	}
	facts, err = domain.Response{}.Decide(domain.ResponseRecorded{Result: []byte(`[]`)})
	if err != nil || facts[0].(domain.ResponseRecorded).Status != domain.StatusAnswered {
		t.Errorf("got %v, %v, want the status answered", facts, err)
	}
}

func TestPasswordLength(t *testing.T) {
	t.Parallel()
	for n, ok := range map[int]bool{0: false, 7: false, 8: true, 128: true, 129: false} {
		if wrong := domain.CheckPassword(strings.Repeat("ü", n)); ok != (len(wrong) == 0) {
			t.Errorf("%d characters: got %v", n, wrong)
		}
	}
}

func TestIdempotencyKeys(t *testing.T) {
	t.Parallel()
	for key, ok := range map[string]bool{"": true, "a": true, " ~": true, strings.Repeat("x", 255): true,
		strings.Repeat("x", 256): false, "ü": false, "a\n": false, "\x7f": false} {
		c := submit()
		c.IdempotencyKey = key
		facts, err := domain.Request{}.Decide(c)
		if ok && (err != nil || facts[0].(domain.RequestSubmitted).IdempotencyKey != key) || !ok && !errors.Is(err, domain.ErrIdempotencyKey) {
			t.Errorf("%q: %v, %v", key, facts, err)
		}
	}
}

func TestTextsSayWhatIsWrong(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]string{"a\tb": "control character", strings.Repeat("x", 201): "at most 200 characters", "\xff": "UTF-8"} {
		c := submit()
		c.Name = name
		_, err := domain.Request{}.Decide(c)
		if got := refusal(t, err, domain.Invalid, "invalid-request").Fields; len(got) != 1 || !strings.Contains(got[0].Detail, want) {
			t.Errorf("%q: %v, want %s", name, got, want)
		}
	}
}

func TestCredentialIsNotShown(t *testing.T) {
	t.Parallel()
	for _, text := range []string{fmt.Sprint(hashed), fmt.Sprintf("%+v", register()), hashed.LogValue().String()} {
		if strings.Contains(text, hashed.Hash) {
			t.Errorf("%s shows the hash", text)
		}
	}
}

// TestTheSameCommandTwiceIsAConflict: what Decide led to, once applied, keeps
// the same command from leading to it again.
func TestTheSameCommandTwiceIsAConflict(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		slug := rapid.StringMatching(`[a-z0-9][a-z0-9-]{0,20}[a-z0-9]`)
		twice[domain.Profile, domain.ProfileCommand](t, "profile-exists", domain.Profile{}, domain.ProfileDefined{Name: slug.Draw(t, "profile"), Priority: rapid.IntRange(0, 10).Draw(t, "priority")})
		twice[domain.RequestType, domain.RequestTypeCommand](t, "request-type-exists", domain.RequestType{}, domain.DefineRequestType{Name: slug.Draw(t, "type"), Title: "T", MaxResults: rapid.IntRange(0, 1000).Draw(t, "results"), Examples: 1})
	})
}

// entity is what the rules of one kind of stream look like.
type entity[S, C any] interface {
	Decide(C) ([]domain.Fact, error)
	Apply(domain.Fact) S
}

func twice[S entity[S, C], C any](t *rapid.T, code string, state S, command C) {
	t.Helper()
	facts, err := state.Decide(command)
	if err != nil {
		t.Fatalf("%+v: %v", command, err)
	}
	again, err := state.Decide(command)
	if err != nil || !reflect.DeepEqual(facts, again) {
		t.Fatalf("deciding twice differs: %v, %v, %v", facts, again, err)
	}
	for _, f := range facts {
		state = state.Apply(f)
	}
	_, err = state.Decide(command)
	refusal(t, err, domain.Conflict, code)
}

func TestForeignFactsChangeNothing(t *testing.T) {
	t.Parallel()
	stranger := domain.BundleQuarantined{}
	if (domain.Profile{}).Apply(stranger) != (domain.Profile{}) || (domain.RequestType{}).Apply(stranger) != (domain.RequestType{}) ||
		(domain.Response{}).Apply(stranger) != (domain.Response{}) {
		t.Error("a fact of another stream changed a state")
	}
}

// TestEverySecretIsKept: what is marked secret is shown without it, and says so.
func TestEverySecretIsKept(t *testing.T) {
	t.Parallel()
	n := 0
	for _, p := range goldenFacts() {
		kind, _ := domain.KindOf(p.realistic.EventType())
		data, err := domain.Encode(p.realistic)
		if err != nil {
			t.Fatal(err)
		}
		shown, withheld, err := domain.Shown(domain.Event{Type: kind.Type, Schema: kind.Schema, Data: data})
		if err != nil || kind.Secret != (len(withheld) > 0) || kind.Secret == (string(shown) == string(data)) {
			t.Errorf("%s: %s, %v, %v", kind.Type, shown, withheld, err)
		}
		if kind.Secret {
			n++
		}
	}
	if n < 3 {
		t.Errorf("only %d secrets", n)
	}
}
