package domain_test

import (
	"encoding/json"
	"strings"
	"testing"

	"sallyport/domain"
)

// TestPast folds one event after the other, and sees how it stood after each.
func TestPast(t *testing.T) {
	t.Parallel()
	type step struct {
		fact domain.Fact
		want string // a part of the state
	}
	for stream, steps := range map[string][]step{
		"user-1": {
			{domain.UserRegistered{Username: "u", Role: domain.RoleUser, Credential: hashed}, `"active":true`},
			{domain.UserPasswordChanged{Credential: hashed}, `"username":"u"`},
			{domain.UserRoleChanged{Role: domain.RoleAuditor}, `"role":"auditor"`},
			{domain.AccessBlocked{RequestType: "airport"}, `"access":{"airport":{"blocked":true}}`},
			{domain.UserDeactivated{}, `"active":false`},
		},
		"profile-p":         {{domain.ProfileDefined{Name: "p"}, `"retired":false`}, {domain.ProfileChanged{Name: "p", Priority: 7}, `"priority":7`}, {domain.ProfileRetired{}, `"retired":true`}},
		"requesttype-t":     {{domain.RequestTypeDefined{Name: "t", Version: 1, Parameters: []byte(`{}`)}, `"version":1`}, {domain.RequestTypeRetired{}, `"retired":true`}},
		"responderconfig-t": {{domain.ResponderConfigured{Kind: "sql", Source: "x"}, `"kind":"sql"`}, {domain.ResponderDisabled{}, `null`}},
		"setting-s":         {{domain.SettingChanged{Value: []byte(`1`)}, `"value":1`}, {domain.SettingRemoved{}, `null`}},
		"work-1":            {{domain.WorkOpened{}, `"open":true`}, {domain.WorkClaimed{Holder: "user-2"}, `"holder":"user-2"`}, {domain.WorkClosed{Outcome: domain.StatusAnswered}, `"outcome":"answered"`}},
		"request-1": {
			{domain.RequestSubmitted{Type: "t", Params: []byte(`{}`)}, `"status":"pending","answer":null`},
			{domain.ResponseStarted{Attempt: 1}, `"status":"processing"`},
			{domain.ResponseFailed{Code: "timeout"}, `"status":"failed","answer":{"type":"response.failed"`},
			{domain.RequestRetried{Failure: 3}, `"status":"pending"`},
			{domain.ResponseRecorded{Result: []byte(`[1]`)}, `"status":"answered","answer":{"type":"response.recorded"`},
		},
		"site-core": {
			{domain.SiteFounded{Site: "core", Epoch: epoch}, `"epoch":"` + epoch},
			{domain.PeerAdded{Peer: "field"}, `"peers":{"field":{"role":"","epoch":"","stopped":null,"removed":null}}`},
			{domain.LinkStopped{Peer: "field", Reason: "why"}, `"stopped":"why"`},
			{domain.LinkResumed{Peer: "field"}, `"stopped":null`},
			{domain.KeyRotated{Old: oldKey, New: newKey}, `"key":"` + newKey.ID},
			{domain.PeerRemoved{Peer: "field", Reason: "gone"}, `"removed":"gone"`},
		},
		"apikey-1": {{domain.APIKeyIssued{User: "1", Hash: hashed.Hash}, `"hash":"withheld"`}, {domain.APIKeyRevoked{}, `"apikey.revoked"`}},
	} {
		past := domain.NewPast(stream)
		for i, s := range steps {
			kind, _ := domain.KindOf(s.fact.EventType())
			data, err := domain.Encode(s.fact)
			if err == nil {
				err = past.Apply(domain.Event{Pos: int64(i + 1), Stream: stream, Type: kind.Type, Schema: kind.Schema, Data: data})
			}
			if err != nil {
				t.Fatalf("%s: %v", stream, err)
			}
			state, err := json.Marshal(past.State())
			if err != nil || !strings.Contains(string(state), s.want) || strings.Contains(string(state), hashed.Hash) {
				t.Errorf("%s after %d: %s, %v; want %s", stream, i+1, state, err, s.want)
			}
		}
	}
	if err := domain.NewPast("user-1").Apply(domain.Event{Type: "user.registered", Schema: 99}); err == nil {
		t.Error("a version that is not known was taken")
	}
}
