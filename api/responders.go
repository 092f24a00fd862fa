package api

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/gorilla/mux"

	"sallyport/domain"
	"sallyport/internal/commands"
	"sallyport/internal/tryout"
	"sallyport/projections"
)

// responder shows how a request type is answered.
func (s *server) responder(ctx context.Context, c *call) (answer, error) {
	name, err := slugOf(c)
	if err != nil {
		return answer{}, err
	}
	now, err := s.Reader.ResponderConfig(ctx, name)
	if errors.Is(err, projections.ErrNotFound) {
		return answer{}, &domain.Error{Kind: domain.NotFound, Code: "not-found",
			Detail: fmt.Sprintf("nothing answers a request type %q: see GET /request-types for those there are, and PUT /request-types/{name}/responder says how one is answered", name)}
	}
	return answer{value: now.ResponderConfigured, etag: tagOf(now.Pos)}, err
}

// sourceShape is a source that a responder may name. Where it is, and how to
// log in there, nobody is told.
type sourceShape struct {
	Kind domain.ResponderKind `json:"kind"`
	Name string               `json:"name"`
}

// listSources lists the sources that the site's configuration has.
func (s *server) listSources(_ context.Context, c *call) (answer, error) {
	q, err := parseQuery(c)
	if err != nil {
		return answer{}, err
	}
	items, known := []sourceShape{}, s.Tryout.Sources()
	for _, kind := range slices.Sorted(maps.Keys(known)) {
		for _, name := range known[kind] {
			items = append(items, sourceShape{kind, name})
		}
	}
	return listByName(c, q.page, items, func(s sourceShape) string { return string(s.Kind) + "." + s.Name })
}

// putResponder says how a request type is answered, once its source was seen
// to be able to.
func (s *server) putResponder(ctx context.Context, c *call, in domain.ResponderConfigured) (answer, error) {
	t, err := s.typeOf(ctx, c)
	if err != nil {
		return answer{}, err
	}
	at, err := seen(c)
	if err != nil {
		return answer{}, err
	}
	if err := s.Tryout.Check(ctx, t.Name, in); err != nil {
		return answer{}, err
	}
	now, stored, err := s.Commands.ConfigureResponder(ctx, c.by(), t.Name, in, at)
	if err != nil {
		return answer{}, staleTag(at, err)
	}
	return s.written(ctx, stored, answer{etag: tagOf(stored.Pos), value: now})
}

// trial is what to try out. What is left out is as it is now.
type trial struct {
	Params     json.RawMessage             `json:"params"`  // the schema's first example
	UserID     string                      `json:"user_id"` // nobody: an administrator's rights, the type's limits
	Definition *domain.RequestTypeDefined  `json:"definition"`
	Responder  *domain.ResponderConfigured `json:"responder"`
}

type triedShape struct {
	Status      domain.Status   `json:"status"`
	Result      json.RawMessage `json:"result"`
	ResultCount int             `json:"result_count"`
	TookMS      int64           `json:"took_ms"`
	Truncated   bool            `json:"truncated"`
	Responder   string          `json:"responder"`
	MaxResults  int             `json:"max_results"` // that counted; 0: nothing was asked
	ContentType string          `json:"content_type,omitempty"`
	Error       *triedError     `json:"error"`
}

// triedError tells an administrator what the one who asks would be told, and
// what they would not.
type triedError struct {
	Code      string `json:"code"`
	Detail    string `json:"detail"`
	Retryable bool   `json:"retryable"`
	Cause     string `json:"cause"`
}

// tryRequestType asks what a request would be answered. Of what it does only
// that it was done is recorded.
func (s *server) tryRequestType(ctx context.Context, c *call, in trial) (answer, error) {
	name := mux.Vars(c.Request)["name"]
	q := tryout.Question{Type: name, Params: in.Params, User: strings.ToLower(in.UserID), Responder: in.Responder}
	if string(in.Params) == "null" {
		q.Params = nil
	}
	if in.Definition == nil {
		if _, err := s.typeOf(ctx, c); err != nil {
			return answer{}, err
		}
	} else {
		draft, err := draftOf(name, *in.Definition)
		if err != nil {
			return answer{}, err
		}
		q.Draft = &draft
	}
	target := name
	if q.User != "" {
		target += " as user-" + q.User
	}
	if err := s.acted(ctx, c, "requesttype.try", target); err != nil {
		return answer{}, err
	}
	tried, err := s.Tryout.Ask(ctx, q)
	if err != nil {
		return answer{}, err
	}
	shown := triedShape{Status: domain.StatusAnswered, Result: tried.Answer.Result, ResultCount: tried.Answer.Count, TookMS: tried.Took.Milliseconds(),
		Truncated: tried.Answer.Truncated, Responder: string(tried.Responder), MaxResults: tried.MaxResults, ContentType: tried.Answer.ContentType}
	if f := tried.Failure; f != nil {
		shown.Status, shown.Error = domain.StatusFailed, &triedError{Code: f.Code, Detail: f.Text, Retryable: f.Retryable}
		if f.Cause != nil {
			shown.Error.Cause = f.Cause.Error()
		}
	}
	return s.behind(ctx, answer{value: shown}, nil)
}

// draftOf is a definition that is not recorded yet.
func draftOf(name string, in domain.RequestTypeDefined) (domain.RequestTypeDefined, error) {
	err := sameName(in.Name, name, "invalid-request-type")
	if err == nil {
		in.Name = name
		in, err = commands.Draft(in.Command())
	}
	var refused *domain.Error
	if errors.As(err, &refused) {
		err = refused.Under("/definition")
	}
	return in, err
}
