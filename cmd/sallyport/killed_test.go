package main

import (
	"encoding/json"
	"net/http"
	"net/url"
	"sync"
	"testing"

	"sallyport/domain"
	"sallyport/internal/boot"
	"sallyport/internal/commands"
	"sallyport/internal/pgdev/pgtest"
)

// A power cut in the middle: what was acknowledged is there once the program
// runs again on the same data, exactly once, and is answered.
func TestKilledAndStartedAgain(t *testing.T) {
	t.Parallel()
	data := pgtest.Folder(t)
	first := startDev(t, data, "--carry-every", "200ms", "--request-port", "0", "--response-port", "0")
	wide := first.account(t, "wide")
	acknowledged, tried := submitUntilKilled(t, first, caller{url: first.Sites["field"].URL}.as(t, wide))

	second := startDev(t, data, "--carry-every", "200ms", "--request-port", portOf(t, first, "field"), "--response-port", portOf(t, first, "core"))
	for name := range second.Sites {
		if second.Sites[name].URL != first.Sites[name].URL {
			t.Errorf("%s moved to %s", name, second.Sites[name].URL)
		}
	}
	if again := second.account(t, "wide"); again != wide {
		t.Error("the accounts are others after the second start")
	}
	user := caller{url: second.Sites["field"].URL}.as(t, wide)
	have := listAll(t, user)
	for id := range acknowledged {
		if have[id] != 1 {
			t.Errorf("the acknowledged request %s is there %d times", id, have[id])
		}
	}
	if len(have) > tried {
		t.Errorf("%d requests are there, %d were tried", len(have), tried)
	}
	for id := range have { // one that was stored but not acknowledged is answered too
		if r := answerTo(t, user, id); r.text(t, "status") != "answered" {
			t.Errorf("request %s: %s", id, r.body)
		}
	}
	t.Run("failing responders", func(t *testing.T) { failing(t, second, user) })
	for name, s := range second.Sites {
		if r := call(t, "-C", s.Config, "audit", "verify"); r.code != 0 {
			t.Errorf("audit verify on %s: exit code %d: %s", name, r.code, r.stderr)
		}
	}
}

func portOf(t *testing.T, d *devProcess, name string) string {
	t.Helper()
	u, err := url.Parse(d.Sites[name].URL)
	if err != nil {
		t.Fatal(err)
	}
	return u.Port()
}

// submitUntilKilled submits from several callers at once and kills the program
// once enough was acknowledged. It returns what was, and how many were tried.
func submitUntilKilled(t *testing.T, d *devProcess, user caller) (acknowledged map[string]bool, tried int) {
	const callers, enough = 6, 60
	acknowledged = map[string]bool{}
	var mu sync.Mutex
	var all sync.WaitGroup
	reached := make(chan struct{})
	for range callers {
		all.Go(func() {
			for {
				mu.Lock()
				tried++
				mu.Unlock()
				r, err := user.try(t, http.MethodPost, "/requests", `{"type":"airport","params":{"iata":"FRA"}}`)
				if err != nil {
					return // killed
				}
				var got struct {
					ID string `json:"id"`
				}
				if err := json.Unmarshal(r.body, &got); err != nil || r.status != http.StatusAccepted {
					t.Errorf("status %d: %s", r.status, r.body)
					return
				}
				mu.Lock()
				if acknowledged[got.ID] = true; len(acknowledged) == enough {
					close(reached)
				}
				mu.Unlock()
			}
		})
	}
	<-reached
	d.kill(t)
	all.Wait()
	return acknowledged, tried
}

// listAll counts the caller's requests by id, page by page.
func listAll(t *testing.T, user caller) map[string]int {
	t.Helper()
	have := map[string]int{}
	for cursor := ""; ; {
		r := user.get(t, "/requests?limit=25&cursor="+url.QueryEscape(cursor))
		r.want(t, http.StatusOK)
		var page struct {
			Items []struct {
				ID string `json:"id"`
			} `json:"items"`
			NextCursor *string `json:"next_cursor"`
		}
		if err := json.Unmarshal(r.body, &page); err != nil {
			t.Fatal(err)
		}
		for _, item := range page.Items {
			have[item.ID]++
		}
		if page.NextCursor == nil || *page.NextCursor == "" {
			return have
		}
		cursor = *page.NextCursor
	}
}

func answerTo(t *testing.T, user caller, id string) (r reply) {
	t.Helper()
	eventually(t, "the answer to "+id, func() bool {
		r = user.get(t, "/requests/"+id+"/response")
		return r.status != http.StatusAccepted
	})
	r.want(t, http.StatusOK)
	return r
}

// failing asks for what cannot be answered: the asker is told so, and why.
func failing(t *testing.T, d *devProcess, user caller) {
	for name, c := range map[string]struct {
		responder domain.ResponderConfigured
		code      string
	}{
		"broken":  {domain.ResponderConfigured{Source: "airports", Statement: "select * from no_such_table"}, "bad_statement"},
		"writing": {domain.ResponderConfigured{Source: "airports", Statement: "insert into airports (iata) values ('QQQ') returning iata"}, "bad_statement"},
		"prying":  {domain.ResponderConfigured{Source: "airports", Statement: "select pg_read_file('/etc/passwd')"}, "not_permitted"},
		"unknown": {domain.ResponderConfigured{Source: "nowhere", Statement: "select 1"}, "unknown_source"},
		"slow":    {domain.ResponderConfigured{Source: "airports", Statement: "select pg_sleep(20)::text", TimeoutMS: 100}, "timeout"},
	} {
		c.responder.Kind = domain.ResponderSQL
		define(t, d.Sites["core"].Config, name, c.responder)
		t.Run(name, func(t *testing.T) {
			t.Parallel() // one of them is asked five times, longer and longer apart
			eventually(t, "the type's arrival on field", func() bool {
				return user.get(t, "/request-types/"+name).status == http.StatusOK
			})
			asked := user.submit(t, name, `{}`)
			asked.want(t, http.StatusAccepted)
			id := asked.text(t, "id")
			r := answerTo(t, user, id)
			var got struct {
				Status string           `json:"status"`
				Result *json.RawMessage `json:"result"`
				Error  *struct {
					Code   string `json:"code"`
					Detail string `json:"detail"`
				} `json:"error"`
			}
			if err := json.Unmarshal(r.body, &got); err != nil {
				t.Fatal(err)
			}
			if got.Status != "failed" || got.Result != nil || got.Error == nil || got.Error.Code != c.code || got.Error.Detail == "" {
				t.Errorf("the answer: %s", r.body)
			}
			if s := user.get(t, "/requests/"+id).text(t, "status"); s != "failed" {
				t.Errorf("status %s", s)
			}
		})
	}
}

// define makes a request type beside the running site, as another process of
// it would.
func define(t *testing.T, config, name string, responder domain.ResponderConfigured) {
	t.Helper()
	p := &program{stderr: &safeBuffer{}, configPath: config}
	err := p.withSite(t.Context(), func(s *boot.Site) error {
		by := commands.By{Actor: "cli:test"}
		_, _, err := s.Commands.DefineRequestType(t.Context(), by, domain.DefineRequestType{Name: name, Title: "Test " + name,
			Parameters: json.RawMessage(`{"type":"object","additionalProperties":false,"examples":[{}]}`), Public: true})
		if err == nil {
			_, _, err = s.Commands.ConfigureResponder(t.Context(), by, name, responder, 0)
		}
		return err
	})
	if err != nil {
		t.Fatalf("define %s: %v", name, err)
	}
}
