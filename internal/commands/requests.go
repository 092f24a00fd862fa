package commands

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"sallyport/domain"
	"sallyport/eventstore"
	"sallyport/projections"
)

// MaxParams bounds a request's parameters, in bytes without insignificant
// space.
const MaxParams = 64 << 10

// NewRequest is the command to submit a request.
type NewRequest struct {
	User     string // the id of who asks
	Profile  string // the name of that user's profile
	Type     string
	Params   json.RawMessage // nil: no parameters
	Name     string          // empty: none; unique for its user
	Priority int             // 0: the profile's
}

// SubmitRequest stores a request on a request site. It asks the database for
// nothing: the user's profile and the type come from the directory, and one
// append stores the event, and the claim of its name if it has one.
func (c *Commands) SubmitRequest(ctx context.Context, by By, in NewRequest) (domain.RequestSubmitted, Stored, error) {
	var none domain.RequestSubmitted
	if err := c.only(domain.RequestSite, "requests are submitted"); err != nil {
		return none, Stored{}, err
	}
	facts, err := c.decideRequest(ctx, in)
	if err != nil {
		return none, Stored{}, err
	}
	id, err := newID()
	if err != nil {
		return none, Stored{}, err
	}
	writes := make([]eventstore.Write, 1, 2)
	writes[0] = eventstore.Write{Stream: domain.RequestStream(id), Facts: facts}
	name := ""
	if in.Name != "" {
		// The request comes last: its position is the one to tell.
		name = domain.RequestNameStream(in.User, in.Name)
		claim := eventstore.Write{Stream: name, Facts: []domain.Fact{domain.RequestNameClaimed{Request: id}}}
		writes = append([]eventstore.Write{claim}, writes...)
	}
	stored, err := c.append(ctx, by, writes...)
	if err != nil {
		return none, Stored{}, taken(err, map[string]*domain.Error{
			name: conflict("name-taken", "you have a request named %q already; nothing was stored", in.Name)})
	}
	stored.ID = id
	return facts[0].(domain.RequestSubmitted), stored, nil
}

func (c *Commands) decideRequest(ctx context.Context, in NewRequest) ([]domain.Fact, error) {
	profile, err := c.directory.Profile(ctx, in.Profile)
	if errors.Is(err, projections.ErrNotFound) {
		return nil, &domain.Error{Kind: domain.Forbidden, Code: "type-not-allowed",
			Detail: fmt.Sprintf("your profile %s is not known at this site yet", in.Profile)}
	}
	if err != nil {
		return nil, err
	}
	typ, err := c.requestType(ctx, in.Type)
	if err != nil {
		return nil, err
	}
	// Who may not use a type is not told about its parameters.
	if err := profile.MayUse(typ.Name, typ.Public); err != nil {
		return nil, err
	}
	params, wrong, err := c.checkParams(typ, in.Params)
	if err != nil {
		return nil, err
	}
	return domain.Request{}.Decide(domain.SubmitRequest{Type: typ, Profile: profile, User: in.User, Name: in.Name,
		Priority: in.Priority, Params: params, ParamErrors: wrong})
}

func (c *Commands) requestType(ctx context.Context, name string) (domain.RequestTypeDefined, error) {
	typ, err := domain.RequestTypeDefined{}, projections.ErrNotFound
	if domain.ValidSlug(name) {
		typ, err = c.directory.RequestType(ctx, name)
	}
	if errors.Is(err, projections.ErrNotFound) {
		return typ, invalid("unknown-type", "/type", "names no request type")
	}
	return typ, err
}

// checkParams returns the parameters without insignificant space, and what
// the type's schema finds wrong with them.
func (c *Commands) checkParams(typ domain.RequestTypeDefined, raw json.RawMessage) (json.RawMessage, []domain.FieldError, error) {
	if len(raw) == 0 {
		raw = json.RawMessage(`{}`)
	}
	params, err := plainJSON(raw)
	if err == nil && len(params) > MaxParams {
		err = fmt.Errorf("must be at most %d KiB", MaxParams>>10)
	}
	if err != nil {
		return nil, []domain.FieldError{{Pointer: "/params", Detail: err.Error()}}, nil
	}
	compiled, err := c.params.Get(typ.Name, typ.Version, typ.Parameters)
	if err != nil {
		return nil, nil, fmt.Errorf("the schema of request type %s: %w", typ.Name, err)
	}
	return params, compiled.Check(params, "/params"), nil
}
