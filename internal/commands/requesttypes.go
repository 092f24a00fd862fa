package commands

import (
	"context"
	"errors"
	"fmt"

	"sallyport/domain"
	"sallyport/projections"
	"sallyport/schema"
)

func typeCommand(name string, at int64, decide func(domain.RequestType) ([]domain.Fact, error)) defining[domain.RequestType] {
	return defining[domain.RequestType]{stream: domain.RequestTypeStream(name), valid: domain.ValidSlug(name), at: at, decide: decide}
}

// compiled finds the command's SchemaError and Examples; what the caller put there
// is not looked at.
func compiled(in domain.DefineRequestType) domain.DefineRequestType {
	var p *schema.Parameters
	if p, in.SchemaError = schema.CompileParameters(in.Parameters); in.SchemaError == nil {
		in.Examples = len(p.Examples())
		in.Parameters, in.SchemaError = plainJSON(in.Parameters)
	}
	return in
}

// Draft is the request type that [Commands.PutRequestType] would store, without
// a version, for trying it out before.
func Draft(in domain.DefineRequestType) (domain.RequestTypeDefined, error) {
	return compiled(in).Draft()
}

// DefineRequestType makes a request type on the response site, or a retired one
// anew as it is described here. It returns the type as it was stored.
func (c *Commands) DefineRequestType(ctx context.Context, by By, in domain.DefineRequestType) (domain.RequestTypeDefined, Stored, error) {
	if err := c.only(domain.ResponseSite, "request types are defined"); err != nil {
		return domain.RequestTypeDefined{}, Stored{}, err
	}
	in = compiled(in)
	d, err := define(ctx, c, by, typeCommand(in.Name, 0, func(t domain.RequestType) ([]domain.Fact, error) { return t.Decide(in) }))
	return d.after.Definition(), d.stored, err
}

// PutRequestType says all of a request type anew on the response site, in its
// next version, if its newest event is at the given position; 0: whatever it
// is. The command's Version is the one that was seen. A type that does not
// exist or is retired is made, as [Commands.DefineRequestType] does. It returns the type as it
// is now, and whether it is new. Seq is 0 when it was so already, and nothing
// was stored.
func (c *Commands) PutRequestType(ctx context.Context, by By, in domain.DefineRequestType, at int64) (_ domain.RequestTypeDefined, created bool, _ Stored, _ error) {
	if err := c.only(domain.ResponseSite, "request types are defined"); err != nil {
		return domain.RequestTypeDefined{}, false, Stored{}, err
	}
	in = compiled(in)
	d, err := define(ctx, c, by, typeCommand(in.Name, at, func(t domain.RequestType) ([]domain.Fact, error) {
		if t.Exists() {
			return t.Decide(domain.ChangeRequestType(in))
		}
		return t.Decide(in)
	}))
	return d.after.Definition(), !d.before.Exists(), d.stored, err
}

// RetireRequestType sees to it on the response site that nobody asks by a type
// any more. What was asked before is still answered.
func (c *Commands) RetireRequestType(ctx context.Context, by By, name string, at int64) (Stored, error) {
	if err := c.only(domain.ResponseSite, "request types are retired"); err != nil {
		return Stored{}, err
	}
	d, err := define(ctx, c, by, typeCommand(name, at, func(t domain.RequestType) ([]domain.Fact, error) {
		return t.Decide(domain.RetireRequestType{Name: name})
	}))
	return d.stored, err
}

// BringBackRequestType makes a retired request type on the response site what
// it was, in its next version, and returns it. Seq is 0 when it was not retired.
func (c *Commands) BringBackRequestType(ctx context.Context, by By, name string) (domain.RequestTypeDefined, Stored, error) {
	if err := c.only(domain.ResponseSite, "request types are brought back"); err != nil {
		return domain.RequestTypeDefined{}, Stored{}, err
	}
	d, err := define(ctx, c, by, typeCommand(name, 0, func(t domain.RequestType) ([]domain.Fact, error) {
		return t.Decide(domain.BringBackRequestType{Name: name})
	}))
	return d.after.Definition(), d.stored, err
}

func responderCommand(name string, at int64, decide func(domain.ResponderConfig) ([]domain.Fact, error)) defining[domain.ResponderConfig] {
	return defining[domain.ResponderConfig]{stream: domain.ResponderConfigStream(name), valid: domain.ValidSlug(name), at: at, decide: decide}
}

// ConfigureResponder says on the response site how a request type is answered,
// retired or not. A later configuration replaces an earlier one as a whole. It
// returns the configuration as it is now. Whether the source has what is asked
// of it is not looked at here.
func (c *Commands) ConfigureResponder(ctx context.Context, by By, requestType string, in domain.ResponderConfigured, at int64) (domain.ResponderConfigured, Stored, error) {
	if err := c.only(domain.ResponseSite, "responders are configured"); err != nil {
		return in, Stored{}, err
	}
	if _, err := c.directory.KnownRequestType(ctx, requestType); err != nil {
		if errors.Is(err, projections.ErrNotFound) {
			err = &domain.Error{Kind: domain.NotFound, Code: "unknown-request-type",
				Detail: fmt.Sprintf("there is no request type named %q; nothing was stored", requestType)}
		}
		return in, Stored{}, err
	}
	if in.Task != nil {
		if _, err := schema.CompileResult(in.Task.ResultSchema); err != nil {
			return in, Stored{}, invalid("invalid-responder", "/task/result_schema", domain.FieldSchema, "is no usable JSON Schema: "+err.Error())
		}
	}
	d, err := define(ctx, c, by, responderCommand(requestType, at, func(r domain.ResponderConfig) ([]domain.Fact, error) {
		facts, err := r.Decide(in)
		if err != nil || len(facts) == 0 {
			return nil, err
		}
		return facts, plainFact("invalid-responder", facts[0])
	}))
	if now := d.after.Now(); now != nil {
		in = *now
	}
	return in, d.stored, err
}

// DisableResponder sees to it on the response site that nothing answers a
// request type any more.
func (c *Commands) DisableResponder(ctx context.Context, by By, requestType string, at int64) (Stored, error) {
	if err := c.only(domain.ResponseSite, "responders are configured"); err != nil {
		return Stored{}, err
	}
	d, err := define(ctx, c, by, responderCommand(requestType, at, func(r domain.ResponderConfig) ([]domain.Fact, error) {
		return r.Decide(domain.DisableResponder{RequestType: requestType})
	}))
	return d.stored, err
}
