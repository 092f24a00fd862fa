package queue_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"sallyport/domain"
	"sallyport/eventstore"
	"sallyport/eventstore/eventstoretest"
	"sallyport/projections"
	"sallyport/responders"
	"sallyport/responders/queue"
	"sallyport/responders/responderstest"
	"sallyport/responders/sqlresponder"
	"sallyport/schema"
	"sallyport/schema/schematest"
)

// site is a response site with one user, one profile, one request type and a
// source that answers it.
type site struct {
	*eventstoretest.Site
	t      testing.TB
	config queue.Config
	pos    int64 // of the mirrored request site
}

const (
	alice         = "0190f5a0-0000-7000-8000-00000000a11c"
	parameters    = `{"type":"object","additionalProperties":false,"required":["id"],"properties":{"id":{"type":"integer"}}}`
	itemStatement = `SELECT id, name FROM item WHERE id = @id::int`
	ddl           = `CREATE TABLE item (id int PRIMARY KEY, name text);
		INSERT INTO item SELECT n, 'item ' || n FROM generate_series(1, 1000) n;
		CREATE FUNCTION fail(state text) RETURNS int LANGUAGE plpgsql AS
			$$ BEGIN RAISE EXCEPTION 'no' USING ERRCODE = state; END $$;
		GRANT SELECT ON item TO ` + responderstest.Reader
)

func setup(t testing.TB) *site {
	t.Helper()
	reader, _ := responderstest.Source(t, ddl)
	logger := slog.New(slog.DiscardHandler)
	sql, err := sqlresponder.Open(t.Context(), sqlresponder.Config{URLs: map[string]string{"items": reader}, Logger: logger})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(sql.Close)
	s := &site{Site: eventstoretest.New(t, eventstoretest.Setup{Site: "core", Role: domain.ResponseSite, Inline: projections.Inline(), CheckLine: carried}), t: t}
	s.config = queue.Config{Pool: s.Pool, Log: s.Store, Cases: modelCases{projections.NewReader(s.Pool)}, Logger: logger, Workers: 4,
		Backoff: time.Millisecond, StopTimeout: 50 * time.Millisecond, Parameters: schema.NewParameterCache(0),
		Responders: map[domain.ResponderKind]queue.Responder{domain.ResponderSQL: sql}}
	s.append(domain.UserStream(alice), domain.UserRegistered{Username: "alice", Profile: "basic", Role: domain.RoleUser})
	s.append(domain.ProfileStream("basic"), domain.ProfileDefined{Name: "basic", Priority: 10, Allowed: []string{"item", "orphan", "unstable"}, MaxResults: 100})
	s.append(domain.RequestTypeStream("item"), domain.RequestTypeDefined{Name: "item", Version: 1, Parameters: json.RawMessage(parameters), MaxResults: 10})
	s.configure("item", itemStatement)
	return s
}

// carried refuses what bundles do not carry, as the program does.
func carried(line []byte) error {
	if bytes.Contains(line, []byte(`\u0000`)) {
		return errors.New("a string holds U+0000")
	}
	return nil
}

func (s *site) append(stream string, f domain.Fact) {
	s.t.Helper()
	_, err := s.Store.Append(s.t.Context(), eventstore.Append{Actor: "cli:test",
		Writes: []eventstore.Write{{Stream: stream, Expected: eventstore.Any, Facts: []domain.Fact{f}}}})
	if err != nil {
		s.t.Fatal(err)
	}
}

func (s *site) configure(requestType, statement string) {
	s.append(domain.ResponderConfigStream(requestType), domain.ResponderConfigured{Kind: domain.ResponderSQL,
		Source: "items", Statement: statement, TimeoutMS: 5000})
}

// open makes a queue that is stopped when the test ends.
func (s *site) open(change func(*queue.Config)) *queue.Queue {
	s.t.Helper()
	c := s.config
	if change != nil {
		change(&c)
	}
	q, err := queue.Open(s.t.Context(), c)
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() {
		if err := q.Stop(context.WithoutCancel(s.t.Context())); err != nil {
			s.t.Error(err)
		}
	})
	return q
}

func (s *site) start(change func(*queue.Config)) *queue.Queue {
	s.t.Helper()
	q := s.open(change)
	if err := q.Start(s.t.Context()); err != nil {
		s.t.Fatal(err)
	}
	return q
}

func request(id int) domain.RequestSubmitted {
	return domain.RequestSubmitted{Type: "item", TypeVersion: 1, User: alice, Priority: 5,
		Params: json.RawMessage(fmt.Sprintf(`{"id":%d}`, id))}
}

// imports mirrors requests as the bridge does and returns their ids.
func (s *site) imports(q *queue.Queue, requests ...domain.RequestSubmitted) []string {
	s.t.Helper()
	var ids []string
	var arriving []arrival
	for _, r := range requests {
		id := uuid.NewString()
		ids, arriving = append(ids, id), append(arriving, arrival{id, 1, r})
	}
	s.arrive(q, arriving...)
	return ids
}

// arrival is an event of a request's stream.
type arrival struct {
	request string
	ver     int64
	fact    domain.Fact
}

// arrive mirrors events of requests as the bridge does.
func (s *site) arrive(q *queue.Queue, events ...arrival) {
	s.t.Helper()
	m := eventstore.Mirrored{Origin: "field"}
	for _, a := range events {
		s.pos++
		data, err := domain.Encode(a.fact)
		if err != nil {
			s.t.Fatal(err)
		}
		e := domain.Event{Pos: s.pos, ID: uuid.Must(uuid.NewV7()).String(), Stream: domain.RequestStream(a.request), Ver: a.ver,
			Type: a.fact.EventType(), Schema: schematest.Present(a.fact.EventType()), At: time.Now().UTC().Truncate(time.Microsecond), Actor: alice, Corr: a.request, Data: data}
		line := fmt.Sprintf(`{"pos":%d,"id":%q,"stream":%q,"ver":%d,"type":%q,"schema":%d,"at":%q,"actor":%q,"corr":%q,"cause":"","data":%s}`,
			e.Pos, e.ID, e.Stream, e.Ver, e.Type, e.Schema, e.At.Format("2006-01-02T15:04:05.000000Z"), e.Actor, e.Corr, data)
		m.Events, m.Facts, m.Lines = append(m.Events, e), append(m.Facts, a.fact), append(m.Lines, []byte(line))
	}
	m.With = enqueue(q, m)
	if err := s.Store.Mirror(s.t.Context(), m); err != nil {
		s.t.Fatal(err)
	}
}

// outcomes waits for so many outcomes in the whole log, and for no job to be
// left, and returns them by request.
func (s *site) outcomes(n int) map[string]domain.Fact {
	s.t.Helper()
	s.drained()
	found := map[string]domain.Fact{}
	for _, r := range s.all() {
		id, ok := domain.RequestOf(r.Stream)
		_, begun := r.Fact.(domain.ResponseStarted)
		_, scheduled := r.Fact.(domain.ResponseRetryScheduled)
		if !ok || begun || scheduled || r.Origin != "core" {
			continue
		}
		if found[id] != nil {
			s.t.Errorf("request %s has two outcomes", id)
		}
		found[id] = r.Fact
	}
	if len(found) != n {
		s.t.Fatalf("%d outcomes, want %d", len(found), n)
	}
	return found
}

// drained waits until no job is left.
func (s *site) drained() {
	s.t.Helper()
	s.until(`SELECT NOT EXISTS (SELECT FROM river_job WHERE state <> 'completed')`)
}

func (s *site) all() []eventstore.Record {
	var all []eventstore.Record
	for {
		page, err := s.Store.Read(s.t.Context(), int64(len(all)), eventstore.MaxPage)
		if err != nil {
			s.t.Fatal(err)
		}
		if all = append(all, page...); len(page) == 0 {
			return all
		}
	}
}

// until waits for a condition of the database.
func (s *site) until(condition string, args ...any) {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.t.Context(), 30*time.Second)
	defer cancel()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for ok := false; ; {
		if err := s.Owner.QueryRow(ctx, condition, args...).Scan(&ok); err != nil {
			s.t.Fatalf("%s: %v; jobs: %s", condition, err, s.jobs())
		}
		if ok {
			return
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			s.t.Fatalf("%s never held; jobs: %s", condition, s.jobs())
		}
	}
}

func (s *site) jobs() string {
	var jobs string
	if err := s.Owner.QueryRow(context.WithoutCancel(s.t.Context()),
		`SELECT coalesce(json_agg(j)::text, 'none') FROM (SELECT state, attempt, count(*) FROM river_job GROUP BY 1, 2) j`).Scan(&jobs); err != nil {
		return err.Error()
	}
	return jobs
}

// respond is a responder of a test's own.
type respond func(ctx context.Context, q responders.Question) (responders.Answer, error)

func (r respond) Respond(ctx context.Context, q responders.Question) (responders.Answer, error) {
	return r(ctx, q)
}

func with(r respond) func(*queue.Config) {
	return func(c *queue.Config) {
		c.Responders = map[domain.ResponderKind]queue.Responder{domain.ResponderSQL: r}
	}
}

var answered = responders.Answer{Result: json.RawMessage(`[]`), ContentType: "application/json"}

// modelCases reads the cases from the read models, as the program does.
type modelCases struct{ *projections.Reader }

func (m modelCases) Case(ctx context.Context, id string) (queue.Case, error) {
	r, err := m.Request(ctx, id)
	if err != nil {
		return queue.Case{}, err
	}
	c := queue.Case{Request: domain.RequestSubmitted{Type: r.Type, TypeVersion: r.TypeVersion, Params: r.Params,
		Name: r.Name, Priority: r.Priority, User: r.User}, Cancelled: r.Status == domain.StatusCancelled}
	u, err := found(m.User(ctx, r.User))
	if u == nil {
		return c, err
	}
	c.Active = u.Active
	c.Rights.Active, c.Rights.Limits, c.Rights.Access = u.Active, u.Limits, u.Access
	if c.Rights.Profile, err = found(m.Profile(ctx, u.Profile)); err != nil {
		return c, err
	}
	t, err := found(m.RequestType(ctx, r.Type))
	if t == nil {
		return c, err
	}
	c.Type = &t.RequestTypeDefined
	if c.Asked, err = found(m.RequestTypeVersion(ctx, r.Type, r.TypeVersion)); err != nil {
		return c, err
	}
	config, err := found(m.ResponderConfig(ctx, r.Type))
	if config != nil {
		c.Config = &config.ResponderConfigured
	}
	return c, err
}

func found[V any](v V, err error) (*V, error) {
	if errors.Is(err, projections.ErrNotFound) {
		return nil, nil
	}
	return &v, err
}

func enqueue(q *queue.Queue, m eventstore.Mirrored) func(context.Context, pgx.Tx) error {
	return func(ctx context.Context, tx pgx.Tx) error { return q.Enqueue(ctx, tx, m.Events, m.Facts) }
}
