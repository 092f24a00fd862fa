package domain_test

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"sallyport/domain"
)

var noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

const (
	anna = "user-anna"
	bert = "user-bert"
	half = 30 * time.Minute
)

func opened() domain.WorkOpened {
	return domain.WorkOpened{RequestType: "opinion", TypeVersion: 1, Priority: 5, Question: digest, Task: domain.ManualTask{ClaimMinutes: 30}}
}

func claim(by string, at time.Time) domain.ClaimWork {
	return domain.ClaimWork{By: by, Now: at, For: half}
}

func answers(by string, at time.Time) domain.CloseWork {
	return domain.CloseWork{By: by, Now: at, Outcome: domain.StatusAnswered}
}

// TestWork tells stories whose last command leads to a fact or a refusal.
func TestWork(t *testing.T) {
	t.Parallel()
	late := noon.Add(half)
	for _, c := range []struct {
		name    string
		story   []domain.WorkCommand
		refused string
	}{
		{"is claimed", []domain.WorkCommand{opened(), claim(anna, noon)}, ""},
		{"a claim is prolonged", []domain.WorkCommand{opened(), claim(anna, noon), claim(anna, noon.Add(time.Minute))}, ""},
		{"of another is not claimed", []domain.WorkCommand{opened(), claim(anna, noon), claim(bert, late.Add(-time.Microsecond))}, "work-claimed"},
		{"a claim times out", []domain.WorkCommand{opened(), claim(anna, noon), claim(bert, late)}, ""},
		{"is answered", []domain.WorkCommand{opened(), claim(anna, noon), answers(anna, late.Add(-time.Microsecond))}, ""},
		{"without a claim is not answered", []domain.WorkCommand{opened(), answers(anna, noon)}, "work-not-claimed"},
		{"of another is not answered", []domain.WorkCommand{opened(), claim(anna, noon), answers(bert, noon)}, "work-claimed"},
		{"after the claim is not answered", []domain.WorkCommand{opened(), claim(anna, noon), answers(anna, late)}, "work-not-claimed"},
		{"taken by another is not answered", []domain.WorkCommand{opened(), claim(anna, noon), claim(bert, late), answers(anna, late)}, "work-claimed"},
		{"is not answered twice", []domain.WorkCommand{opened(), claim(anna, noon), answers(anna, noon), answers(anna, noon)}, "work-closed"},
		{"answered is not claimed", []domain.WorkCommand{opened(), claim(anna, noon), answers(anna, noon), claim(bert, noon)}, "work-closed"},
		{"is handed back", []domain.WorkCommand{opened(), claim(anna, noon), domain.ReleaseWork{By: anna, Now: noon, Reason: "not mine"}}, ""},
		{"handed back is free", []domain.WorkCommand{opened(), claim(anna, noon), domain.ReleaseWork{By: anna, Now: noon}, claim(bert, noon)}, ""},
		{"handed back is not answered", []domain.WorkCommand{opened(), claim(anna, noon), domain.ReleaseWork{By: anna, Now: noon}, answers(anna, noon)}, "work-not-claimed"},
		{"of another is not handed back", []domain.WorkCommand{opened(), claim(anna, noon), domain.ReleaseWork{By: bert, Now: noon}}, "work-claimed"},
		{"of another is handed back by who may", []domain.WorkCommand{opened(), claim(anna, noon), domain.ReleaseWork{By: bert, Now: noon, Others: true}}, ""},
		{"of nobody is not handed back", []domain.WorkCommand{opened(), domain.ReleaseWork{By: bert, Now: noon, Others: true}}, "work-not-claimed"},
		{"a late claim is handed back", []domain.WorkCommand{opened(), claim(anna, noon), domain.ReleaseWork{By: anna, Now: late}}, ""},
		{"is handed back with a short reason", []domain.WorkCommand{opened(), claim(anna, noon), domain.ReleaseWork{By: anna, Now: noon, Reason: strings.Repeat("x", 501)}}, "invalid-reason"},
		{"is ended by the site", []domain.WorkCommand{opened(), claim(anna, noon), domain.EndWork{Outcome: domain.StatusWithdrawn}}, ""},
		{"withdrawn is not answered", []domain.WorkCommand{opened(), claim(anna, noon), domain.EndWork{Outcome: domain.StatusWithdrawn}, answers(anna, noon)}, "work-closed"},
		{"failed is opened anew", []domain.WorkCommand{opened(), claim(anna, noon), domain.EndWork{Outcome: domain.StatusFailed}, opened()}, ""},
		{"opened anew is nobody's", []domain.WorkCommand{opened(), claim(anna, noon), domain.EndWork{Outcome: domain.StatusFailed}, opened(), answers(anna, noon)}, "work-not-claimed"},
		{"that is not there", []domain.WorkCommand{claim(anna, noon)}, "not-found"},
		{"that is not there is not answered", []domain.WorkCommand{answers(anna, noon)}, "not-found"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			var w domain.Work
			for i, command := range c.story {
				facts, err := w.Decide(command)
				if i == len(c.story)-1 && c.refused != "" {
					kind := domain.Conflict
					if c.refused == "not-found" {
						kind = domain.NotFound
					} else if c.refused == "invalid-reason" {
						kind = domain.Invalid
					}
					refusal(t, err, kind, c.refused)
					return
				}
				if err != nil || len(facts) != 1 {
					t.Fatalf("step %d: %v, %v", i, facts, err)
				}
				w = w.Apply(facts[0])
			}
		})
	}
}

func TestWorkThatIsOpenIsNotOpenedTwice(t *testing.T) {
	t.Parallel()
	w := domain.Work{}.Apply(opened()).Apply(domain.WorkClaimed{Holder: anna, Until: domain.Timestamp(noon)})
	if facts, err := w.Decide(opened()); len(facts) != 0 || err != nil {
		t.Errorf("%v, %v", facts, err)
	}
	if facts, err := (domain.Work{}).Decide(domain.EndWork{Outcome: domain.StatusFailed}); len(facts) != 0 || err != nil {
		t.Errorf("what is not there is ended by %v, %v", facts, err)
	}
	if holder, until := w.Holder(); holder != anna || !until.Equal(noon) || !w.Open() || w.Task().ClaimMinutes != 30 {
		t.Errorf("%+v", w)
	}
}

// Whatever analysts do, in whatever order and at whatever time, work is closed
// once, and by who holds it.
func TestWorkIsClosedOnce(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		w, now, closed := domain.Work{}.Apply(opened()), noon, 0
		for range rapid.IntRange(1, 30).Draw(t, "steps") {
			now = now.Add(time.Duration(rapid.IntRange(0, 20).Draw(t, "minutes")) * time.Minute)
			by := rapid.SampledFrom([]string{anna, bert}).Draw(t, "by")
			facts, err := w.Decide(rapid.SampledFrom([]domain.WorkCommand{claim(by, now), answers(by, now), domain.ReleaseWork{By: by, Now: now}}).Draw(t, "command"))
			if err != nil {
				continue
			}
			holder, until := w.Holder()
			for _, f := range facts {
				if _, ends := f.(domain.WorkClosed); ends {
					if closed++; closed > 1 || holder != by || !now.Before(until) {
						t.Fatalf("closed %d times, by %s while %s held it until %s", closed, by, holder, until)
					}
				}
				w = w.Apply(f)
			}
		}
	})
}

func TestConfigureManual(t *testing.T) {
	t.Parallel()
	facts, err := domain.ResponderConfig{}.Decide(domain.ResponderConfigured{Kind: domain.ResponderManual, Task: &domain.ManualTask{Instructions: "Look.\n\tThen say."}})
	if err != nil || facts[0].(domain.ResponderConfigured).Task.ClaimMinutes != domain.DefaultClaimMinutes {
		t.Fatalf("%+v, %v", facts, err)
	}
	bare, err := domain.ResponderConfig{}.Decide(domain.ResponderConfigured{Kind: domain.ResponderManual})
	if err != nil || bare[0].(domain.ResponderConfigured).Task.ClaimMinutes != domain.DefaultClaimMinutes {
		t.Fatalf("without a task: %+v, %v", bare, err)
	}
	for name, c := range map[string]struct {
		config domain.ResponderConfigured
		wrong  []string
	}{
		"another's parts": {domain.ResponderConfigured{Source: "aa", Statement: "x", TimeoutMS: 1, Task: &domain.ManualTask{}}, []string{"/source", "/timeout_ms", "/statement"}},
		"long":            {domain.ResponderConfigured{Task: &domain.ManualTask{ClaimMinutes: 10_081, Instructions: strings.Repeat("x", 4001), ResultSchema: make([]byte, 64<<10+1)}}, []string{"/task/instructions", "/task/result_schema", "/task/claim_minutes"}},
		"a bell":          {domain.ResponderConfigured{Task: &domain.ManualTask{Instructions: "\a", ClaimMinutes: -1}}, []string{"/task/instructions", "/task/claim_minutes"}},
	} {
		c.config.Kind = domain.ResponderManual
		_, err := domain.ResponderConfig{}.Decide(c.config)
		if got := pointers(refusal(t, err, domain.Invalid, "invalid-responder")); !slices.Equal(got, c.wrong) {
			t.Errorf("%s: %v, want %v", name, got, c.wrong)
		}
	}
	sql := domain.ResponderConfigured{Kind: domain.ResponderSQL, Source: "aa", Statement: "x", Task: &domain.ManualTask{}}
	_, err = domain.ResponderConfig{}.Decide(sql)
	if got := pointers(refusal(t, err, domain.Invalid, "invalid-responder")); !slices.Equal(got, []string{"/task"}) {
		t.Errorf("a task of sql: %v", got)
	}
}

func TestAnAnswerIsRecorded(t *testing.T) {
	t.Parallel()
	for result, count := range map[string]int{`[{"a":1},2]`: 2, `[]`: 0, `{"a":[1,2]}`: 1, `null`: 1, `"x"`: 1} {
		got, err := domain.WorkAnswer{Result: json.RawMessage(result)}.Recorded()
		want := domain.ResponseRecorded{Status: domain.StatusAnswered, Result: json.RawMessage(result), ResultCount: count, Responder: domain.ResponderManual, ContentType: "application/json"}
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%s is recorded as %+v (%v)", result, got, err)
		}
	}
	file := domain.AnswerFile{Name: "map <1>.pdf", ContentType: "application/pdf", Base64: base64.StdEncoding.EncodeToString([]byte("%PDF"))}
	got, err := domain.WorkAnswer{File: &file}.Recorded()
	if err != nil || got.ContentType != "application/pdf" || got.ResultCount != 1 || !bytes.Contains(got.Result, []byte(`"base64":"JVBERg=="`)) {
		t.Errorf("a file is recorded as %+v %s (%v)", got, got.Result, err)
	}
}

func TestAWrongAnswerIsRefused(t *testing.T) {
	t.Parallel()
	file := func(change func(*domain.AnswerFile)) domain.WorkAnswer {
		f := domain.AnswerFile{Name: "x", ContentType: "text/plain; charset=utf-8", Base64: "eA=="}
		change(&f)
		return domain.WorkAnswer{File: &f}
	}
	for name, c := range map[string]struct {
		answer domain.WorkAnswer
		wrong  []string
	}{
		"nothing":        {domain.WorkAnswer{}, []string{""}},
		"both":           {domain.WorkAnswer{Result: []byte(`1`), File: file(func(*domain.AnswerFile) {}).File}, []string{""}},
		"by its schema":  {domain.WorkAnswer{Result: []byte(`1`), ResultErrors: []domain.FieldError{{Pointer: "/result/a"}}}, []string{"/result/a"}},
		"a folder":       {file(func(f *domain.AnswerFile) { f.Name = "../x" }), []string{"/file/name"}},
		"no name":        {file(func(f *domain.AnswerFile) { f.Name = "" }), []string{"/file/name"}},
		"a dot":          {file(func(f *domain.AnswerFile) { f.Name = ".." }), []string{"/file/name"}},
		"no media type":  {file(func(f *domain.AnswerFile) { f.ContentType = "pdf" }), []string{"/file/content_type"}},
		"a line feed":    {file(func(f *domain.AnswerFile) { f.ContentType = "text/plain\r\nX: y" }), []string{"/file/content_type"}},
		"no padding":     {file(func(f *domain.AnswerFile) { f.Base64 = "eA" }), []string{"/file/base64"}},
		"two lines":      {file(func(f *domain.AnswerFile) { f.Base64 = "eA==\n" }), []string{"/file/base64"}},
		"bits left over": {file(func(f *domain.AnswerFile) { f.Base64 = "eB==" }), []string{"/file/base64"}},
		"too large": {file(func(f *domain.AnswerFile) {
			f.Base64 = base64.StdEncoding.EncodeToString(make([]byte, domain.MaxAnswerFile+1))
		}), []string{"/file/base64"}},
		"far too large": {file(func(f *domain.AnswerFile) { f.Base64 = strings.Repeat("A", 12<<20) }), []string{"/file/base64"}},
	} {
		_, err := c.answer.Recorded()
		if got := pointers(refusal(t, err, domain.Invalid, "invalid-answer")); !slices.Equal(got, c.wrong) {
			t.Errorf("%s: %q, want %q", name, got, c.wrong)
		}
	}
	if _, err := file(func(f *domain.AnswerFile) {
		f.Base64 = base64.StdEncoding.EncodeToString(make([]byte, domain.MaxAnswerFile))
	}).Recorded(); err != nil {
		t.Errorf("the largest file: %v", err)
	}
	for _, nothing := range []string{"", "  "} {
		_, err := domain.FailWork(nothing)
		refusal(t, err, domain.Invalid, "invalid-reason")
		refusal(t, domain.CheckReason(nothing), domain.Invalid, "invalid-reason")
	}
	if f, err := domain.FailWork("nobody knows"); err != nil || f.Code != domain.CodeFailedByAnalyst || f.Error != "nobody knows" {
		t.Errorf("%+v, %v", f, err)
	}
}

func TestAnAnswerBeginsOnceATry(t *testing.T) {
	t.Parallel()
	r := domain.Response{}
	for i, c := range []struct {
		fact  domain.Fact
		begun bool
	}{{domain.ResponseStarted{}, true}, {domain.ResponseFailed{}, true}, {domain.ResponseRetried{}, false}, {domain.ResponseStarted{}, true}} {
		if r = r.Apply(c.fact); r.Begun() != c.begun {
			t.Errorf("after step %d: begun %v", i, r.Begun())
		}
	}
	if r.Attempts() != 2 {
		t.Errorf("%d attempts", r.Attempts())
	}
}

func TestTheSameQuestion(t *testing.T) {
	t.Parallel()
	of := func(requestType, params string) string {
		q, err := domain.Question(requestType, json.RawMessage(params))
		if err != nil {
			t.Fatal(err)
		}
		return q
	}
	asked := of("opinion", `{"a":{"x":1,"y":[1,2]},"b":"é"}`)
	for params, same := range map[string]bool{
		`{ "b":"\u00e9", "a":{"y":[1, 2],"x":1} }`: true,
		`{"a":{"x":1,"y":[2,1]},"b":"é"}`:          false,
		`{"a":{"x":2,"y":[1,2]},"b":"é"}`:          false,
	} {
		if got := of("opinion", params); (got == asked) != same {
			t.Errorf("%s counts as the same: %v", params, !same)
		}
	}
	if of("advice", `{}`) == of("opinion", `{}`) || of("opinion", `9007199254740993`) == of("opinion", `9007199254740992`) {
		t.Error("other questions count as the same")
	}
	if _, err := domain.Question("opinion", json.RawMessage(`{`)); err == nil {
		t.Error("what is no JSON is a question")
	}
}
