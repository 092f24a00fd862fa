package domain_test

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"reflect"
	"testing"
	"time"

	"sallyport/domain"
	"sallyport/schema/schematest"
)

var update = flag.Bool("update", false, "write the golden files of events anew")

const goldenDir = "testdata/events"

// pair is one fact as real life writes it and one with no member that may be
// left out.
type pair struct{ realistic, minimal domain.Fact }

const (
	aliceID   = "019aa1c2-7b00-7c51-9f0e-2b6c1d0e4f5a"
	requestID = "019aa1d4-11f3-7d02-8a47-6f1f5a3b9c0d"
	epoch     = "0123456789abcdef0123456789abcdef"
	digest    = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"
	file      = "sp1_field-hq_01234567_0000000007.jsonl.zst"
)

// oldKey and newKey are made from fixed seeds.
var (
	oldKey = domain.SiteKey{ID: "hq+96ef4daa", Key: "hq+96ef4daa+AYqI4910CfGV/VLbLTy6XXLKZwm/HZQSG/N0iAG0D29c"}
	newKey = domain.SiteKey{ID: "hq+83415b87", Key: "hq+83415b87+AYE5dw6ofRdfVqNUZsNMfszLjYqRtO43ol32D1uPybOU"}
)

func goldenFacts() []pair {
	return slicesOf(
		userFacts(), definitionFacts(), requestFacts(), workFacts(), siteFacts(), custodyFacts(), auditFacts(), webhookFacts())
}

func slicesOf(parts ...[]pair) (all []pair) {
	for _, p := range parts {
		all = append(all, p...)
	}
	return all
}

func userFacts() []pair {
	return []pair{
		{domain.UserRegistered{Username: "alice.b-2", Email: "alice@example.org", FullName: "Alice Bäcker <A&B>", Role: domain.RoleAnalyst, Profile: "standard",
			Credential: domain.Credential{Algorithm: "argon2id", Hash: "$argon2id$v=19$m=19456,t=2,p=1$c2FsdHNhbHRzYWx0c2E$kZyBfMmdFGDFnXHpxxcwSYUOjXIzCEMlHeZDJ3GQuOs"}},
			domain.UserRegistered{Username: "bob", Email: "b@c", Role: domain.RoleUser, Profile: "aa", Credential: domain.Credential{Algorithm: "bcrypt", Hash: "x"}}},
		{domain.UsernameClaimed{User: aliceID}, domain.UsernameClaimed{User: "1"}},
		{domain.EmailClaimed{User: aliceID}, domain.EmailClaimed{User: "1"}},
		{domain.EmailReleased{User: aliceID}, domain.EmailReleased{User: "1"}},
		{domain.UserProfileChanged{Email: new("a@example.org"), FullName: new(""), Profile: new("premium")}, domain.UserProfileChanged{}},
		{domain.UserRoleChanged{Role: domain.RoleAdmin}, domain.UserRoleChanged{Role: domain.RoleUser}},
		{domain.UserPasswordChanged{Credential: domain.Credential{Algorithm: "bcrypt", Hash: "$2a$10$x"}}, domain.UserPasswordChanged{Credential: domain.Credential{Algorithm: "argon2id", Hash: "x"}}},
		{domain.LimitsOverridden{Minute: new(0), Hour: new(200), Day: new(3000), Month: new(40_000), Priority: new(9)}, domain.LimitsOverridden{}},
		{domain.LimitsCleared{}, domain.LimitsCleared{}},
		{domain.AccessGranted{RequestType: "airport", MaxResults: 50, Limits: &domain.Limits{Hour: 20}, Indices: []string{"books-2024-*", "authors"}}, domain.AccessGranted{RequestType: "aa", Indices: []string{}}},
		{domain.AccessBlocked{RequestType: "airport"}, domain.AccessBlocked{RequestType: "aa"}},
		{domain.AccessCleared{RequestType: "airport"}, domain.AccessCleared{RequestType: "aa"}},
		{domain.UserDeactivated{Reason: "left the house"}, domain.UserDeactivated{}},
		{domain.UserReactivated{}, domain.UserReactivated{}},
	}
}

func definitionFacts() []pair {
	return []pair{
		{domain.ProfileDefined{Name: "standard", DisplayName: "Standard", Description: "For everyone.", Limits: domain.Limits{Minute: 10, Hour: 100, Day: 1000, Month: 10_000},
			Priority: 5, Allowed: []string{"airport", "airport-near"}, Blocked: []string{"raw-sql"}, MaxResults: 500, TypeLimits: map[string]domain.TypeLimit{
				"airport": {MaxResults: 10, Limits: &domain.Limits{Minute: 1}}, "airport-near": {}}},
			domain.ProfileDefined{Name: "aa", Priority: 1, Allowed: []string{}, Blocked: []string{}, TypeLimits: map[string]domain.TypeLimit{}, MaxResults: 1}},
		{domain.ProfileChanged{Name: "standard", DisplayName: "Standard", Limits: domain.Limits{Minute: 20}, Priority: 6, Allowed: []string{"airport"},
			Blocked: []string{}, MaxResults: 500, TypeLimits: map[string]domain.TypeLimit{"airport": {MaxResults: 10}}},
			domain.ProfileChanged{Name: "aa", Priority: 1, Allowed: []string{}, Blocked: []string{}, TypeLimits: map[string]domain.TypeLimit{}, MaxResults: 1}},
		{domain.ProfileRetired{}, domain.ProfileRetired{}},
		{domain.RequestTypeDefined{Name: "airport", Title: "An airport by its code", Description: "IATA, three letters.", Version: 3,
			Parameters: []byte(`{"type":"object","additionalProperties":false,"required":["iata"],"properties":{"iata":{"type":"string","pattern":"^[A-Z]{3}$"}},"examples":[{"iata":"AMS"}]}`),
			MaxResults: 20, Public: true},
			domain.RequestTypeDefined{Name: "aa", Title: "A", Version: 1, Parameters: []byte(`true`), MaxResults: 1}},
		{domain.RequestTypeChanged{Name: "airport", Title: "An airport", Version: 4, Parameters: []byte(`{"type":"object"}`), MaxResults: 20, Public: true},
			domain.RequestTypeChanged{Name: "aa", Title: "A", Version: 2, Parameters: []byte(`true`), MaxResults: 1}},
		{domain.RequestTypeRetired{}, domain.RequestTypeRetired{}},
		{domain.ResponderDisabled{}, domain.ResponderDisabled{}},
		{domain.SettingChanged{Value: []byte(`{"text":"Closed on Friday <from 17:00>","until":null}`), Description: "What everybody shall know.", Public: true},
			domain.SettingChanged{Value: []byte(`null`)}},
		{domain.SettingRemoved{Public: true}, domain.SettingRemoved{}},
		{domain.ResponderConfigured{Kind: domain.ResponderSQL, Source: "airports", Statement: "SELECT * FROM airports\nWHERE iata = @iata AND elevation > 0", TimeoutMS: 10_000, CacheSeconds: new(60)},
			domain.ResponderConfigured{Kind: domain.ResponderSQL, Source: "aa", Statement: "x", TimeoutMS: 1}},
	}
}

// responderFacts are the forms that a responder's configuration has beside
// that of the kind sql, by its kind.
func responderFacts() map[string]pair {
	manual := domain.ResponderManual
	search := domain.ResponderElasticsearch
	return map[string]pair{
		"elasticsearch": {domain.ResponderConfigured{Kind: search, Source: "library", TimeoutMS: 5000, CacheSeconds: new(0), Search: &domain.SearchQuery{
			Indices: []string{"books-*", "authors"}, Body: []byte(`{"query":{"match":{"title":{"$param":"title"}}},"size":20}`)}},
			domain.ResponderConfigured{Kind: search, Source: "aa", TimeoutMS: 1, Search: &domain.SearchQuery{Indices: []string{"a"}, Body: []byte(`{}`)}}},
		"http": {domain.ResponderConfigured{Kind: domain.ResponderHTTP, Source: "orders", TimeoutMS: 5000, CacheSeconds: new(0), Call: &domain.ServiceCall{Method: "POST", Path: "/orders/{order}",
			Query: []byte(`{"expand":"lines","since":{"$param":"since"}}`), Headers: map[string]string{"X-Reason": "für <Auskunft>"}, Body: []byte(`{"who":{"$param":"who"}}`),
			Rows: "/data/lines~1open", Fields: map[string]string{"article": "/article/name", "n": "/count"}}},
			domain.ResponderConfigured{Kind: domain.ResponderHTTP, Source: "aa", TimeoutMS: 1, Call: &domain.ServiceCall{Method: "GET", Path: "/"}}},
		"manual": {domain.ResponderConfigured{Kind: manual, Task: &domain.ManualTask{Instructions: "Look it up.\nThen <say> where.", ResultSchema: []byte(`{"type":"object"}`), ClaimMinutes: 45}},
			domain.ResponderConfigured{Kind: manual, Task: &domain.ManualTask{ClaimMinutes: 1}}},
	}
}

func requestFacts() []pair {
	return []pair{
		{domain.RequestSubmitted{Type: "airport", TypeVersion: 3, Params: []byte(`{"iata":"AMS","near":[52.3,4.76],"who":"Ünal"}`), Name: "für morgen", Priority: 7, User: aliceID, IdempotencyKey: "c0ffee-1"},
			domain.RequestSubmitted{Type: "aa", TypeVersion: 1, Params: []byte(`{}`), Priority: 1, User: "1"}},
		{domain.RequestCancelled{Reason: "für morgen <zu spät>"}, domain.RequestCancelled{}},
		{domain.RequestRetried{Reason: "the source is back", Failure: 57}, domain.RequestRetried{Failure: 1}},
		{domain.RequestNameClaimed{Request: requestID}, domain.RequestNameClaimed{Request: "1"}},
		{domain.RequestKeyClaimed{Request: requestID, Body: digest}, domain.RequestKeyClaimed{Request: "1", Body: digest}},
		{domain.ResponseStarted{Responder: domain.ResponderSQL, Attempt: 2, Worker: "hq-7f9c"}, domain.ResponseStarted{Responder: domain.ResponderSQL, Attempt: 1}},
		{domain.ResponseRetryScheduled{Attempt: 2, Error: "source_unavailable: the source cannot be reached", NextAt: domain.Timestamp(time.Date(2026, 3, 1, 12, 0, 2, 250_000_000, time.UTC))},
			domain.ResponseRetryScheduled{Attempt: 1, NextAt: domain.Timestamp(time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC))}},
		{domain.ResponseRecorded{Status: domain.StatusAnswered, Result: []byte(`[{"iata":"AMS","name":"Amsterdam Schiphol","elevation_ft":-11}]`), ResultCount: 1,
			TookMS: 12, Truncated: true, Responder: domain.ResponderSQL, Cached: true, ContentType: "application/json"},
			domain.ResponseRecorded{Status: domain.StatusAnswered, Result: []byte(`null`), Responder: domain.ResponderSQL}},
		{domain.ResponseFailed{Code: "timeout", Error: "the source did not answer within 10 s", Attempts: 3}, domain.ResponseFailed{Code: "x"}},
		{domain.ResponseWithdrawn{Reason: "für morgen <zu spät>"}, domain.ResponseWithdrawn{}},
		{domain.ResponseRetried{Reason: "the source is back"}, domain.ResponseRetried{}},
	}
}

func workFacts() []pair {
	until := domain.Timestamp(time.Date(2026, 3, 1, 12, 30, 0, 0, time.UTC))
	return []pair{
		{domain.WorkOpened{RequestType: "expert-opinion", TypeVersion: 3, Priority: 7, Question: digest,
			Task: domain.ManualTask{Instructions: "Look it up.\nThen <say> where.", ResultSchema: []byte(`{"type":"object"}`), ClaimMinutes: 45}},
			domain.WorkOpened{RequestType: "aa", TypeVersion: 1, Priority: 1, Question: digest, Task: domain.ManualTask{ClaimMinutes: 1}}},
		{domain.WorkClaimed{Holder: "user-" + aliceID, Until: until}, domain.WorkClaimed{Holder: "x", Until: until}},
		{domain.WorkReleased{Holder: "user-" + aliceID, Reason: "für morgen <zu spät>"}, domain.WorkReleased{Holder: "x"}},
		{domain.WorkClosed{Outcome: domain.StatusAnswered}, domain.WorkClosed{Outcome: domain.StatusWithdrawn}},
	}
}

func siteFacts() []pair {
	return []pair{
		{domain.SiteFounded{Site: "field-1", Role: domain.RequestSite, Epoch: epoch}, domain.SiteFounded{Site: "a", Role: domain.ResponseSite, Epoch: epoch}},
		{domain.SiteRefounded{Epoch: epoch, OldEpoch: "fedcba9876543210fedcba9876543210", Position: 57, Chain: digest, Reason: "it was restored from an old backup: its log ends at position 41"},
			domain.SiteRefounded{Epoch: epoch, OldEpoch: "fedcba9876543210fedcba9876543210", Position: 1, Chain: digest, Reason: "x"}},
		{domain.PeerAdded{Peer: "hq", Role: domain.ResponseSite, Epoch: epoch, Fingerprint: "9f86-d081-884c-7d65"}, domain.PeerAdded{Peer: "a", Role: domain.RequestSite, Epoch: epoch, Fingerprint: "1"}},
		{domain.PeerRemoved{Peer: "hq", Reason: "the site was closed"}, domain.PeerRemoved{Peer: "a", Reason: "x"}},
		{domain.LinkStopped{Peer: "hq", Reason: "bundle 7 was refused"}, domain.LinkStopped{Peer: "a", Reason: "x"}},
		{domain.LinkResumed{Peer: "hq", Reason: "the people there corrected it"}, domain.LinkResumed{Peer: "a", Reason: "x"}},
		{domain.PositionWithheld{Peer: "hq", Position: 57, By: []string{"cli:ann", "cli:bob"}}, domain.PositionWithheld{Peer: "a", Position: 1, By: []string{"a", "b"}}},
		{domain.KeyRotated{Old: oldKey, New: newKey, Without: []string{"field-2"}}, domain.KeyRotated{Old: oldKey, New: newKey}},
		{domain.PeerKeyRevoked{Peer: "hq", Revoked: oldKey, Epoch: epoch, LastValid: 7}, domain.PeerKeyRevoked{Peer: "hq", Revoked: oldKey, Epoch: epoch}},
		{domain.RetentionApplied{Before: domain.Timestamp(time.Date(2026, 3, 1, 3, 0, 0, 0, time.UTC)), Log: "hq", Through: 4711},
			domain.RetentionApplied{Before: domain.Timestamp(time.Date(2026, 3, 1, 3, 0, 0, 0, time.UTC)), Log: "a", Through: 1}},
		{domain.BundleExported{Peer: "hq", Seq: 7, ID: digest, File: file, After: 41, Through: 57, Events: 9, Withheld: 7, Bytes: 4096}, domain.BundleExported{Peer: "a", Seq: 1, ID: digest}},
		{domain.BundleImported{Peer: "hq", Seq: 7, ID: digest, File: file, After: 41, Through: 57, Events: 9, Withheld: 7}, domain.BundleImported{Peer: "a", Seq: 1, ID: digest}},
		{domain.BundleQuarantined{File: file, SHA256: digest, Peer: "hq", Code: "damaged", Message: "frame 2 does not match its hash"}, domain.BundleQuarantined{Code: "x"}},
		{domain.BundleAcknowledged{Peer: "hq", Seq: 7, Position: 57}, domain.BundleAcknowledged{Peer: "a", Position: 1}},
		{domain.QuarantineReleased{File: file, SHA256: digest, Reason: "the card was renewed"}, domain.QuarantineReleased{Reason: "x"}},
		{domain.BundleRejected{File: file, SHA256: digest, Reason: "nobody knows it"}, domain.BundleRejected{Reason: "x"}},
	}
}

func custodyFacts() []pair {
	carried := []domain.CarriedBundle{{File: file, ID: digest, SHA256: digest, Bytes: 4096}}
	return []pair{
		{domain.MediaWritten{Operator: "cli:alice", Medium: requestID, Serial: "4C530001234567", SerialFrom: "device", Bundles: carried},
			domain.MediaWritten{Operator: "x", Medium: requestID, SerialFrom: "medium", Bundles: []domain.CarriedBundle{{ID: digest, SHA256: digest}}}},
		{domain.MediaRead{Operator: "cli:bob", Medium: requestID, Serial: "blue 7", SerialFrom: "operator", Bundles: carried},
			domain.MediaRead{Operator: "x", Bundles: []domain.CarriedBundle{{SHA256: digest}}}},
	}
}

func webhookFacts() []pair {
	return []pair{
		{domain.WebhookRegistered{User: aliceID, URL: "https://example.org/hook?from=a&b=<c>", Events: domain.Notices()},
			domain.WebhookRegistered{User: "1", URL: "http://a", Events: []domain.Notice{domain.NoticeAnswered}}},
		{domain.WebhookRemoved{Reason: "its owner moved"}, domain.WebhookRemoved{}},
		{domain.WebhookFailed{Reason: "the server answered 500", Failed: 5}, domain.WebhookFailed{Reason: "x"}},
	}
}

func auditFacts() []pair {
	const agent = "curl/8.9.1"
	expires := domain.Timestamp(time.Date(2027, 1, 31, 12, 0, 0, 0, time.UTC))
	return []pair{
		{domain.AuditViewed{What: "GET /users/" + aliceID}, domain.AuditViewed{What: "x"}},
		{domain.LoginRefused{Username: "alice", IP: "2001:db8::7", Reason: domain.RefusedWrongPassword, Count: 12, UserAgent: agent}, domain.LoginRefused{Reason: "x", Count: 1}},
		{domain.AdminActed{Action: "rate-limit.reset", Target: "user-" + aliceID, IP: "192.0.2.1", UserAgent: agent}, domain.AdminActed{Action: "x"}},
		{domain.SessionOpened{User: aliceID, IP: "192.0.2.1", UserAgent: "Mozilla/5.0 (Größe)", Method: domain.ByPassword}, domain.SessionOpened{User: "1", Method: "x"}},
		{domain.SessionReuseDetected{IP: "192.0.2.1", UserAgent: agent}, domain.SessionReuseDetected{}},
		{domain.SessionClosed{Reason: domain.ClosedByLogout}, domain.SessionClosed{Reason: "x"}},
		{domain.APIKeyIssued{User: aliceID, Name: "nightly job", Prefix: "spk_4aZ9", Hash: digest, Scopes: []domain.Scope{domain.ScopeRequestsRead, domain.ScopeRequestsWrite}, ExpiresAt: &expires},
			domain.APIKeyIssued{User: "1", Name: "x", Prefix: "spk_", Hash: digest, Scopes: []domain.Scope{domain.ScopeAudit}}},
		{domain.APIKeyRevoked{Reason: "it was in a public place"}, domain.APIKeyRevoked{Reason: "x"}},
	}
}

func TestGoldenFilesReadAndWriteTheSameBytes(t *testing.T) {
	if *update {
		writeGoldens(t)
	}
	facts := map[string]pair{}
	for _, p := range goldenFacts() {
		facts[p.realistic.EventType()+"+"] = p
	}
	for variant, p := range responderFacts() {
		facts[p.realistic.EventType()+"+"+variant] = p
	}
	for _, g := range schematest.Goldens(t, goldenDir) {
		t.Run(g.File(), func(t *testing.T) {
			t.Parallel()
			p, ok := facts[g.Type+"+"+g.Variant]
			if !ok {
				t.Fatal("no fact of this type is written here")
			}
			checkGolden(t, g, g.Realistic, p.realistic)
			checkGolden(t, g, g.Minimal, p.minimal)
		})
	}
}

func checkGolden(t *testing.T, g schematest.Golden, data []byte, want domain.Fact) {
	t.Helper()
	got, err := domain.Decode(domain.Event{Type: g.Type, Schema: g.Version, Data: data})
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("decoded\n%#v, want\n%#v", got, want)
	}
	again, err := domain.EncodeAs(got, g.Version)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(again, data) {
		t.Errorf("encoded\n%s, want\n%s", again, data)
	}
}

func TestEveryEventTypeHasAGoldenFile(t *testing.T) {
	t.Parallel()
	have := map[string]bool{}
	for _, g := range schematest.Goldens(t, goldenDir) {
		have[g.Name()] = true
		if _, ok := domain.KindOf(g.Type); !ok {
			t.Errorf("%s is no longer in the catalogue, but was written once", g.Name())
		}
	}
	for _, k := range domain.Catalogue() {
		for v := 1; v <= k.Schema; v++ {
			if g := (schematest.Golden{Type: k.Type, Version: v}); !have[g.Name()] {
				t.Errorf("%s has no golden file", g.Name())
			}
		}
	}
}

// writeGoldens writes the present version of each type; older ones stay.
func writeGoldens(t *testing.T) {
	t.Helper()
	for _, p := range goldenFacts() {
		writeGolden(t, "", p)
	}
	for variant, p := range responderFacts() {
		writeGolden(t, variant, p)
	}
}

func writeGolden(t *testing.T, variant string, p pair) {
	t.Helper()
	k, ok := domain.KindOf(p.realistic.EventType())
	if !ok {
		t.Fatalf("%T is not in the catalogue", p.realistic)
	}
	text := "{\n\"realistic\": " + string(encode(t, p.realistic)) + ",\n\"minimal\": " + string(encode(t, p.minimal)) + "\n}\n"
	name := schematest.Golden{Type: k.Type, Version: k.Schema, Variant: variant}.File()
	if err := os.WriteFile(filepath.Join(goldenDir, name), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func encode(t interface{ Fatal(...any) }, f domain.Fact) []byte {
	data, err := domain.Encode(f)
	if err != nil {
		t.Fatal(err)
	}
	return data
}
