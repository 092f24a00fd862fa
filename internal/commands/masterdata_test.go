package commands_test

import (
	"errors"
	"testing"

	"sallyport/domain"
	"sallyport/internal/commands"
)

func TestADefinitionIsChangedAsItWasSeen(t *testing.T) {
	t.Parallel()
	c, _, _ := people(t)
	in := domain.DefineRequestType{Name: "flight", Title: "Flight", Parameters: []byte(`{"type":"object","examples":[{}]}`)}
	put := func(title string, at int64) (domain.RequestTypeDefined, bool, commands.Stored, error) {
		in.Title = title
		return c.PutRequestType(t.Context(), by, in, at)
	}
	first, created, made, err := put("Flight", 0)
	if err != nil || !created || first.Version != 1 || made.Seq == 0 {
		t.Fatalf("made: %+v, %v, %+v, %v", first, created, made, err)
	}
	second, created, changed, err := put("Flights", made.Pos)
	if err != nil || created || second.Version != 2 || changed.Pos <= made.Pos {
		t.Fatalf("changed: %+v, %v, %+v, %v", second, created, changed, err)
	}
	if same, _, again, err := put("Flights", changed.Pos); err != nil || same.Version != 2 || again.Seq != 0 || again.Pos != changed.Pos {
		t.Errorf("the same again: %+v, %+v, %v", same, again, err)
	}
	if _, _, _, err := put("Planes", made.Pos); !errors.Is(err, commands.ErrStale) {
		t.Errorf("as of the first version: %v", err)
	}
	in.Version = 1
	if _, _, _, err := put("Planes", 0); code(err) != "changed-meanwhile" {
		t.Errorf("of the first version: %v", err)
	}
	if _, err := c.RetireRequestType(t.Context(), by, "flight", made.Pos); !errors.Is(err, commands.ErrStale) {
		t.Errorf("retired as of the first version: %v", err)
	}
	if _, err := c.RetireRequestType(t.Context(), by, "flight", changed.Pos); err != nil {
		t.Error(err)
	}
	if _, err := c.RetireRequestType(t.Context(), by, "../x", 0); code(err) != "unknown-request-type" {
		t.Errorf("what cannot be: %v", err)
	}
	if back, stored, err := c.BringBackRequestType(t.Context(), by, "flight"); err != nil || back.Version != 3 || back.Title != "Flights" || stored.Seq == 0 {
		t.Errorf("brought back: %+v, %+v, %v", back, stored, err)
	}
	if _, err := c.RetireProfile(t.Context(), by, "basic", 0); err != nil {
		t.Error(err)
	}
	if p, stored, err := c.BringBackProfile(t.Context(), by, "basic"); err != nil || p.Name != "basic" || stored.Seq == 0 {
		t.Errorf("a profile brought back: %+v, %+v, %v", p, stored, err)
	}
	sql := domain.ResponderConfigured{Kind: domain.ResponderSQL, Source: "data", Statement: "select 1"}
	filled, at, err := c.ConfigureResponder(t.Context(), by, "flight", sql, 0)
	if err != nil || filled.TimeoutMS != domain.DefaultTimeoutMS {
		t.Fatalf("%+v, %v", filled, err)
	}
	if _, err := c.DisableResponder(t.Context(), by, "flight", at.Pos+7); !errors.Is(err, commands.ErrStale) {
		t.Errorf("disabled as of another: %v", err)
	}
	if _, err := c.DisableResponder(t.Context(), by, "flight", at.Pos); err != nil {
		t.Error(err)
	}
	if _, err := c.DisableResponder(t.Context(), by, "flight", 0); code(err) != "no-responder" {
		t.Errorf("disabled twice: %v", err)
	}
}

func TestSettings(t *testing.T) {
	t.Parallel()
	c, site, _ := people(t)
	put := func(value string, public bool, at int64) (commands.Stored, bool, error) {
		_, created, stored, err := c.PutSetting(t.Context(), by, domain.ChangeSetting{Key: "notice",
			SettingChanged: domain.SettingChanged{Value: []byte(value), Public: public}}, at)
		return stored, created, err
	}
	made, created, err := put(` {"text": "closed on Sunday"} `, true, 0)
	if err != nil || !created {
		t.Fatalf("%v, %v", created, err)
	}
	for _, value := range []string{``, `{`, `"\u0000"`, `1e999`} {
		if _, _, err := put(value, true, 0); code(err) != "invalid-setting" {
			t.Errorf("%q: %v", value, err)
		}
	}
	if same, created, err := put(`{"text":"closed on Sunday"}`, true, made.Pos); err != nil || created || same.Seq != 0 {
		t.Errorf("the same in other words: %+v, %v", same, err)
	}
	if _, _, err := put(`1`, true, made.Pos+9); !errors.Is(err, commands.ErrStale) {
		t.Errorf("as of another: %v", err)
	}
	kept, _, err := put(`{"text":"closed on Sunday"}`, false, made.Pos)
	if records, readErr := site.Store.ReadStream(t.Context(), domain.SettingStream("notice")); err != nil || readErr != nil || len(records) != 3 {
		t.Errorf("no longer public: %d events, %v", len(records), err)
	}
	if _, err := c.RemoveSetting(t.Context(), by, "notice", kept.Pos); err != nil {
		t.Error(err)
	}
	if _, err := c.RemoveSetting(t.Context(), by, "notice", 0); code(err) != "unknown-setting" {
		t.Errorf("removed twice: %v", err)
	}
	if _, err := c.RemoveSetting(t.Context(), by, "No Key", 0); code(err) != "unknown-setting" {
		t.Errorf("what cannot be: %v", err)
	}
}

func TestManyUsersAreGivenATypeAtOnceOrNone(t *testing.T) {
	t.Parallel()
	c, site, ids := people(t, domain.RoleUser, domain.RoleUser, domain.RoleUser)
	grant := domain.GrantAccess{AccessGranted: domain.AccessGranted{RequestType: "airport", MaxResults: 5}}
	if err := change(t, c, ids[1], grant); err != nil {
		t.Fatal(err)
	}
	head, err := site.Store.Head(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for name, in := range map[string]commands.AccessChange{
		"invalid-access /users":                {Command: grant},
		"invalid-access /users/1":              {Command: grant, Users: []string{ids[0], id7}},
		"invalid-access /users/1 /users/3":     {Command: grant, Users: []string{ids[0], ids[0], ids[1], "' or 1=1"}},
		"unknown-request-type":                 {Command: domain.BlockAccess{RequestType: "nothing"}, Users: ids},
		"invalid-access /max_results":          {Command: domain.GrantAccess{AccessGranted: domain.AccessGranted{RequestType: "airport", MaxResults: -1}}, Users: ids},
		"invalid-access /users (far too many)": {Command: grant, Users: make([]string, commands.MaxAccess+1)},
	} {
		_, err := c.ChangeAccess(t.Context(), by, in)
		var refused *domain.Error
		if !errors.As(err, &refused) {
			t.Errorf("%s: %v", name, err)
			continue
		}
		got := refused.Code
		for _, f := range refused.Fields {
			got += " " + f.Pointer
		}
		if len(in.Users) > commands.MaxAccess {
			got += " (far too many)"
		}
		if got != name {
			t.Errorf("refused as %s, want %s", got, name)
		}
	}
	if after, err := site.Store.Head(t.Context()); err != nil || after.Seq != head.Seq {
		t.Errorf("what was refused was stored: seq %d after %d, %v", after.Seq, head.Seq, err)
	}
	got, err := c.ChangeAccess(t.Context(), by, commands.AccessChange{Users: ids, Command: grant})
	if err != nil || got.Changed != 2 || got.Unchanged != 1 || got.From != head.Seq+1 || got.Stored.Seq != head.Seq+2 {
		t.Errorf("granted: %+v, %v", got, err)
	}
	if got, err = c.ChangeAccess(t.Context(), by, commands.AccessChange{Users: ids, Command: grant}); err != nil || got.Changed != 0 || got.From != 0 {
		t.Errorf("granted again: %+v, %v", got, err)
	}
	if got, err = c.ChangeAccess(t.Context(), by, commands.AccessChange{Users: ids, Command: domain.ClearAccess{RequestType: "airport"}}); err != nil || got.Changed != 3 {
		t.Errorf("cleared: %+v, %v", got, err)
	}
}
