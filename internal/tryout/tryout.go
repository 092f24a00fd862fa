package tryout

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"sallyport/domain"
	"sallyport/projections"
	"sallyport/responders"
	"sallyport/responders/queue"
	"sallyport/schema"
)

// Config is what is needed to try out. All fields are required.
type Config struct {
	// Holds tells what the site's log would refuse of an answer, see [queue.Holds].
	Holds     func(domain.ResponseRecorded) error
	Reader    *projections.Reader
	Directory *projections.Directory
	Params    *schema.ParameterCache
	// Knows tells whether the site's configuration has the source that a responder
	// names, and in which setting those of its kind stand.
	Knows func(domain.ResponderConfigured) (setting string, known bool)
	// Sources names the sources that the site's configuration has, by kind; a kind
	// without sources is left out.
	Sources func() map[domain.ResponderKind][]string
	// Responders are what answers each kind.
	Responders func(context.Context) (map[domain.ResponderKind]queue.Responder, error)
}

// Tryout tries out. It is safe for concurrent use.
type Tryout struct {
	Config
	turns chan struct{}
}

// atOnce is how many questions are asked at the same time.
const atOnce = 4

// New returns what tries out on a response site.
func New(c Config) *Tryout { return &Tryout{Config: c, turns: make(chan struct{}, atOnce)} }

// ErrBusy is the refusal of a question while enough others are under way.
var ErrBusy = errors.New("too many questions are being tried out; nothing was asked, try again in a moment")

// checker is a responder that can try a configuration at its source without
// running it. Its refusal is for the administrator's eyes; a
// [*responders.Failure] says that the source cannot be asked now.
type checker interface {
	Check(ctx context.Context, c domain.ResponderConfigured, names []string) error
}

// Check tries at its source how a request type shall be answered, before it is
// recorded. What is wrong with the configuration is a [*domain.Error]; a
// [*responders.Failure] says that the source cannot be asked now.
func (t *Tryout) Check(ctx context.Context, requestType string, c domain.ResponderConfigured) error {
	c, err := t.drafted(c)
	if err != nil {
		return err
	}
	typ, err := t.typeNamed(ctx, requestType)
	if err != nil {
		return err
	}
	params, err := t.Params.Get(typ.Name, typ.Version, typ.Parameters)
	if err != nil {
		return err
	}
	known, err := t.Responders(ctx)
	if err != nil {
		return err
	}
	r, checks := known[c.Kind].(checker)
	if !checks {
		return nil
	}
	var refused *domain.Error
	switch err := r.Check(ctx, c, params.Names()); {
	case err == nil, ctx.Err() != nil, errors.As(err, &refused), errors.As(err, new(*responders.Failure)):
		return err
	default:
		return &domain.Error{Kind: domain.Invalid, Code: "invalid-responder", Detail: err.Error() + "; nothing was stored",
			Fields: []domain.FieldError{{Code: domain.FieldRefused, Detail: err.Error()}}}
	}
}

// drafted fills in a configuration that is not recorded yet, and refuses one
// that could not be.
func (t *Tryout) drafted(c domain.ResponderConfigured) (domain.ResponderConfigured, error) {
	facts, err := (domain.ResponderConfig{}).Decide(c)
	if err != nil {
		return c, err
	}
	c = facts[0].(domain.ResponderConfigured)
	if setting, known := t.Knows(c); !known {
		return c, &domain.Error{Kind: domain.Invalid, Code: "unknown-source",
			Detail: fmt.Sprintf("the configuration has no source %q: add it to %s in sallyport.yaml; nothing was stored", c.Source, setting),
			Fields: []domain.FieldError{{Pointer: "/source", Code: domain.FieldNotFound, Detail: "is not in " + setting + " of sallyport.yaml"}}}
	}
	return c, nil
}

func (t *Tryout) typeNamed(ctx context.Context, name string) (domain.RequestTypeDefined, error) {
	typ, err := t.Reader.RequestType(ctx, name)
	if errors.Is(err, projections.ErrNotFound) {
		err = &domain.Error{Kind: domain.NotFound, Code: "unknown-request-type",
			Detail: fmt.Sprintf("there is no request type named %q: see `sallyport requesttype list`; nothing was stored", name)}
	}
	return typ.RequestTypeDefined, err
}

// Question is what somebody would ask.
type Question struct {
	Type   string
	Params json.RawMessage // nil: the first example of the type's schema
	// User is the id of the one whose rights count; empty: whoever may all, held
	// to nothing but the type's own limits.
	User string
	// Draft stands for the type, which then need not exist; nil: as it is now.
	Draft *domain.RequestTypeDefined
	// Responder stands for how the type is answered; nil: as it is now.
	Responder *domain.ResponderConfigured
}

// Ask asks it. That there is no answer is no error, see [queue.Tried].
func (t *Tryout) Ask(ctx context.Context, q Question) (queue.Tried, error) {
	select {
	case t.turns <- struct{}{}:
		defer func() { <-t.turns }()
	default:
		return queue.Tried{}, ErrBusy
	}
	c, err := t.caseOf(ctx, q)
	if err != nil {
		return queue.Tried{}, err
	}
	known, err := t.Responders(ctx)
	if err != nil {
		return queue.Tried{}, err
	}
	tried := queue.Try(ctx, t.Holds, c, known, t.Params)
	if f := tried.Failure; f != nil && !f.Retryable && tried.MaxResults > 0 {
		tried.Failure = t.explained(ctx, *f, c, known)
	}
	return tried, nil
}

// explained gives a failure that no further attempt would mend the words in
// which the source refuses the configuration, if it does.
func (t *Tryout) explained(ctx context.Context, f responders.Failure, c queue.Case, known map[domain.ResponderKind]queue.Responder) *responders.Failure {
	r, checks := known[c.Config.Kind].(checker)
	params, err := t.Params.Get(c.Type.Name, c.Type.Version, c.Type.Parameters)
	if !checks || err != nil {
		return &f
	}
	if why := r.Check(ctx, *c.Config, params.Names()); why != nil && !errors.As(why, new(*responders.Failure)) {
		f.Cause = why
	}
	return &f
}

// caseOf is the request that would be.
func (t *Tryout) caseOf(ctx context.Context, q Question) (c queue.Case, err error) {
	typ := q.Draft
	if typ == nil {
		named, err := t.typeNamed(ctx, q.Type)
		if err != nil {
			return c, err
		}
		typ = &named
	}
	c.Type, c.Asked = typ, typ
	c.Request = domain.RequestSubmitted{Type: typ.Name, TypeVersion: typ.Version, Params: q.Params, User: q.User}
	if q.Params == nil {
		if c.Request.Params, err = t.example(*typ); err != nil {
			return c, err
		}
	}
	if c.Active, c.Rights, err = t.rights(ctx, q.User, typ.Name); err != nil {
		return c, err
	}
	if q.Responder != nil {
		draft, err := t.drafted(*q.Responder)
		var refused *domain.Error
		if errors.As(err, &refused) {
			err = refused.Under("/responder")
		}
		c.Config = &draft
		return c, err
	}
	now, err := t.Reader.ResponderConfig(ctx, typ.Name)
	if errors.Is(err, projections.ErrNotFound) {
		return c, nil
	}
	c.Config = &now.ResponderConfigured
	return c, err
}

func (t *Tryout) example(typ domain.RequestTypeDefined) (json.RawMessage, error) {
	params, err := t.Params.Get(typ.Name, typ.Version, typ.Parameters)
	if err != nil {
		return nil, err
	}
	examples := params.Examples()
	if len(examples) == 0 {
		return nil, &domain.Error{Kind: domain.Invalid, Code: "invalid-question", Detail: "the schema has no example: say which parameters to ask with; nothing was asked",
			Fields: []domain.FieldError{{Pointer: "/params", Code: domain.FieldRequired, Detail: "must be given: the schema has no example"}}}
	}
	return examples[0], nil
}

// rights are those of a user, or of one who may all.
func (t *Tryout) rights(ctx context.Context, user, requestType string) (active bool, _ domain.Rights, _ error) {
	if user == "" {
		return true, domain.Rights{Active: true, Profile: &domain.ProfileDefined{}, Access: map[string]domain.Access{requestType: {}}}, nil
	}
	rights, err := t.Directory.Rights(ctx, user)
	if errors.Is(err, projections.ErrNotFound) {
		err = &domain.Error{Kind: domain.Invalid, Code: "invalid-question", Detail: "there is no user of this id; nothing was asked",
			Fields: []domain.FieldError{{Pointer: "/user_id", Code: domain.FieldNotFound, Detail: "is no user of this site"}}}
	}
	return rights.Active, rights, err
}
