package main

import (
	"strings"
	"testing"

	"sallyport/domain"
	"sallyport/projections/reactor"
)

func TestPoisonCommands(t *testing.T) {
	t.Parallel()
	core := newStation(t, "core", domain.ResponseSite, t.TempDir())
	core.must(t, "poison", "list") // nothing waits
	for _, target := range []string{"", "one", "two"} {
		if err := reactor.NewPoison(core.Pool).Put(t.Context(), "webhooks", 1, target, "its server answered 500"); err != nil {
			t.Fatal(err)
		}
	}
	var all []reactor.Poisoned
	decodeInto(t, core.must(t, "poison", "list").stdout, &all)
	if len(all) != 3 || all[1].Target != "one" || all[1].Type != "site.founded" || all[1].Event != nil {
		t.Errorf("listed %+v", all)
	}
	var shown reactor.Poisoned
	decodeInto(t, core.must(t, "poison", "show", "2").stdout, &shown)
	if !strings.Contains(string(shown.Event), "site.founded") {
		t.Errorf("shown %+v", shown)
	}
	core.must(t, "poison", "requeue", "1")
	core.must(t, "poison", "drop", "2")
	for _, wrong := range [][]string{{"drop", "2"}, {"requeue", "2"}, {"show", "99"}, {"show", "x"}, {"show", "-1"}, {"drop"}} {
		if r := core.try(t, append([]string{"poison"}, wrong...)...); r.code != 2 || r.stderr == "" {
			t.Errorf("poison %v: exit code %d: %s%s", wrong, r.code, r.stdout, r.stderr)
		}
	}
	decodeInto(t, core.must(t, "poison", "list").stdout, &all)
	if len(all) != 2 || all[0].RequeuedAt == nil || all[1].RequeuedAt != nil {
		t.Errorf("left %+v", all)
	}
}
