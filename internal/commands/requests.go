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

// NewRequest is the command to submit a request.
type NewRequest struct {
	User     string // the id of who asks
	Type     string
	Params   json.RawMessage // nil: no parameters
	Name     string          // empty: none; unique for its user
	Priority *int            // nil: the user's
	// Key is the client's own mark of this submission, see
	// [domain.SubmitRequest]; empty: none.
	Key string
	// Admit is asked about what the rules allow, before it is stored; its error
	// is the call's unless the key led to it before. Nil: all is admitted.
	Admit func(context.Context, []domain.Fact) error
}

// SubmitRequest stores a request on a request site. It asks the database for
// nothing: the user's rights and the type come from the directory, and one
// append stores the event, and the claims of its name and its key if it has
// them. Only a key that was used before is looked up: the same submission is
// then [Stored.Replayed] and its fact is zero, another is refused with
// `idempotency-key-reused`.
func (c *Commands) SubmitRequest(ctx context.Context, by By, in NewRequest) (domain.RequestSubmitted, Stored, error) {
	var none domain.RequestSubmitted
	if err := c.only(domain.RequestSite, "requests are submitted"); err != nil {
		return none, Stored{}, err
	}
	facts, err := c.decideRequest(ctx, in)
	if err == nil && in.Admit != nil {
		err = in.Admit(ctx, facts)
	}
	if err != nil {
		// What was accepted once is answered the same, whatever was decided since.
		claim, err := c.replayRefused(ctx, in.User, in.Key, func() (string, error) { return submissionDigest(in) }, err)
		if err != nil {
			return none, Stored{}, err
		}
		return none, replayed(claim), nil
	}
	id, err := newID()
	if err != nil {
		return none, Stored{}, err
	}
	stored, err := c.storeRequest(ctx, by, in, id, facts)
	if err != nil || stored.Replayed {
		return none, stored, err
	}
	stored.ID = id
	return facts[0].(domain.RequestSubmitted), stored, nil
}

// storeRequest appends a request and what it claims. The request comes last:
// its position is the one to tell.
func (c *Commands) storeRequest(ctx context.Context, by By, in NewRequest, id string, facts []domain.Fact) (Stored, error) {
	writes := make([]eventstore.Write, 0, 3)
	name := ""
	if in.Name != "" {
		name = domain.RequestNameStream(in.User, in.Name)
		writes = append(writes, eventstore.Write{Stream: name, Facts: []domain.Fact{domain.RequestNameClaimed{Request: id}}})
	}
	writes = append(writes, eventstore.Write{Stream: domain.RequestStream(id), Facts: facts})
	stored, claim, err := c.submit(ctx, by, in.User, in.Key, func() (string, error) { return submissionDigest(in) }, id, writes)
	if err != nil {
		return Stored{}, taken(err, map[string]*domain.Error{name: nameTaken(in.Name)})
	}
	if claim != nil {
		return replayed(claim), nil
	}
	return placeOf(stored[len(stored)-1]), nil
}

// submit appends what was submitted, once for its key if it has one; then a
// claim says that it was stored before.
func (c *Commands) submit(ctx context.Context, by By, user, key string, digest func() (string, error), id string,
	writes []eventstore.Write) (stored []eventstore.Record, claim *eventstore.Record, err error) {
	if key == "" {
		stored, err = c.appendAll(ctx, by, writes...)
		return stored, nil, err
	}
	body, err := digest()
	if err != nil {
		return nil, nil, err
	}
	return c.appendOnce(ctx, by, submission{user, key, body}, id, writes)
}

func nameTaken(name string) *domain.Error {
	return conflict("name-taken", "you have a request named %q already; nothing was stored", name)
}

func (c *Commands) decideRequest(ctx context.Context, in NewRequest) ([]domain.Fact, error) {
	rights, err := c.directory.Rights(ctx, in.User)
	if err != nil {
		return nil, err
	}
	typ, err := c.requestType(ctx, in.Type)
	if err != nil {
		return nil, err
	}
	// Who may not use a type is not told about its parameters.
	if err := rights.MayUse(typ.Name, typ.Public); err != nil {
		return nil, err
	}
	params, wrong, err := c.checkParams(typ, in.Params)
	if err != nil {
		return nil, err
	}
	return domain.Request{}.Decide(domain.SubmitRequest{Type: typ, Rights: rights, User: in.User, Name: in.Name,
		Priority: in.Priority, IdempotencyKey: in.Key, Params: params, ParamErrors: wrong})
}

func (c *Commands) requestType(ctx context.Context, name string) (domain.RequestTypeDefined, error) {
	if name == "" {
		return domain.RequestTypeDefined{}, invalid("unknown-type", "/type", domain.FieldRequired, "is required")
	}
	typ, err := domain.RequestTypeDefined{}, projections.ErrNotFound
	if domain.ValidSlug(name) {
		typ, err = c.directory.RequestType(ctx, name)
	}
	if errors.Is(err, projections.ErrNotFound) {
		return typ, invalid("unknown-type", "/type", domain.FieldNotFound, "names no request type")
	}
	return typ, err
}

// plainParams is plainJSON of parameters, where none means an empty object.
func plainParams(raw json.RawMessage) (json.RawMessage, error) {
	if len(raw) == 0 {
		raw = json.RawMessage(`{}`)
	}
	return plainJSON(raw)
}

// checkParams returns the parameters without insignificant space, and what
// the type's schema finds wrong with them.
func (c *Commands) checkParams(typ domain.RequestTypeDefined, raw json.RawMessage) (json.RawMessage, []domain.FieldError, error) {
	params, err := plainParams(raw)
	if err != nil {
		return nil, []domain.FieldError{{Pointer: "/params", Code: domain.FieldJSON, Detail: err.Error()}}, nil //nolint:nilerr // what is wrong with the parameters is the result
	}
	compiled, err := c.params.Get(typ.Name, typ.Version, typ.Parameters)
	if err != nil {
		return nil, nil, fmt.Errorf("the schema of request type %s: %w", typ.Name, err)
	}
	return params, compiled.Check(params, "/params"), nil
}
