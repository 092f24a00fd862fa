package projections_test

import (
	"encoding/json"
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"

	"sallyport/domain"
	"sallyport/projections"
)

// version is a request type as one of its versions says it.
func version(n int, parameters string) domain.RequestTypeDefined {
	t := requestType("airport", "Airports")
	t.Version, t.Parameters = n, json.RawMessage(parameters)
	return t
}

func TestOldVersionsOfATypeStay(t *testing.T) {
	t.Parallel()
	site := responseSite(t)
	reader := projections.NewReader(site.Pool)
	stream := domain.RequestTypeStream("airport")
	appendTo(t, site.Store, stream, version(1, `{"title":"one"}`), domain.RequestTypeChanged(version(2, `{"title":"two"}`)))
	appendTo(t, site.Store, stream, domain.RequestTypeRetired{})
	now, err := reader.RequestType(t.Context(), "airport")
	if err != nil || !now.Retired || now.Version != 2 || now.Pos != 4 {
		t.Errorf("a retired type is %+v, %v", now, err)
	}
	live, err1 := reader.RequestTypes(t.Context(), false)
	gone, err2 := reader.RequestTypes(t.Context(), true)
	if len(live) != 0 || len(gone) != 1 || errors.Join(err1, err2) != nil {
		t.Errorf("%d types live, %d retired, %v, %v", len(live), len(gone), err1, err2)
	}
	appendTo(t, site.Store, stream, version(3, `{"title":"three"}`))
	if now, err = reader.RequestType(t.Context(), "airport"); err != nil || now.Retired || now.Version != 3 {
		t.Errorf("brought back it is %+v, %v", now, err)
	}
	for n, want := range map[int]string{1: `{"title":"one"}`, 2: `{"title":"two"}`, 3: `{"title":"three"}`} {
		if v, err := reader.RequestTypeVersion(t.Context(), "airport", n); err != nil || string(v.Parameters) != want || v.Version != n {
			t.Errorf("version %d is %+v, %v", n, v, err)
		}
	}
	if _, err := reader.RequestTypeVersion(t.Context(), "airport", 4); !errors.Is(err, projections.ErrNotFound) {
		t.Errorf("a version that never was: %v", err)
	}
	newest, next, err := reader.RequestTypeVersions(t.Context(), "airport", projections.Page{Limit: 2})
	if err != nil || len(newest) != 2 || newest[0].Version != 3 {
		t.Fatalf("the newest are %+v, %v", newest, err)
	}
	if rest, end, err := reader.RequestTypeVersions(t.Context(), "airport", projections.Page{Limit: 2, Cursor: next}); err != nil || end != "" || len(rest) != 1 || rest[0].Version != 1 {
		t.Errorf("the rest is %+v, %q, %v", rest, end, err)
	}
}

func TestARetiredProfileIsKnown(t *testing.T) {
	t.Parallel()
	site := responseSite(t)
	reader := projections.NewReader(site.Pool)
	appendTo(t, site.Store, domain.ProfileStream("basic"), profile(3), domain.ProfileRetired{})
	_, err := reader.Profile(t.Context(), "basic")
	known, err2 := reader.KnownProfile(t.Context(), "basic")
	if !errors.Is(err, projections.ErrNotFound) || err2 != nil || !known.Retired || known.Priority != 3 {
		t.Errorf("%v; %+v, %v", err, known, err2)
	}
	if gone, err := reader.Profiles(t.Context(), true); err != nil || len(gone) != 1 {
		t.Errorf("retired are %+v, %v", gone, err)
	}
}

func TestADisabledResponderIsGone(t *testing.T) {
	t.Parallel()
	site := responseSite(t)
	reader := projections.NewReader(site.Pool)
	config := domain.ResponderConfigured{Kind: domain.ResponderSQL, Source: "flights", Statement: "select 1", TimeoutMS: 10}
	stream := domain.ResponderConfigStream("airport")
	appendTo(t, site.Store, stream, config, domain.ResponderDisabled{})
	if c, err := reader.ResponderConfig(t.Context(), "airport"); !errors.Is(err, projections.ErrNotFound) {
		t.Errorf("%+v, %v", c, err)
	}
	appendTo(t, site.Store, stream, config)
	if c, err := reader.ResponderConfig(t.Context(), "airport"); err != nil || c.Statement != "select 1" || c.Pos != 4 {
		t.Errorf("%+v, %v", c, err)
	}
}

// TestSitesAgreeOnPublicSettings: what a request site does not hold is no part
// of what both are compared by.
func TestSitesAgreeOnPublicSettings(t *testing.T) {
	t.Parallel()
	center, field := responseSite(t), requestSite(t)
	say := func(key, value string, public bool) {
		appendTo(t, center.Store, domain.SettingStream(key), domain.SettingChanged{Value: json.RawMessage(value), Public: public})
	}
	say("banner", `"hello"`, true)
	say("secret", `"psst"`, false)
	say("was-public", `1`, true)
	appendTo(t, center.Store, domain.SettingStream("was-public"), domain.SettingRemoved{Public: true}, domain.SettingChanged{Value: json.RawMessage(`2`)})
	say("removed", `1`, true)
	appendTo(t, center.Store, domain.SettingStream("removed"), domain.SettingRemoved{Public: true})
	carry(t, center.Store, field.Store)
	if d := cmp.Diff(digest(t, center, projections.Scope{}), digest(t, field, projections.Scope{})); d != "" {
		t.Errorf("the sites differ:\n%s", d)
	}
	there, err1 := projections.NewReader(field.Pool).Settings(t.Context())
	here, err2 := projections.NewReader(center.Pool).Settings(t.Context())
	if len(there) != 1 || there[0].Key != "banner" || string(there[0].Value) != `"hello"` || errors.Join(err1, err2) != nil {
		t.Errorf("the request site holds %+v, %v, %v", there, err1, err2)
	}
	if len(here) != 3 {
		t.Errorf("the response site holds %+v", here)
	}
	before := digest(t, center, projections.Scope{})
	for _, change := range []string{`definition = '{"value":3,"public":true}'`, `pos = 99`, `key = 'other'`, `definition = NULL`} {
		if _, err := center.Owner.Exec(t.Context(), `UPDATE readmodel.settings SET `+change+` WHERE key IN ('banner', 'other')`); err != nil {
			t.Fatal(err)
		}
		after := digest(t, center, projections.Scope{})
		if after["settings"] == before["settings"] {
			t.Errorf("the digest does not see %s", change)
		}
		before = after
	}
}
