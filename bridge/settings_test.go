package bridge_test

import (
	"slices"
	"strings"
	"testing"

	"sallyport/bridge"
	"sallyport/bridge/bundle"
	"sallyport/domain"
)

func saying(value string, public bool) domain.SettingChanged {
	return domain.SettingChanged{Value: []byte(value), Public: public}
}

// TestWhatOfMasterDataCrosses: a request site gets what its users need, and
// neither how requests are answered nor what is set for the other site alone.
func TestWhatOfMasterDataCrosses(t *testing.T) {
	t.Parallel()
	field, core := pair(t)
	banner, other := domain.SettingStream("banner"), domain.SettingStream("other")
	core.append(t, domain.ResponderConfigStream("airport"), domain.ResponderConfigured{Kind: domain.ResponderSQL, Source: "flights", Statement: "SELECT 1 AS hunter2", TimeoutMS: 10})
	core.append(t, domain.ResponderConfigStream("airport"), domain.ResponderDisabled{})
	core.append(t, other, saying(`"hunter2"`, false))
	core.append(t, banner, saying(`"hello"`, true))
	core.append(t, other, domain.SettingRemoved{})
	core.append(t, banner, domain.SettingRemoved{Public: true})
	core.append(t, banner, saying(`"hunter2"`, false))
	core.append(t, domain.RequestTypeStream("airport"), domain.RequestTypeDefined{Name: "airport", Title: "A", Version: 1, Parameters: []byte(`true`), MaxResults: 1})
	core.append(t, domain.RequestTypeStream("airport"), domain.RequestTypeRetired{})
	out := core.exportOne(t, "field")
	carry(t, core, field, out.File)
	field.expect(t, bridge.Applied)
	var got []string
	for _, l := range field.mirrored(t, "core") {
		got = append(got, l.Type)
		if strings.Contains(string(l.Bytes), "hunter2") {
			t.Errorf("what stays at home has crossed: %s", l.Bytes)
		}
	}
	want := []string{"setting.changed", "setting.removed", "requesttype.defined", "requesttype.retired"}
	if got = got[len(got)-4:]; !slices.Equal(got, want) {
		t.Errorf("%v has crossed, want %v", got, want)
	}
}

func TestASettingThatIsNotPublicIsRefused(t *testing.T) {
	t.Parallel()
	field, core := newEnd(t, "field", domain.RequestSite), newPeer(t, "core", domain.ResponseSite)
	field.addLink(t, core.card)
	f := forgery{from: core, to: "field", events: []bundle.Event{
		said(domain.SettingStream("banner"), "setting.changed", `{"value":1,"description":"","public":false}`)}}
	if r := refused(t, field, "core", f.deliver(t, field), bundle.Refused, true); r.Position != 1 || !strings.Contains(r.Message, "not public") {
		t.Errorf("the reason is %+v", r)
	}
}
