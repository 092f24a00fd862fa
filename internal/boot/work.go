package boot

import (
	"cmp"
	"context"
	"errors"

	"github.com/jackc/pgx/v5"
	"github.com/riverqueue/river"

	"sallyport/domain"
	"sallyport/internal/tryout"
	"sallyport/projections"
	"sallyport/responders/queue"
	"sallyport/responders/sqlresponder"
)

// sources opens the databases that the sql responder may read.
func (s *Site) sources(ctx context.Context) (*sqlresponder.Responder, error) {
	urls := map[string]string{}
	for name, source := range s.Config.Responders.Sources {
		url, err := secret(source.URL, source.URLFile)
		if err != nil {
			return nil, err
		}
		urls[name] = url
	}
	return sqlresponder.Open(ctx, sqlresponder.Config{URLs: urls, Logger: s.Logger,
		MaxConns: int32(s.Config.Responders.mostAtOnce(domain.ResponderSQL))}) //nolint:gosec // bounded by Check
}

// openTryout gives a response site what tries out how it answers.
func (s *Site) openTryout(context.Context) error {
	if s.isResponse() {
		s.Tryout = tryout.New(tryout.Config{Holds: queue.Holds(s.Log), Reader: s.Reader, Directory: s.Directory, Params: s.Params, Knows: s.Config.Responders.knows, Sources: s.Config.Responders.names, Responders: s.responders})
	}
	return nil
}

// responders returns what answers each kind of request type, the same for the
// workers and for trying out. They are opened when they are first asked for
// and closed with the site.
func (s *Site) responders(ctx context.Context) (map[domain.ResponderKind]queue.Responder, error) {
	s.answering.Lock()
	defer s.answering.Unlock()
	if s.answers != nil {
		return s.answers, nil
	}
	sql, err := s.sources(ctx)
	if err != nil {
		return nil, err
	}
	s.closing(sql.Close)
	search, err := s.searches() //nolint:contextcheck // opening and closing call nobody
	if err != nil {
		return nil, err
	}
	s.closing(search.Close)
	http, err := s.services()
	if err != nil {
		return nil, err
	}
	s.closing(http.Close)
	s.answers = map[domain.ResponderKind]queue.Responder{
		domain.ResponderSQL:           sql,
		domain.ResponderElasticsearch: search,
		domain.ResponderHTTP:          http,
	}
	return s.answers, nil
}

// workers returns the queue with its responders, ready to start.
func (s *Site) workers(ctx context.Context, join func(*river.Config)) (*queue.Queue, error) {
	known, err := s.responders(ctx)
	if err != nil {
		return nil, err
	}
	return queue.Open(ctx, queue.Config{Pool: s.Pool, Log: s.Log, Cases: cases{s}, Parameters: s.Params, Responders: s.keeping(known), Known: s.results.Known,
		Workers: cmp.Or(s.Config.Responders.Workers, defaultWorkers), Concurrency: s.Config.Responders.atOnce(), Join: join, Logger: s.Logger})
}

// cases gives the queue what the read models know about a request.
type cases struct{ site *Site }

func (c cases) Case(ctx context.Context, request string) (queue.Case, error) {
	r, err := c.site.Reader.Request(ctx, request)
	if err != nil {
		return queue.Case{}, err
	}
	out := queue.Case{Request: domain.RequestSubmitted{Type: r.Type, TypeVersion: r.TypeVersion, Params: r.Params,
		Name: r.Name, Priority: r.Priority, User: r.User}, Cancelled: r.Status == domain.StatusCancelled}
	user, err := c.site.Directory.User(ctx, r.User)
	if err != nil && !errors.Is(err, projections.ErrNotFound) {
		return queue.Case{}, err
	}
	out.Active = err == nil && user.Active
	if out.Active {
		if out.Rights, err = c.site.Directory.Rights(ctx, r.User); err != nil {
			return queue.Case{}, err
		}
	}
	if err := c.typed(ctx, &out); err != nil {
		return queue.Case{}, err
	}
	config, err := found(c.site.Reader.ResponderConfig(ctx, r.Type))
	if config != nil {
		out.Config = &config.ResponderConfigured
	}
	return out, err
}

// typed completes a case with its type, also one that was retired since: what
// was asked before is still answered.
func (c cases) typed(ctx context.Context, out *queue.Case) error {
	t, err := found(c.site.Directory.KnownRequestType(ctx, out.Request.Type))
	if t == nil {
		return err
	}
	out.Type, out.Asked = &t.RequestTypeDefined, &t.RequestTypeDefined
	if out.Request.TypeVersion != t.Version {
		out.Asked, err = found(c.site.Reader.RequestTypeVersion(ctx, t.Name, out.Request.TypeVersion))
	}
	return err
}

func (c cases) Cancelled(ctx context.Context, requests []string) ([]string, error) {
	return c.site.Reader.Cancelled(ctx, requests)
}

func (c cases) WithPeople(ctx context.Context, tx pgx.Tx, requests []string) ([]string, error) {
	return c.site.Reader.WithPeople(ctx, tx, requests)
}

// found turns "not found" into nil.
func found[V any](v V, err error) (*V, error) {
	if errors.Is(err, projections.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return &v, nil
}
