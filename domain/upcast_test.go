package domain

import (
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"
)

// TestEveryVersionHasItsSteps: from each version that was ever written there
// is a way to the present one, and back for peers that are not there yet.
func TestEveryVersionHasItsSteps(t *testing.T) {
	t.Parallel()
	for _, k := range catalogue {
		if k.Schema < 1 || len(steps[k.Type]) != k.Schema-1 {
			t.Errorf("%s is at version %d and has %d steps, want one between each two versions", k.Type, k.Schema, len(steps[k.Type]))
		}
		for i, s := range steps[k.Type] {
			if s.up == nil || s.down == nil {
				t.Errorf("%s: the step from version %d is not whole", k.Type, i+1)
			}
		}
	}
	for eventType := range steps {
		if _, known := kinds[eventType]; !known {
			t.Errorf("there are steps of %s, which is in no catalogue", eventType)
		}
	}
}

// TestGenerations: each step has a number of its own, and those of a type go up.
func TestGenerations(t *testing.T) {
	t.Parallel()
	var all []int
	for eventType, of := range steps {
		k := kinds[eventType]
		if k.ReadBy(0) != 1 || k.ReadBy(Generation()) != k.Schema {
			t.Errorf("%s is read by the first program as version %d, by this one as %d", eventType, k.ReadBy(0), k.ReadBy(Generation()))
		}
		for i, s := range of {
			if all = append(all, s.generation); k.ReadBy(s.generation) != i+2 || k.ReadBy(s.generation-1) != i+1 {
				t.Errorf("%s: step %d is of generation %d, which reads version %d", eventType, i+1, s.generation, k.ReadBy(s.generation))
			}
		}
	}
	slices.Sort(all)
	for i, generation := range all {
		if generation != i+1 {
			t.Errorf("the generations are %v, want 1 to %d", all, len(all))
			break
		}
	}
}

// TestStepsAreChained: each version's data takes the steps above it, in order,
// and none below.
func TestStepsAreChained(t *testing.T) {
	t.Parallel()
	append1 := func(what string) func(json.RawMessage) (json.RawMessage, error) {
		return func(data json.RawMessage) (json.RawMessage, error) { return json.RawMessage(string(data) + what), nil }
	}
	chain := []step{{up: append1("a"), down: append1("x")}, {up: append1("b"), down: append1("y")}, {up: append1("c"), down: append1("z")}}
	for from, want := range map[int][2]string{1: {"|abc", "|zyx"}, 2: {"|bc", "|zy"}, 3: {"|c", "|z"}, 4: {"|", "|"}} {
		up, err := climb(chain, from, []byte("|"))
		if err != nil || string(up) != want[0] {
			t.Errorf("up from %d: %s, %v", from, up, err)
		}
		down, err := descend(chain, from, []byte("|"))
		if err != nil || string(down) != want[1] {
			t.Errorf("down to %d: %s, %v", from, down, err)
		}
	}
	broken := errors.New("broken")
	chain[1].up = func(json.RawMessage) (json.RawMessage, error) { return nil, broken }
	if _, err := climb(chain, 1, []byte("|")); !errors.Is(err, broken) || !strings.Contains(err.Error(), "version 2 as of version 3") {
		t.Errorf("got %v", err)
	}
}

func TestUpcastLeavesWhatItIsGiven(t *testing.T) {
	t.Parallel()
	stored := []byte(`{"request_type":"aa"}  `)[:21]
	e := Event{Type: "user.access_granted", Schema: 1, Pos: 7, Data: stored}
	now, err := Upcast(e)
	if err != nil || now.Schema != 2 || string(now.Data) != `{"request_type":"aa","indices":[]}` || now.Pos != 7 {
		t.Errorf("got %+v (%s), %v", now, now.Data, err)
	}
	if e.Schema != 1 || string(stored[:23]) != `{"request_type":"aa"}  ` {
		t.Errorf("what was stored became %q", stored[:23])
	}
	if again, err := Upcast(now); err != nil || &again.Data[0] != &now.Data[0] {
		t.Errorf("the present version became %s, %v", again.Data, err)
	}
	for _, broken := range []string{``, `[]`, `null`, `{"request_type":"aa"`, `{"request_type":"aa"} `, `{"request_type":1}`, `{}{}`, `"}"`} {
		if f, err := Decode(Event{Type: e.Type, Schema: 1, Data: []byte(broken)}); err == nil {
			t.Errorf("%s was read as %v", broken, f)
		}
	}
}

func TestEncodeAsKnowsItsVersions(t *testing.T) {
	t.Parallel()
	f := AccessGranted{RequestType: "aa", Indices: []string{}}
	for version, want := range map[int]string{1: `{"request_type":"aa"}`, 2: `{"request_type":"aa","indices":[]}`, 0: "", 3: ""} {
		data, err := EncodeAs(f, version)
		var unknown *UnknownEventError
		if string(data) != want || (want == "") != errors.As(err, &unknown) {
			t.Errorf("version %d: %s, %v", version, data, err)
		}
	}
}
