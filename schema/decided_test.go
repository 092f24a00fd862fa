package schema_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"sallyport/domain"
)

// TestWhatTheRulesAllowTheSchemaAccepts: a fact that this site decided must
// never be refused by its peer. The commands lean towards the bounds.
func TestWhatTheRulesAllowTheSchemaAccepts(t *testing.T) {
	t.Parallel()
	events := load(t)
	decided := 0
	rapid.Check(t, func(t *rapid.T) {
		facts, err := anyDecision(t)
		if err != nil {
			return // what the rules refuse never becomes an event
		}
		decided++
		for _, f := range facts {
			data, err := domain.Encode(f)
			if err != nil {
				t.Fatal(err)
			}
			k, _ := domain.KindOf(f.EventType())
			if err := events.Validate(k.Type, k.Schema, data); err != nil {
				t.Fatalf("%v: %s", err, data)
			}
		}
	})
	if decided < 5 {
		t.Errorf("only %d commands were allowed: this test sees nothing", decided)
	}
}

func anyDecision(t *rapid.T) ([]domain.Fact, error) {
	switch rapid.IntRange(0, 10).Draw(t, "command") {
	case 0:
		return domain.User{}.Decide(domain.RegisterUser{Username: rapid.StringMatching(`[a-z0-9][a-z0-9._-]{1,63}`).Draw(t, "username"),
			Email: email().Draw(t, "email"), FullName: near(t, 200), Role: domain.RoleAuditor, Profile: defined().Draw(t, "profile"), ProfileExists: true,
			Credential: domain.Credential{Algorithm: "argon2id", Hash: rapid.StringMatching(`[!-~]{1,20}`).Draw(t, "hash")}})
	case 1:
		return domain.Profile{}.Decide(anyProfile(t))
	case 2:
		return domain.RequestType{}.Decide(domain.DefineRequestType{Name: slug().Draw(t, "name"), Title: near(t, 100), Description: near(t, 1000),
			Parameters: json.RawMessage(rapid.SampledFrom([]string{`{}`, `{"type":"object"}`}).Draw(t, "schema")), MaxResults: rapid.IntRange(0, 1001).Draw(t, "max"), Examples: 1})
	case 3:
		return domain.ResponderConfig{}.Decide(domain.ResponderConfigured{Kind: "sql", Source: slug().Draw(t, "source"),
			Statement: near(t, 16<<10), TimeoutMS: rapid.IntRange(0, 30_001).Draw(t, "timeout"),
			CacheSeconds: rapid.Ptr(rapid.SampledFrom([]int{-1, 0, 1, 86_400, 86_401}), true).Draw(t, "cache")})
	case 4:
		return domain.Request{}.Decide(domain.SubmitRequest{Type: domain.RequestTypeDefined{Name: defined().Draw(t, "type"), Version: 1, Public: true}, User: "019a",
			Rights: domain.Rights{Active: true, Profile: &domain.ProfileDefined{Priority: rapid.IntRange(1, 10).Draw(t, "have")}}, Priority: rapid.Ptr(rapid.IntRange(0, 10), true).Draw(t, "want"),
			IdempotencyKey: rapid.StringMatching(`[ -~]{0,256}`).Draw(t, "key"),
			Name:           near(t, 200), Params: json.RawMessage(`{"a":[1e999]}`)})
	case 5:
		failed := domain.Asked{}.Apply(domain.ResponseFailed{}, rapid.Int64Range(1, 1<<50).Draw(t, "failure"))
		return failed.Decide(rapid.SampledFrom([]domain.Fact{domain.RequestCancelled{Reason: near(t, 500)},
			domain.RequestRetried{Reason: near(t, 500)}}).Draw(t, "change"))
	case 6:
		return anyUserChange(t)
	case 8:
		return anyWork(t)
	case 9:
		return domain.ResponderConfig{}.Decide(domain.ResponderConfigured{Kind: "elasticsearch", Source: "library", Search: &domain.SearchQuery{
			Indices: indices().Draw(t, "indices"), Body: json.RawMessage(rapid.SampledFrom([]string{`{}`, " {}", `[]`, `{"a":1}`}).Draw(t, "body"))}})
	case 10:
		return domain.ResponderConfig{}.Decide(domain.ResponderConfigured{Kind: domain.ResponderHTTP, Source: slug().Draw(t, "source"), Call: anyCall(t)})
	default:
		return rapid.SampledFrom([]domain.Response{{}, domain.Response{}.Apply(domain.ResponseFailed{})}).Draw(t, "before").Decide(rapid.SampledFrom([]domain.Fact{
			domain.ResponseStarted{Responder: "elasticsearch", Worker: near(t, 300)},
			domain.ResponseRecorded{Responder: "manual", Result: json.RawMessage(`"x"`), ContentType: near(t, 300)},
			domain.ResponseFailed{Code: "user_inactive", Error: near(t, 5000)},
			domain.ResponseWithdrawn{Reason: near(t, 600)}, domain.ResponseRetried{Reason: near(t, 600)},
		}).Draw(t, "outcome"))
	}
}

func anyUserChange(t *rapid.T) ([]domain.Fact, error) {
	user := domain.User{}.Apply(domain.UserRegistered{Username: "alice", Email: "a@b", Role: domain.RoleUser, Profile: "basic"})
	limit := rapid.Ptr(rapid.SampledFrom([]int{-1, 0, 1, 10, 11, 1_000_000_000, 1_000_000_001}), true)
	name := defined().Draw(t, "type")
	return user.Decide(rapid.SampledFrom([]domain.UserCommand{
		domain.ChangeUser{Email: rapid.Ptr(email(), true).Draw(t, "email"), FullName: new(near(t, 200)), Profile: rapid.Ptr(defined(), true).Draw(t, "profile"),
			ProfileExists: true, Role: new(domain.RoleAuditor), Active: new(false), Reason: near(t, 1000)},
		domain.ChangePassword{Credential: domain.Credential{Algorithm: "argon2id", Hash: rapid.StringMatching(`[!-~]{1,20}`).Draw(t, "hash")}},
		domain.OverrideLimits{Minute: limit.Draw(t, "minute"), Month: limit.Draw(t, "month"), Priority: limit.Draw(t, "priority")},
		domain.GrantAccess{AccessGranted: domain.AccessGranted{RequestType: name, MaxResults: rapid.IntRange(-1, 1001).Draw(t, "max"),
			Limits: &domain.Limits{Hour: rapid.SampledFrom([]int{-1, 0, 1_000_000_001}).Draw(t, "hour")}, Indices: indices().Draw(t, "indices")}, TypeExists: true},
		domain.BlockAccess{RequestType: name, TypeExists: true},
	}).Draw(t, "change"))
}

func anyProfile(t *rapid.T) domain.ProfileDefined {
	limit := rapid.SampledFrom([]int{-1, 0, 1, 1_000_000_000, 1_000_000_001})
	return domain.ProfileDefined{Name: slug().Draw(t, "name"), DisplayName: near(t, 100), Description: near(t, 1000), Priority: rapid.IntRange(0, 11).Draw(t, "priority"),
		Limits: domain.Limits{Minute: limit.Draw(t, "minute"), Month: limit.Draw(t, "month")}, Allowed: rapid.SliceOfN(slug(), 0, 3).Draw(t, "allowed"),
		TypeLimits: rapid.MapOfN(slug(), rapid.Custom(func(t *rapid.T) domain.TypeLimit {
			return domain.TypeLimit{MaxResults: rapid.IntRange(0, 1001).Draw(t, "max"), Limits: &domain.Limits{Day: limit.Draw(t, "day")}}
		}), 0, 2).Draw(t, "type limits")}
}

func slug() *rapid.Generator[string] { return rapid.StringMatching(`[a-z0-9][a-z0-9-]{0,63}`) }

// defined draws the name of something that was defined before.
func defined() *rapid.Generator[string] { return slug().Filter(domain.ValidSlug) }

func indices() *rapid.Generator[[]string] {
	return rapid.SliceOfN(rapid.StringMatching(`[a-z0-9._-]([a-z0-9._-]{0,5}|a{98,99})[*a]`), 0, 34)
}

func email() *rapid.Generator[string] {
	return rapid.OneOf(rapid.StringMatching(`[a-zäß'+.]{1,10}@[a-z.-]{1,10}`), rapid.SampledFrom([]string{
		"a@[127.0.0.1]", "ü@例え.jp", "a\u00a0b@c", `"a b"@c`, `"a@b"@c`, strings.Repeat("a", 252) + "@b", strings.Repeat("a", 253) + "@b"}))
}

// near draws a text about as long as its bound allows, or any other.
func near(t *rapid.T, bound int) string {
	letter := rapid.SampledFrom([]string{"x", "ü", "\u2028", "𝔘", "\"", "\t", "\x7f", "\x00", "\xff"}).Draw(t, "letter")
	return rapid.OneOf(rapid.Just(strings.Repeat(letter, bound)), rapid.Just(strings.Repeat(letter, bound+1)), rapid.String()).Draw(t, "text")
}

func anyCall(t *rapid.T) *domain.ServiceCall {
	template := rapid.SampledFrom([]json.RawMessage{nil, []byte(`{}`), []byte(`[1]`), []byte(`{"a":{"$param":"x"}}`), []byte(`null`), []byte(`{`)})
	return &domain.ServiceCall{Method: rapid.SampledFrom([]string{"", "GET", "POST", "DELETE"}).Draw(t, "method"), Path: "/" + near(t, 2047),
		Query: template.Draw(t, "query"), Body: template.Draw(t, "body"), Rows: rapid.StringMatching(`(/[a~01\n]{0,300})?`).Draw(t, "rows"),
		Headers: map[string]string{rapid.StringMatching(`[A-Za-z0-9-]{0,65}`).Draw(t, "header"): near(t, 1000)},
		Fields:  map[string]string{near(t, 100): rapid.StringMatching(`(/[a~01]{0,10})?`).Draw(t, "field")}}
}

func anyWork(t *rapid.T) ([]domain.Fact, error) {
	task := domain.ManualTask{Instructions: near(t, 4000), ClaimMinutes: rapid.IntRange(0, 10_081).Draw(t, "minutes")}
	configured, err := domain.ResponderConfig{}.Decide(domain.ResponderConfigured{Kind: domain.ResponderManual, Task: &task})
	if err != nil {
		return nil, err
	}
	now := time.Unix(rapid.Int64Range(0, 1<<33).Draw(t, "now"), 1)
	w := domain.Work{}.Apply(domain.WorkOpened{}).Apply(domain.WorkClaimed{Holder: "user-a", Until: domain.Timestamp(now.Add(time.Hour))})
	facts, err := w.Decide(rapid.SampledFrom([]domain.WorkCommand{
		domain.ClaimWork{By: "user-a", Now: now, For: time.Minute}, domain.ReleaseWork{By: "user-a", Now: now, Reason: near(t, 500)},
		domain.CloseWork{By: "user-a", Now: now, Outcome: domain.StatusFailed}, domain.EndWork{Outcome: domain.StatusWithdrawn}}).Draw(t, "work"))
	return append(configured, facts...), err
}
