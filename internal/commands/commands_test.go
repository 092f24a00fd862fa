package commands_test

import (
	"encoding/json"
	"errors"
	"log/slog"
	"sync"
	"sync/atomic"
	"testing"

	"sallyport/bridge/bundle"
	"sallyport/domain"
	"sallyport/eventstore/eventstoretest"
	"sallyport/internal/commands"
	"sallyport/internal/password"
	"sallyport/projections"
	"sallyport/schema"
)

func setup(t *testing.T, name string, role domain.Role) (*commands.Commands, *eventstoretest.Site) {
	t.Helper()
	site := eventstoretest.New(t, eventstoretest.Setup{Site: name, Role: role, Inline: projections.Inline(),
		CheckLine: func(line []byte) error { return bundle.CheckLine(line, bundle.Limits{}) }})
	// Without Run the directory asks the tables, which is right if slow.
	directory := projections.NewDirectory(site.Pool, slog.New(slog.DiscardHandler))
	return commands.New(commands.Config{Log: site.Store, Pool: site.Pool, Directory: directory, Passwords: password.New(password.Config{}),
		Params: schema.NewParameterCache(0)}), site
}

var by = commands.By{Actor: "cli:test", Corr: "corr-1"}

func code(err error) string {
	var refused *domain.Error
	if errors.As(err, &refused) {
		return refused.Code
	}
	return ""
}

// However many ask for one name at once, one gets it.
func TestOneUserAName(t *testing.T) {
	t.Parallel()
	c, site := setup(t, "core", domain.ResponseSite)
	if _, _, err := c.DefineProfile(t.Context(), by, domain.ProfileDefined{Name: "basic"}); err != nil {
		t.Fatal(err)
	}
	register := func(username, email string) error {
		_, err := c.RegisterUser(t.Context(), by, commands.NewUser{Username: username, Email: email, Role: domain.RoleUser,
			Profile: "basic", Password: "long enough"})
		return err
	}
	var won atomic.Int32
	var wg sync.WaitGroup
	for _, email := range []string{"a@example.org", "b@example.org", "c@example.org"} {
		wg.Go(func() {
			switch err := register("alice", email); {
			case err == nil:
				won.Add(1)
			case code(err) != "username-taken":
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if won.Load() != 1 {
		t.Errorf("%d users got one name", won.Load())
	}
	head, err := site.Store.Head(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := register("bob", "x@example.org"); err != nil {
		t.Error(err)
	}
	if err := register("carol", "X@example.org"); code(err) != "email-taken" {
		t.Errorf("the same address in other letters: %v", err)
	}
	if after, err := site.Store.Head(t.Context()); err != nil || after.Seq != head.Seq+3 {
		t.Errorf("seq went from %d to %d (%v), want 3 events of one user", head.Seq, after.Seq, err)
	}
}

func TestDefinitions(t *testing.T) {
	t.Parallel()
	c, site := setup(t, "core", domain.ResponseSite)
	define := func(name, parameters string) error {
		_, _, err := c.DefineRequestType(t.Context(), by, domain.DefineRequestType{Name: name, Title: name, Parameters: json.RawMessage(parameters)})
		return err
	}
	if err := define("airport", ` {"type": "object", "examples": [{}]} `); err != nil {
		t.Fatal(err)
	}
	if err := define("airport", `{"type":"object"}`); code(err) != "request-type-exists" {
		t.Errorf("a second time: %v", err)
	}
	for _, parameters := range []string{``, `[]`, `{"type":"text"}`, `{"type":"object","$ref":"https://example.org/x"}`, `{"type":"object","title":"\u0000","examples":[{}]}`, `{"type":"object"}`} {
		if err := define("other", parameters); code(err) != "invalid-request-type" {
			t.Errorf("schema %s: %v", parameters, err)
		}
	}
	if err := define("../x", `{"type":"object","examples":[{}]}`); code(err) != "invalid-request-type" {
		t.Errorf("a bad name: %v", err)
	}
	sql := domain.ResponderConfigured{Kind: domain.ResponderSQL, Source: "data"}
	for _, sql.Statement = range []string{"select 1", "select 2", "select 2"} { // a later one replaces the earlier, the same changes nothing
		if _, _, err := c.ConfigureResponder(t.Context(), by, "airport", sql, 0); err != nil {
			t.Error(err)
		}
	}
	if _, _, err := c.ConfigureResponder(t.Context(), by, "nothing", sql, 0); code(err) != "unknown-request-type" {
		t.Errorf("responder of no type: %v", err)
	}
	records, err := site.Store.ReadStream(t.Context(), domain.ResponderConfigStream("airport"))
	if err != nil || len(records) != 2 || records[1].Ver != 2 || records[1].Corr != "corr-1" || records[1].Actor != "cli:test" {
		t.Errorf("%d records, %v", len(records), err)
	}
}

func TestCommandsOfTheOtherSite(t *testing.T) {
	t.Parallel()
	core, _ := setup(t, "core", domain.ResponseSite)
	field, site := setup(t, "field", domain.RequestSite)
	ctx := t.Context()
	for name, run := range map[string]func() error{
		"submit":   func() error { _, _, err := core.SubmitRequest(ctx, by, commands.NewRequest{}); return err },
		"register": func() error { _, err := field.RegisterUser(ctx, by, commands.NewUser{}); return err },
		"profile":  func() error { _, _, err := field.DefineProfile(ctx, by, domain.ProfileDefined{}); return err },
		"type":     func() error { _, _, err := field.DefineRequestType(ctx, by, domain.DefineRequestType{}); return err },
		"responder": func() error {
			_, _, err := field.ConfigureResponder(ctx, by, "x", domain.ResponderConfigured{}, 0)
			return err
		},
		"type anew":    func() error { _, _, _, err := field.PutRequestType(ctx, by, domain.DefineRequestType{}, 0); return err },
		"type retired": func() error { _, err := field.RetireRequestType(ctx, by, "x", 0); return err },
		"type back":    func() error { _, _, err := field.BringBackRequestType(ctx, by, "x"); return err },
		"profile back": func() error { _, _, err := field.BringBackProfile(ctx, by, "x"); return err },
		"disabled":     func() error { _, err := field.DisableResponder(ctx, by, "x", 0); return err },
		"setting":      func() error { _, _, _, err := field.PutSetting(ctx, by, domain.ChangeSetting{}, 0); return err },
		"removed":      func() error { _, err := field.RemoveSetting(ctx, by, "x", 0); return err },
		"access":       func() error { _, err := field.ChangeAccess(ctx, by, commands.AccessChange{}); return err },
	} {
		if err := run(); code(err) != commands.CodeWrongSite {
			t.Errorf("%s: %v", name, err)
		}
	}
	if head, err := site.Store.Head(t.Context()); err != nil || head.Seq != 1 {
		t.Errorf("seq %d, %v", head.Seq, err)
	}
}
