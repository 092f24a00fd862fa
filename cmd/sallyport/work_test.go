package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/uuid"

	"sallyport/domain"
	"sallyport/eventstore"
)

func TestWorkCommands(t *testing.T) {
	t.Parallel()
	core := newStation(t, "core", domain.ResponseSite, t.TempDir())
	store := func(stream string, f domain.Fact) {
		t.Helper()
		_, err := core.Store.Append(t.Context(), eventstore.Append{Actor: "cli:test", Writes: []eventstore.Write{{Stream: stream, Facts: []domain.Fact{f}}}})
		if err != nil {
			t.Fatal(err)
		}
	}
	store(domain.UserStream(asker), domain.UserRegistered{Username: "asker", Profile: "basic", Role: domain.RoleUser})
	store(domain.ProfileStream("basic"), domain.ProfileDefined{Name: "basic", Allowed: []string{"opinion"}})
	store(domain.RequestTypeStream("opinion"), domain.RequestTypeDefined{Name: "opinion", Title: "T", Version: 1, MaxResults: 10, Parameters: json.RawMessage(`{"type":"object"}`)})
	dir := t.TempDir()
	config := filepath.Join(dir, "opinion.json")
	for text, code := range map[string]int{`{"kind":"manual","task":{"result_schema":{"type":7}}}`: 16,
		`{"kind":"manual","task":{"instructions":"Think.","result_schema":{"type":"string"}}}`: 0} {
		if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if r := core.try(t, "requesttype", "responder", "opinion", config); r.code != code {
			t.Errorf("%s: exit code %d: %s", text, r.code, r.stderr)
		}
	}
	ids := []string{uuid.NewString(), uuid.NewString(), uuid.NewString()}
	for _, id := range ids {
		store(domain.RequestStream(id), domain.RequestSubmitted{Type: "opinion", TypeVersion: 1, Params: json.RawMessage(`{"a":1}`), Priority: 5, User: asker})
		store(domain.ResponseStream(id), domain.ResponseStarted{Responder: domain.ResponderManual, Attempt: 1})
		store(domain.WorkStream(id), domain.WorkOpened{RequestType: "opinion", TypeVersion: 1, Priority: 5, Question: "q",
			Task: domain.ManualTask{Instructions: "Think.", ResultSchema: json.RawMessage(`{"type":"string"}`), ClaimMinutes: 30}})
	}
	var listed []workItem
	decodeInto(t, core.must(t, "work", "list").stdout, &listed)
	if len(listed) != 3 || listed[0].ID != ids[0] || listed[0].State != "open" {
		t.Errorf("listed %+v", listed)
	}
	if r := core.try(t, "work", "answer", ids[0], "--json", `"yes"`); r.code != 16 || !strings.Contains(r.stderr, "claim it first") {
		t.Errorf("answered without a claim: exit code %d: %s", r.code, r.stderr)
	}
	for _, id := range ids {
		core.must(t, "work", "claim", strings.ToUpper(id))
	}
	core.must(t, "work", "release", ids[1], "--reason", "not mine")
	core.must(t, "work", "claim", ids[1])
	if r := core.try(t, "work", "answer", ids[0], "--json", `7`); r.code != 16 || !strings.Contains(r.stderr, "/result") {
		t.Errorf("answered wrongly: exit code %d: %s", r.code, r.stderr)
	}
	core.must(t, "work", "answer", ids[0], "--json", `"yes"`)
	chart := filepath.Join(dir, "chart.txt")
	if err := os.WriteFile(chart, []byte("chart"), 0o600); err != nil {
		t.Fatal(err)
	}
	core.must(t, "work", "answer", ids[1], "--file", chart)
	core.must(t, "work", "fail", ids[2], "--reason", "nobody knows")
	var shown workShown
	decodeInto(t, core.must(t, "work", "show", ids[2]).stdout, &shown)
	if shown.Outcome != domain.StatusFailed || len(shown.Earlier) != 2 || shown.Instructions != "Think." || !strings.Contains(string(shown.Params), `"a"`) {
		t.Errorf("shown %+v", shown)
	}
	if shown.Failure == nil || *shown.Failure != "nobody knows" || string(shown.Answer) != "null" {
		t.Errorf("failed with %v, answered with %s", shown.Failure, shown.Answer)
	}
	var answered workShown
	if decodeInto(t, core.must(t, "work", "show", ids[0]).stdout, &answered); string(answered.Answer) != `"yes"` || answered.Failure != nil {
		t.Errorf("answered with %s, failed with %v", answered.Answer, answered.Failure)
	}
	decodeInto(t, core.must(t, "work", "list", "--state", "closed").stdout, &listed)
	if len(listed) != 3 {
		t.Errorf("closed %+v", listed)
	}
	views := core.must(t, "audit", "log", "--type", "audit.viewed").stdout
	for _, what := range []string{"sallyport work list", "sallyport work show " + ids[2]} {
		if !strings.Contains(views, `"`+what+`"`) {
			t.Errorf("that somebody looked is not recorded, %s: %s", what, views)
		}
	}
	for i, want := range []string{`"yes"`, `{"file":{"name":"chart.txt","content_type":"text/plain; charset=utf-8","base64":"Y2hhcnQ="}}`} {
		records, err := core.Store.ReadStream(t.Context(), domain.ResponseStream(ids[i]))
		if err != nil || len(records) != 2 || string(records[1].Fact.(domain.ResponseRecorded).Result) != want {
			t.Errorf("recorded %+v (%v)", records, err)
		}
	}
	for _, wrong := range [][]string{{"claim", "x"}, {"claim", uuid.NewString()}, {"show", "x"}, {"list", "--state", "odd"}, {"answer", ids[0]},
		{"answer", ids[0], "--json", "1", "--file", chart}} {
		if r := core.try(t, append([]string{"work"}, wrong...)...); r.code != 2 || r.stderr == "" {
			t.Errorf("work %v: exit code %d: %s%s", wrong, r.code, r.stdout, r.stderr)
		}
	}
}
