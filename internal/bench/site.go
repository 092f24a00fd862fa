package bench

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"sallyport/bridge"
	"sallyport/bridge/bundle"
	"sallyport/domain"
	"sallyport/eventstore"
	"sallyport/internal/boot"
	"sallyport/internal/commands"
	"sallyport/internal/dataset"
	"sallyport/projections"
	"sallyport/projections/responsecache"
)

// site is a real request site at work, and one of its users, who came from a
// response site by bundle as users do.
type site struct {
	*boot.Site
	address  string
	user     string // id
	username string
	password string
	cancel   context.CancelFunc
	served   chan error
}

const (
	siteDatabase = "field"
	actor        = "cli:bench"
)

// unhindered is the profile of the user: requests are counted against limits
// that nobody reaches.
func unhindered() domain.ProfileDefined {
	return domain.ProfileDefined{Name: "unhindered", Limits: domain.Limits{Minute: 1e9, Hour: 1e9, Day: 1e9, Month: 1e9}}
}

// makeSite makes two sites in one cluster, lets the user cross, closes the
// response site, which has nothing to do in these figures, and serves the other.
func makeSite(ctx context.Context, r *rig, name string) (_ *site, err error) {
	core, err := openSite(ctx, r, name+"core", domain.ResponseSite)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, core.Close()) }()
	field, err := openSite(ctx, r, name, domain.RequestSite)
	if err != nil {
		return nil, err
	}
	s := &site{Site: field, username: "bench", password: rand.Text()}
	if err := s.fill(ctx, core); err != nil {
		return nil, errors.Join(err, field.Close())
	}
	if err := s.serve(ctx, r.config.Program); err != nil {
		return nil, errors.Join(err, field.Close())
	}
	return s, nil
}

func openSite(ctx context.Context, r *rig, name string, role domain.Role, change ...func(*boot.Config)) (*boot.Site, error) {
	if _, err := r.postgres.EnsureDatabase(ctx, name); err != nil {
		return nil, err
	}
	dsn := r.postgres.DSN(name)
	app, err := url.Parse(dsn)
	if err != nil {
		return nil, err
	}
	app.User = url.User("sallyport") // the program's login, not the superuser
	c := boot.Config{Site: name, Role: role, Data: filepath.Join(r.dir, name), Listen: "127.0.0.1:0",
		Database: boot.Database{URL: app.String(), MigrateURL: dsn}}
	if r.redis != nil {
		c.Redis.URL = r.redis.URL()
	}
	for _, set := range change {
		set(&c)
	}
	if err := os.MkdirAll(c.Data, 0o700); err != nil {
		return nil, err
	}
	if _, err := boot.Init(ctx, c, actor); err != nil {
		return nil, err
	}
	return boot.Open(ctx, c, r.config.Logger)
}

// fill makes a user and the request types on core and lets them cross.
func (s *site) fill(ctx context.Context, core *boot.Site) (err error) {
	if s.user, err = define(ctx, core, s.username, s.password); err != nil {
		return err
	}
	return errors.Join(s.Bridge.AddLink(ctx, core.Bridge.Card(), actor), core.Bridge.AddLink(ctx, s.Bridge.Card(), actor),
		carry(ctx, core, s.Site))
}

// define makes the request types and a user, whose id it returns, on a response
// site.
func define(ctx context.Context, core *boot.Site, username, password string) (string, error) {
	by := commands.By{Actor: actor}
	if _, _, err := core.Commands.DefineProfile(ctx, by, unhindered()); err != nil {
		return "", err
	}
	for _, t := range dataset.RequestTypes() {
		if _, _, err := core.Commands.DefineRequestType(ctx, by, domain.DefineRequestType{Name: t.Name, Title: t.Title,
			Description: t.Description, Parameters: t.Parameters, MaxResults: t.MaxResults, Public: true}); err != nil {
			return "", err
		}
	}
	user, err := core.Commands.RegisterUser(ctx, by, commands.NewUser{Username: username, Email: "bench@example.org",
		FullName: "Bench", Role: domain.RoleUser, Profile: unhindered().Name, Password: password})
	return user.ID, err
}

// carry takes everything that is due from one site to the other.
func carry(ctx context.Context, from, to *boot.Site) error {
	exported, err := from.Bridge.Export(ctx, to.Config.Site, actor)
	if err != nil {
		return err
	}
	if err := handOver(from, to, exported); err != nil {
		return err
	}
	outcomes, err := to.Bridge.Import(ctx)
	return errors.Join(err, applied(outcomes))
}

// handOver moves bundles from one site's outbox to the other's inbox.
func handOver(from, to *boot.Site, exported []bridge.Exported) error {
	for _, e := range exported {
		if err := os.Rename(filepath.Join(from.Config.Data, "outbox", e.File), filepath.Join(to.Config.Data, "inbox", e.File)); err != nil {
			return err
		}
	}
	return nil
}

// applied returns an error unless all that was taken in was applied.
func applied(outcomes []bridge.Outcome) error {
	for _, o := range outcomes {
		if o.State != bridge.Applied {
			return fmt.Errorf("the bundle %s was not applied: %s", o.File, bundle.CodeOf(o.Err))
		}
	}
	return nil
}

// serve runs what answers callers and what follows the log. The bridge is
// left out: what a crossing costs is a figure of its own.
func (s *site) serve(ctx context.Context, program string) error {
	ln, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	s.address = ln.Addr().String()
	ctx, s.cancel = context.WithCancel(context.WithoutCancel(ctx))
	s.served = make(chan error, 1)
	s.Program = program
	go func() { s.served <- s.Serve(ctx, ln, boot.Parts{API: true, Workers: true}) }()
	return nil
}

func (s *site) stop() error {
	s.cancel()
	return errors.Join(<-s.served, s.Close())
}

// logIn returns an access token of the user.
func (s *site) logIn(ctx context.Context) (string, error) {
	body, err := json.Marshal(map[string]string{"username": s.username, "password": s.password})
	if err != nil {
		return "", err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+s.address+"/auth/login", bytes.NewReader(body))
	if err != nil {
		return "", err
	}
	req.Header.Set("Content-Type", "application/json")
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return "", err
	}
	defer res.Body.Close()
	var in struct {
		Token string `json:"access_token"`
	}
	if err := json.NewDecoder(res.Body).Decode(&in); err != nil || in.Token == "" {
		return "", errors.Join(fmt.Errorf("log in to the benchmark's site: status %d", res.StatusCode), err)
	}
	return in.Token, nil
}

// question is what every POST asks: a request type with a schema.
const question = `{"type":"airports-in-country","params":{"country":"CH","min_elevation_ft":1500}}`

// submitted is the fact that question becomes.
func (s *site) submitted() domain.RequestSubmitted {
	return domain.RequestSubmitted{Type: "airports-in-country", TypeVersion: 1, User: s.user, Priority: domain.DefaultPriority,
		Params: json.RawMessage(`{"country":"CH","min_elevation_ft":1500}`)}
}

// fillLog appends requests of the user until the log has so many events, and
// returns the ids of some of them, from all over the log.
func (s *site) fillLog(ctx context.Context, events int) (ids []string, err error) {
	every := max(1, events/askedFor)
	for made := 0; made < events; {
		a := eventstore.Append{Actor: s.user}
		for range min(appended, events-made) {
			id := newID()
			a.Writes = append(a.Writes, eventstore.Write{Stream: domain.RequestStream(id), Facts: []domain.Fact{s.submitted()}})
			if made%every == 0 {
				ids = append(ids, id)
			}
			made++
		}
		err := pgx.BeginFunc(ctx, s.Pool, func(tx pgx.Tx) error {
			_, err := s.Log.AppendTx(ctx, tx, a)
			return err
		})
		if err != nil {
			return nil, err
		}
	}
	return ids, nil
}

// cacheAnswer puts an answer of usual size into the site's cache and returns
// its request's id.
func (s *site) cacheAnswer(ctx context.Context) (string, error) {
	id := uuid.NewString()
	rows := bytes.Repeat([]byte(`["ZRH","Zurich Airport","Zurich",1416,47.4647,8.5492],`), 8)
	r := projections.Response{RequestID: id, Owner: s.user, Status: domain.StatusAnswered, Responder: domain.ResponderSQL,
		Result: append(append([]byte("["), rows[:len(rows)-1]...), ']'), ResultCount: 8, TookMS: 2, Pos: 1}
	body, err := projections.RenderResponse(r)
	if err != nil {
		return "", err
	}
	return id, s.Cache.Set(ctx, id, responsecache.Entry{Owner: s.user, Position: r.Pos, Body: body.Bytes()})
}
