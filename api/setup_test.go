package api_test

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgxpool"
	"golang.org/x/crypto/bcrypt"

	"sallyport/api"
	"sallyport/api/keyuse"
	"sallyport/api/refusals"
	"sallyport/api/session"
	"sallyport/api/spectest"
	"sallyport/bridge"
	"sallyport/bridge/bundle"
	"sallyport/domain"
	"sallyport/eventstore"
	"sallyport/eventstore/eventstoretest"
	"sallyport/internal/commands"
	"sallyport/internal/password"
	"sallyport/internal/tryout"
	"sallyport/internal/webhook"
	"sallyport/projections"
	"sallyport/projections/responsecache"
	"sallyport/responders/manual"
	"sallyport/responders/queue"
	"sallyport/responders/sqlresponder"
	"sallyport/schema"
)

const secret = "correct horse"

// site is a whole site behind its API, on a real database.
type site struct {
	t         testing.TB
	store     *eventstore.Store
	db        *eventstoretest.Site
	commands  *commands.Commands
	passwords *password.Hasher
	api       *api.API
	handler   http.Handler
	key       ed25519.PrivateKey
	config    api.Config
	bridge    *bridge.Bridge
	dir       string // the bridge's folders
	crossing  atomic.Pointer[api.Crossing]
	clock     atomic.Int64              // what was added to the time
	stood     atomic.Pointer[time.Time] // the time that stands still; nil: none
	logged    *bytes.Buffer
	address   string // where calls come from
	sources   *sqlresponder.Responder
}

func (s *site) now() time.Time {
	at := time.Now()
	if stood := s.stood.Load(); stood != nil {
		at = *stood
	}
	return at.Add(time.Duration(s.clock.Load()))
}

// standStill lets time pass by clock alone: a slow machine gives no guess back.
func (s *site) standStill() {
	at := time.Now()
	s.stood.Store(&at)
}

// events are the schemas of all events.
var events = sync.OnceValues(schema.LoadEvents)

// checkLine is what the log holds a line against, and the event's schema, which
// only a peer would look at: what stays at home must obey it too.
func checkLine(line []byte) error {
	l, err := bundle.ParseLine(line, bundle.Limits{})
	if err != nil {
		return err
	}
	e, err := events()
	if err != nil {
		return err
	}
	return errors.Join(bundle.CheckLine(line, bundle.Limits{}), e.Validate(l.Event.Type, int(l.Event.Schema), l.Event.Data))
}

func newSite(t testing.TB, name string, role domain.Role, change ...func(*api.Config)) *site {
	t.Helper()
	db := eventstoretest.New(t, eventstoretest.Setup{Site: name, Role: role, Inline: projections.Inline(), CheckLine: checkLine})
	quiet := slog.New(slog.DiscardHandler)
	directory := projections.NewDirectory(db.Pool, quiet)
	s := &site{t: t, db: db, passwords: password.New(password.Config{}), logged: &bytes.Buffer{}, address: "192.0.2.1:4711"}
	ends := &session.Ends{}
	store, err := eventstore.Open(t.Context(), db.Pool, eventstore.Config{CheckLine: checkLine, Now: s.now,
		Inline: append(projections.Inline(), directory, ends)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(store.Close)
	background(t, directory.Run)
	s.store = store
	s.crossing.Store(&api.Crossing{Peer: "core", ExportEvery: time.Minute})
	s.commands = commands.New(commands.Config{Log: store, Pool: db.Pool, Directory: directory, Passwords: s.passwords, Params: schema.NewParameterCache(0), Now: s.now})
	_, s.key, err = ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	refused := refusals.New(refusals.Config{Record: s.commands.LoginsRefused, Logger: quiet, Now: s.now})
	background(t, refused.Run)
	uses := keyuse.New(db.Pool, quiet)
	background(t, uses.Run)
	s.dir = t.TempDir()
	s.bridge = newBridge(t, store, db.Pool, s.dir, bundle.Limits{})
	c := api.Config{Log: store, Pool: db.Pool, Bridge: s.bridge, Reader: projections.NewReader(db.Pool), Directory: directory,
		Commands: s.commands, Passwords: s.passwords, Refusals: refused, SessionEnds: ends, KeyUses: uses, Cache: responsecache.NewMemory(responsecache.MemoryConfig{}), TokenKey: s.key,
		Crossing: func(context.Context) (api.Crossing, error) { return *s.crossing.Load(), nil },
		Logger:   slog.New(slog.NewTextHandler(s.logged, nil)), Now: s.now}
	c.Webhooks, err = webhook.New(webhook.Config{Log: store, Pool: db.Pool, Reader: c.Reader, Key: webhook.NewKey(s.key.Seed()), Logger: quiet})
	if err != nil {
		t.Fatal(err)
	}
	if c.Queue, err = queue.Open(t.Context(), queue.Config{Pool: db.Pool, Log: store, Logger: quiet}); err != nil {
		t.Fatal(err)
	}
	if role == domain.ResponseSite {
		c.Desk = manual.New(manual.Config{Log: store, Cases: knownCases{c}, Now: s.now})
		c.Tryout = tryout.New(tryout.Config{Holds: queue.Holds(c.Log), Reader: c.Reader, Directory: directory, Params: schema.NewParameterCache(0), Responders: s.responders,
			Sources: func() map[domain.ResponderKind][]string {
				return map[domain.ResponderKind][]string{domain.ResponderSQL: {"airports"}}
			},
			Knows: func(r domain.ResponderConfigured) (string, bool) {
				return "responders.sources", r.Kind == domain.ResponderManual || r.Kind == domain.ResponderSQL && r.Source == "airports"
			}})
	}
	for _, f := range change {
		f(&c)
	}
	s.config = c
	s.api, err = api.New(c)
	if err != nil {
		t.Fatal(err)
	}
	s.handler = s.api
	if _, measured := t.(*testing.B); !measured {
		s.handler = spectest.Checked(t, s.handler)
	}
	return s
}

// responders are what answers on this site.
func (s *site) responders(context.Context) (map[domain.ResponderKind]queue.Responder, error) {
	if s.sources == nil {
		return nil, nil
	}
	return map[domain.ResponderKind]queue.Responder{domain.ResponderSQL: s.sources}, nil
}

// newBridge gives a bridge with keys of its own.
func newBridge(t testing.TB, store *eventstore.Store, pool *pgxpool.Pool, dir string, limits bundle.Limits) *bridge.Bridge {
	t.Helper()
	folders, err := bridge.OpenFolders(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = folders.Close() })
	keys, err := bridge.EnsureKeys(filepath.Join(dir, "keys"))
	if err != nil {
		t.Fatal(err)
	}
	schemas, err := events()
	if err != nil {
		t.Fatal(err)
	}
	b, err := bridge.New(bridge.Config{Log: store, Pool: pool, Folders: folders, Keys: keys, Schemas: schemas,
		Logger: slog.New(slog.DiscardHandler), Limits: limits})
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// background runs a component until the test ends.
func background(t testing.TB, run func(context.Context) error) {
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

const airportSchema = `{"type":"object","properties":{"iata":{"type":"string","pattern":"^[A-Z]{3}$"},"note":{}},
	"required":["iata"],"additionalProperties":false,"examples":[{"iata":"AMS"}]}`

// core is a response site with an administrator, two users and two types:
// alice may use both, bob only the public one.
func newCore(t testing.TB) *site {
	t.Helper()
	s := newSite(t, "core", domain.ResponseSite)
	by := commands.By{Actor: "cli:test"}
	for _, p := range []domain.ProfileDefined{
		{Name: "wide", Allowed: []string{"airport", "hidden"}, Priority: 8, Limits: domain.Limits{Minute: 1_000_000}}, {Name: "narrow"}} {
		if _, _, err := s.commands.DefineProfile(t.Context(), by, p); err != nil {
			t.Fatal(err)
		}
	}
	for _, d := range []domain.DefineRequestType{{Name: "airport", Public: true}, {Name: "hidden"}} {
		d.Title, d.Parameters = d.Name, json.RawMessage(airportSchema)
		if _, _, err := s.commands.DefineRequestType(t.Context(), by, d); err != nil {
			t.Fatal(err)
		}
	}
	s.addUser("root", "wide", domain.RoleAdmin)
	s.addUser("alice", "wide", domain.RoleUser)
	s.addUser("bob", "narrow", domain.RoleUser)
	return s
}

// cheap is the hash of the secret that is quickest to make and to verify.
var cheap = sync.OnceValues(func() ([]byte, error) { return bcrypt.GenerateFromPassword([]byte(secret), bcrypt.MinCost) })

// addUser stores a user whose hash is cheap to verify.
func (s *site) addUser(name, profile string, role domain.UserRole) {
	s.t.Helper()
	hash, err := cheap()
	if err != nil {
		s.t.Fatal(err)
	}
	id := uuid.NewString()
	s.append(eventstore.Write{Stream: domain.UserStream(id), Facts: []domain.Fact{domain.UserRegistered{Username: name,
		Email: name + "@example.org", FullName: name, Role: role, Profile: profile,
		Credential: domain.Credential{Algorithm: password.Bcrypt, Hash: string(hash)}}}},
		eventstore.Write{Stream: domain.UsernameStream(name), Facts: []domain.Fact{domain.UsernameClaimed{User: id}}})
}

func (s *site) append(writes ...eventstore.Write) {
	s.t.Helper()
	if _, err := s.store.Append(s.t.Context(), eventstore.Append{Actor: "cli:test", Writes: writes}); err != nil {
		s.t.Fatal(err)
	}
}

// newField is a request site that holds all that core has sent.
func newField(t testing.TB, core *site, change ...func(*api.Config)) *site {
	t.Helper()
	s := newSite(t, "field", domain.RequestSite, change...)
	s.mirror(core, 0)
	return s
}

// mirror takes over what another site wrote after a position and may send.
func (s *site) mirror(from *site, after int64) {
	s.t.Helper()
	origin, role := from.store.Site(), domain.ResponseSite
	if origin == "field" {
		role = domain.RequestSite
	}
	records, err := from.store.Read(s.t.Context(), after, eventstore.MaxPage)
	if err != nil {
		s.t.Fatal(err)
	}
	m := eventstore.Mirrored{Origin: origin}
	for _, r := range records {
		if k, _ := domain.KindOf(r.Type); r.Origin == origin && k.MayLeave(role) && k.Shows(r.Fact) {
			m.Events, m.Facts, m.Lines = append(m.Events, r.Event), append(m.Facts, r.Fact), append(m.Lines, r.Line)
		}
	}
	if err := s.store.Mirror(s.t.Context(), m); err != nil {
		s.t.Fatal(err)
	}
}

func (s *site) seq() int64 {
	s.t.Helper()
	head, err := s.store.Head(s.t.Context())
	if err != nil {
		s.t.Fatal(err)
	}
	return head.Seq
}

// reply is an answer with its body read.
type reply struct {
	*http.Response
	text string
	body map[string]any
}

// problem is what tests look at of a problem document.
func (r reply) code() string {
	text, _ := r.body["type"].(string)
	code, _ := strings.CutPrefix(text, "urn:sallyport:problem:")
	if code == text {
		return "" // a request has a type too
	}
	return code
}

func (r reply) pointers() []string {
	var out []string
	list, _ := r.body["errors"].([]any)
	for _, e := range list {
		out = append(out, e.(map[string]any)["pointer"].(string))
	}
	return out
}

func (s *site) do(r *http.Request) reply {
	s.t.Helper()
	r.RemoteAddr = s.address
	w := httptest.NewRecorder()
	s.handler.ServeHTTP(w, r)
	out := reply{Response: w.Result()}
	text, err := io.ReadAll(out.Body)
	if err != nil {
		s.t.Fatal(err)
	}
	out.text = string(text)
	if len(text) > 0 && out.Header.Get("Content-Encoding") == "" && strings.HasSuffix(out.Header.Get("Content-Type"), "json") {
		if err := json.Unmarshal(text, &out.body); err != nil {
			s.t.Fatalf("%s %s: not a JSON object: %s", r.Method, r.URL, text)
		}
	}
	return out
}

func (s *site) call(method, path, token, body string) reply {
	s.t.Helper()
	r := httptest.NewRequestWithContext(s.t.Context(), method, path, strings.NewReader(body))
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	return s.do(r)
}

func (s *site) login(name string) (access, refresh string) {
	s.t.Helper()
	r := s.call("POST", "/auth/login", "", `{"username":"`+name+`","password":"`+secret+`"}`)
	if r.StatusCode != 200 {
		s.t.Fatalf("login as %s: %d %s", name, r.StatusCode, r.text)
	}
	return r.body["access_token"].(string), r.body["refresh_token"].(string)
}

func (s *site) token(name string) string {
	s.t.Helper()
	access, _ := s.login(name)
	return access
}

// want checks a reply's status and, for a problem, its code and form.
func (r reply) want(t testing.TB, status int, code string) {
	t.Helper()
	if r.StatusCode != status || r.code() != code {
		t.Fatalf("answered %d %q, want %d %q: %s", r.StatusCode, r.code(), status, code, r.text)
	}
	if code == "" {
		return
	}
	if r.Header.Get("Content-Type") != "application/problem+json" || r.body["trace_id"] != r.Header.Get("X-Request-Id") ||
		r.body["title"] == "" || r.body["detail"] == "" || r.body["status"] != float64(status) {
		t.Fatalf("not a whole problem document: %s", r.text)
	}
}
