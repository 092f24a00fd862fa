package domain_test

import (
	"encoding/json"
	"errors"
	"reflect"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"sallyport/domain"
)

// story applies what each command leads to and returns all facts and the state.
func story[S entity[S, C], C any](t interface {
	Helper()
	Fatalf(string, ...any)
}, state S, commands ...C) (S, []domain.Fact) {
	t.Helper()
	var all []domain.Fact
	for _, c := range commands {
		facts, err := state.Decide(c)
		if err != nil {
			t.Fatalf("%+v: %v", c, err)
		}
		for _, f := range facts {
			state = state.Apply(f)
		}
		all = append(all, facts...)
	}
	return state, all
}

func airport(change ...func(*domain.DefineRequestType)) domain.DefineRequestType {
	c := domain.DefineRequestType{Name: "airport", Title: "Airport", Parameters: json.RawMessage(`{}`), Public: true, Examples: 1}
	for _, f := range change {
		f(&c)
	}
	return c
}

// changeOf is a change of what had a version when it was looked at.
func changeOf(d domain.DefineRequestType, version int) domain.ChangeRequestType {
	d.Version = version
	return domain.ChangeRequestType(d)
}

func TestEachDefinitionOfATypeHasItsVersion(t *testing.T) {
	t.Parallel()
	renamed := airport(func(c *domain.DefineRequestType) { c.Title = "Airports" })
	for name, c := range map[string]struct {
		commands []domain.RequestTypeCommand
		types    []string // of the facts
		version  int
		exists   bool
	}{
		"changed":             {[]domain.RequestTypeCommand{airport(), domain.ChangeRequestType(renamed)}, []string{"requesttype.defined", "requesttype.changed"}, 2, true},
		"changed to the same": {[]domain.RequestTypeCommand{airport(), domain.ChangeRequestType(airport())}, []string{"requesttype.defined"}, 1, true},
		"changed as seen":     {[]domain.RequestTypeCommand{airport(), changeOf(renamed, 1)}, []string{"requesttype.defined", "requesttype.changed"}, 2, true},
		"retired":             {[]domain.RequestTypeCommand{airport(), domain.RetireRequestType{Name: "airport"}}, []string{"requesttype.defined", "requesttype.retired"}, 1, false},
		"brought back": {[]domain.RequestTypeCommand{airport(), domain.RetireRequestType{}, domain.BringBackRequestType{}, domain.BringBackRequestType{}},
			[]string{"requesttype.defined", "requesttype.retired", "requesttype.defined"}, 2, true},
		"defined again": {[]domain.RequestTypeCommand{airport(), domain.ChangeRequestType(renamed), domain.RetireRequestType{}, airport()},
			[]string{"requesttype.defined", "requesttype.changed", "requesttype.retired", "requesttype.defined"}, 3, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			state, facts := story(t, domain.RequestType{}, c.commands...)
			var types []string
			for _, f := range facts {
				types = append(types, f.EventType())
			}
			if !slices.Equal(types, c.types) || state.Definition().Version != c.version || state.Exists() != c.exists {
				t.Errorf("%v, version %d, exists %v", types, state.Definition().Version, state.Exists())
			}
		})
	}
}

func TestEachFieldOfATypeIsAChange(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*domain.DefineRequestType){
		"title":       func(c *domain.DefineRequestType) { c.Title = "x" },
		"description": func(c *domain.DefineRequestType) { c.Description = "x" },
		"parameters":  func(c *domain.DefineRequestType) { c.Parameters = json.RawMessage(`true`) },
		"max_results": func(c *domain.DefineRequestType) { c.MaxResults = 7 },
		"public":      func(c *domain.DefineRequestType) { c.Public = false },
	} {
		state, _ := story[domain.RequestType, domain.RequestTypeCommand](t, domain.RequestType{}, airport())
		facts, err := state.Decide(domain.ChangeRequestType(airport(change)))
		if err != nil || len(facts) != 1 || facts[0].(domain.RequestTypeChanged).Version != 2 {
			t.Errorf("%s: %v, %v", name, facts, err)
		}
	}
}

func TestImpossibleChangesOfATypeAreRefused(t *testing.T) {
	t.Parallel()
	there, _ := story[domain.RequestType, domain.RequestTypeCommand](t, domain.RequestType{}, airport())
	gone := there.Apply(domain.RequestTypeRetired{})
	bad := airport(func(c *domain.DefineRequestType) { c.SchemaError = errors.New("no schema") })
	for name, c := range map[string]struct {
		state   domain.RequestType
		command domain.RequestTypeCommand
		kind    domain.ErrorKind
		code    string
	}{
		"change nothing":     {domain.RequestType{}, domain.ChangeRequestType(airport()), domain.NotFound, "unknown-request-type"},
		"change a retired":   {gone, domain.ChangeRequestType(airport()), domain.NotFound, "unknown-request-type"},
		"change what is old": {there, changeOf(airport(), 7), domain.Conflict, "changed-meanwhile"},
		"change to nonsense": {there, domain.ChangeRequestType(bad), domain.Invalid, "invalid-request-type"},
		"define a second":    {there, airport(), domain.Conflict, "request-type-exists"},
		"define as another":  {gone, airport(func(c *domain.DefineRequestType) { c.Version = 1 }), domain.Invalid, "invalid-request-type"},
		"retire nothing":     {domain.RequestType{}, domain.RetireRequestType{}, domain.NotFound, "unknown-request-type"},
		"retire twice":       {gone, domain.RetireRequestType{}, domain.NotFound, "unknown-request-type"},
		"bring back nothing": {domain.RequestType{}, domain.BringBackRequestType{}, domain.NotFound, "unknown-request-type"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			facts, err := c.state.Decide(c.command)
			if refusal(t, err, c.kind, c.code); facts != nil {
				t.Errorf("refused, but led to %v", facts)
			}
		})
	}
}

// TestVersionsOnlyGrow: whatever is asked in whatever order, each description
// of a type has a version of its own, one more than the last.
func TestVersionsOnlyGrow(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		var state domain.RequestType
		last := 0
		for range rapid.IntRange(1, 30).Draw(t, "commands") {
			c := airport(func(c *domain.DefineRequestType) {
				c.Title = rapid.SampledFrom([]string{"a", "b", "c"}).Draw(t, "title")
			})
			command := rapid.SampledFrom([]domain.RequestTypeCommand{c, domain.ChangeRequestType(c),
				domain.RetireRequestType{}, domain.BringBackRequestType{}}).Draw(t, "command")
			facts, err := state.Decide(command)
			if (err != nil) && len(facts) > 0 {
				t.Fatalf("%+v is refused and leads to %v", command, facts)
			}
			for _, f := range facts {
				state = state.Apply(f)
				if _, retired := f.(domain.RequestTypeRetired); retired {
					continue
				}
				if last++; state.Definition().Version != last || !state.Exists() {
					t.Fatalf("%v led to version %d, want %d", f, state.Definition().Version, last)
				}
			}
		}
	})
}

func TestAProfileIsBroughtBack(t *testing.T) {
	t.Parallel()
	state, facts := story[domain.Profile, domain.ProfileCommand](t, domain.Profile{}, domain.ProfileDefined{Name: "basic", Priority: 3},
		domain.RetireProfile{Name: "basic"}, domain.BringBackProfile{Name: "basic"}, domain.BringBackProfile{Name: "basic"})
	if len(facts) != 3 || !reflect.DeepEqual(facts[0], facts[2]) || !state.Exists() || state.Definition().Priority != 3 {
		t.Errorf("%v, exists %v", facts, state.Exists())
	}
	if gone := state.Apply(domain.ProfileRetired{}); gone.Exists() || gone.Definition().Name != "basic" {
		t.Errorf("a retired profile is forgotten: %+v", gone.Definition())
	}
	_, err := domain.Profile{}.Decide(domain.BringBackProfile{Name: "basic"})
	refusal(t, err, domain.NotFound, "unknown-profile")
}

func TestAResponderIsDisabled(t *testing.T) {
	t.Parallel()
	good := domain.ResponderConfigured{Kind: domain.ResponderSQL, Source: "airports", Statement: "SELECT 1"}
	other := good
	other.Statement = "SELECT 2"
	state, facts := story[domain.ResponderConfig, domain.ResponderCommand](t, domain.ResponderConfig{}, good, good, other, domain.DisableResponder{}, other)
	var types []string
	for _, f := range facts {
		types = append(types, f.EventType())
	}
	want := []string{"responder.configured", "responder.configured", "responder.disabled", "responder.configured"}
	if !slices.Equal(types, want) || state.Now().Statement != "SELECT 2" {
		t.Errorf("%v, now %+v", types, state.Now())
	}
	_, err := domain.ResponderConfig{}.Decide(domain.DisableResponder{RequestType: "airport"})
	refusal(t, err, domain.NotFound, "no-responder")
}

func setting(value string, public bool) domain.SettingCommand {
	return domain.ChangeSetting{Key: "banner", SettingChanged: domain.SettingChanged{Value: json.RawMessage(value), Public: public}}
}

// TestRequestSitesHearWhatBecomesOfAPublicSetting: what of a setting's facts
// crosses tells them its value while it is public, and that it is gone after.
func TestATimeLimitIsNeverMoreThanTheRulesAllow(t *testing.T) {
	t.Parallel()
	for ms, want := range map[int]time.Duration{250: 250 * time.Millisecond, domain.MaxTimeoutMS: 30 * time.Second,
		domain.MaxTimeoutMS + 1: 30 * time.Second, 0: 30 * time.Second, -1: 30 * time.Second} {
		if got := (domain.ResponderConfigured{TimeoutMS: ms}).TimeLimit(); got != want {
			t.Errorf("%d ms: %s, want %s", ms, got, want)
		}
	}
}

func TestRequestSitesHearWhatBecomesOfAPublicSetting(t *testing.T) {
	t.Parallel()
	remove := domain.SettingCommand(domain.RemoveSetting{Key: "banner"})
	for name, c := range map[string]struct {
		commands []domain.SettingCommand
		facts    int
		there    string // the value on a request site; empty: none
	}{
		"public":             {[]domain.SettingCommand{setting(`1`, true)}, 1, `1`},
		"private":            {[]domain.SettingCommand{setting(`1`, false)}, 1, ``},
		"said twice":         {[]domain.SettingCommand{setting(`1`, true), setting(`1`, true)}, 1, `1`},
		"becomes private":    {[]domain.SettingCommand{setting(`1`, true), setting(`1`, false)}, 3, ``},
		"becomes public":     {[]domain.SettingCommand{setting(`1`, false), setting(`2`, true)}, 2, `2`},
		"to and fro":         {[]domain.SettingCommand{setting(`1`, true), setting(`2`, false), setting(`3`, false), setting(`4`, true)}, 5, `4`},
		"removed":            {[]domain.SettingCommand{setting(`1`, true), remove}, 2, ``},
		"private is removed": {[]domain.SettingCommand{setting(`1`, false), remove}, 2, ``},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, facts := story(t, domain.Setting{}, c.commands...)
			var there domain.Setting
			for _, f := range facts {
				if k, _ := domain.KindOf(f.EventType()); k.MayLeave(domain.ResponseSite) && k.Shows(f) {
					there = there.Apply(f)
				}
			}
			got := ""
			if there.Now() != nil {
				got = string(there.Now().Value)
			}
			if len(facts) != c.facts || got != c.there {
				t.Errorf("%d facts, a request site sees %q", len(facts), got)
			}
		})
	}
}

func TestImpossibleSettingsAreRefused(t *testing.T) {
	t.Parallel()
	_, err := domain.Setting{}.Decide(domain.ChangeSetting{Key: "A", ValueError: errors.New("must be JSON"),
		SettingChanged: domain.SettingChanged{Value: make([]byte, 16<<10+1), Description: "\x00"}})
	if got := pointers(refusal(t, err, domain.Invalid, "invalid-setting")); !slices.Equal(got, []string{"/key", "/value", "/value", "/description"}) {
		t.Errorf("refused for %v", got)
	}
	_, err = domain.Setting{}.Decide(domain.RemoveSetting{Key: "banner"})
	refusal(t, err, domain.NotFound, "unknown-setting")
}
