package main

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"sallyport/domain"
	"sallyport/internal/boot"
	"sallyport/internal/commands"
	"sallyport/internal/pgdev"
	"sallyport/internal/pgdev/pgtest"
	"sallyport/internal/redisdev/redistest"
)

// outage is a request site with servers of its own, which may be ended.
type outage struct {
	postgres *pgdev.Server
	dir      string // of postgres
	redis    string // URL; empty: there is none on this machine
	config   string
	password string // of both users

	tried        atomic.Int64 // to submit
	mu           sync.Mutex
	acknowledged map[string]bool
}

func newOutage(t *testing.T) *outage {
	t.Helper()
	o := &outage{dir: pgtest.Folder(t), password: "a long password", acknowledged: map[string]bool{}}
	o.start(t)
	t.Cleanup(func() {
		if err := o.postgres.Stop(context.WithoutCancel(t.Context())); err != nil {
			t.Error(err)
		}
	})
	if server, ok := redistest.Server(t); ok {
		o.redis = server.URL()
	}
	core, field := o.site(t, "core", domain.ResponseSite), o.site(t, "field", domain.RequestSite)
	o.config = filepath.Join(field.Config.Data, "sallyport.yaml")
	if err := field.Config.Write(o.config); err != nil {
		t.Fatal(err)
	}
	o.fill(t, core)
	if err := errors.Join(core.Bridge.AddLink(t.Context(), field.Bridge.Card(), "cli:test"), field.Bridge.AddLink(t.Context(), core.Bridge.Card(), "cli:test")); err != nil {
		t.Fatal(err)
	}
	made, err := core.Bridge.Export(t.Context(), "field", "cli:test")
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range made {
		if err := os.Rename(filepath.Join(core.Config.Data, "outbox", m.File), filepath.Join(field.Config.Data, "inbox", m.File)); err != nil {
			t.Fatal(err)
		}
	}
	_, err = field.Bridge.Import(t.Context())
	if err := errors.Join(err, core.Close(), field.Close()); err != nil {
		t.Fatal(err)
	}
	return o
}

// start starts PostgreSQL, as durable as it is for users.
func (o *outage) start(t *testing.T) {
	t.Helper()
	var err error
	if o.postgres, err = pgdev.Start(t.Context(), pgdev.Config{Dir: o.dir, Say: t.Logf}); err != nil {
		t.Fatal(err)
	}
}

func (o *outage) site(t *testing.T, name string, role domain.Role) *boot.Site {
	t.Helper()
	if _, err := o.postgres.EnsureDatabase(t.Context(), name); err != nil {
		t.Fatal(err)
	}
	app, err := url.Parse(o.postgres.DSN(name))
	if err != nil {
		t.Fatal(err)
	}
	app.User = url.User("sallyport")
	c := boot.Config{Site: name, Role: role, Data: t.TempDir(), Listen: "127.0.0.1:0", Redis: boot.Redis{URL: o.redis},
		Database: boot.Database{URL: app.String(), MigrateURL: o.postgres.DSN(name)}}
	if _, err := boot.Init(t.Context(), c, "cli:test"); err != nil {
		t.Fatal(err)
	}
	s, err := boot.Open(t.Context(), c, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// anHour is what the user narrow may ask for in an hour, but for what the grace
// allows on top.
const anHour = 10

func (o *outage) fill(t *testing.T, core *boot.Site) {
	t.Helper()
	by := commands.By{Actor: "cli:test"}
	_, _, err := core.Commands.DefineRequestType(t.Context(), by, domain.DefineRequestType{Name: "airport", Title: "Airport", Public: true,
		Parameters: json.RawMessage(`{"type":"object","additionalProperties":false,"examples":[{}]}`)})
	for name, hour := range map[string]int{"wide": 1_000_000, "narrow": anHour} {
		_, _, defined := core.Commands.DefineProfile(t.Context(), by, domain.ProfileDefined{Name: name, DisplayName: name,
			Limits: domain.Limits{Minute: hour, Hour: hour, Day: 1_000_000, Month: 1_000_000}})
		_, registered := core.Commands.RegisterUser(t.Context(), by, commands.NewUser{Username: name, Email: name + "@example.org", FullName: name,
			Role: domain.RoleUser, Profile: name, Password: o.password})
		err = errors.Join(err, defined, registered)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// process is one process of the site's API.
type process struct {
	caller
	cmd *exec.Cmd
}

var address = regexp.MustCompile(`http://127\.0\.0\.1:\d+`)

// serve starts a process, which the end of the test kills.
func (o *outage) serve(t *testing.T) *process {
	t.Helper()
	p := &process{cmd: exec.CommandContext(t.Context(), "sallyport", "-C", o.config, "serve", "--only", "api")}
	said := &safeBuffer{}
	p.cmd.Stderr = said
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = p.cmd.Process.Kill() // it may be over
		_ = p.cmd.Wait()
		if strings.Contains(said.String(), "DATA RACE") {
			t.Errorf("a data race:\n%s", said)
		}
	})
	eventually(t, "the process serves", func() bool {
		p.url = address.FindString(said.String())
		return p.url != ""
	})
	return p
}

// askAgain is how soon a caller that was refused comes again.
const askAgain = 20 * time.Millisecond

// pressure is callers that submit again and again.
type pressure struct {
	stored, refused atomic.Int64
	worst           atomic.Int64 // the longest that a refusal took, in nanoseconds
	end             context.CancelFunc
	ended           sync.WaitGroup
}

// submit has so many callers submit until it is stopped. One that no
// longer reaches its process leaves if that may die.
func (o *outage) submit(t *testing.T, callers int, user caller, mayDie bool) *pressure {
	ctx, end := context.WithCancel(t.Context())
	l := &pressure{end: end}
	for range callers {
		l.ended.Go(func() {
			for ctx.Err() == nil && o.ask(t, l, user, mayDie) {
			}
		})
	}
	return l
}

// ask submits once, and reports whether the caller goes on.
func (o *outage) ask(t *testing.T, l *pressure, user caller, mayDie bool) bool {
	o.tried.Add(1)
	began := time.Now()
	r, err := user.try(t, http.MethodPost, "/requests", `{"type":"airport","params":{}}`)
	switch {
	case err != nil && mayDie:
		return false
	case err != nil:
		t.Errorf("the process was not reached: %v", err)
		return false
	case r.status == http.StatusAccepted:
		o.acknowledge(r.text(t, "id"))
		l.stored.Add(1)
		return true
	case r.status == http.StatusServiceUnavailable && r.header.Get("Retry-After") != "":
		l.worst.Store(max(l.worst.Load(), int64(time.Since(began))))
		l.refused.Add(1)
		<-time.After(askAgain)
		return true
	}
	t.Errorf("status %d, Retry-After %q: %s", r.status, r.header.Get("Retry-After"), r.body)
	return false
}

func (o *outage) acknowledge(id string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.acknowledged[id] = true
}

// stores waits until so many more were stored.
func (l *pressure) stores(t *testing.T, n int64) {
	t.Helper()
	n += l.stored.Load()
	eventually(t, "requests are stored", func() bool { return l.stored.Load() >= n })
}

// stop ends the load and waits for its callers.
func (l *pressure) stop() {
	l.end()
	l.ended.Wait()
}
