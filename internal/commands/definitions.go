package commands

import (
	"context"
	"errors"
	"fmt"

	"sallyport/domain"
	"sallyport/eventstore"
	"sallyport/projections"
	"sallyport/schema"
)

// DefineProfile makes a profile on the response site. It returns the profile
// as it was stored, with what the command left out filled in.
func (c *Commands) DefineProfile(ctx context.Context, by By, in domain.ProfileDefined) (domain.ProfileDefined, Stored, error) {
	if err := c.only(domain.ResponseSite, "profiles are defined"); err != nil {
		return in, Stored{}, err
	}
	facts, stored, err := define[domain.Profile](ctx, c, by, domain.ProfileStream(in.Name), domain.ValidSlug(in.Name),
		func(p domain.Profile) ([]domain.Fact, error) { return p.Decide(in) })
	if err != nil {
		return in, Stored{}, err
	}
	return facts[0].(domain.ProfileDefined), stored, nil
}

// PutProfile makes a profile on the response site, or says all of it anew. It
// returns the profile as it is now, and whether it is new. Seq is 0 when it was
// so already, and nothing was stored.
func (c *Commands) PutProfile(ctx context.Context, by By, in domain.ProfileDefined) (_ domain.ProfileDefined, created bool, _ Stored, _ error) {
	if err := c.only(domain.ResponseSite, "profiles are defined"); err != nil {
		return in, false, Stored{}, err
	}
	var state domain.Profile
	facts, stored, err := define[domain.Profile](ctx, c, by, domain.ProfileStream(in.Name), domain.ValidSlug(in.Name),
		func(p domain.Profile) ([]domain.Fact, error) {
			if state = p; p.Exists() {
				return p.Decide(domain.ProfileChanged(in))
			}
			return p.Decide(in)
		})
	if err != nil {
		return in, false, Stored{}, err
	}
	created = !state.Exists()
	for _, f := range facts {
		state = state.Apply(f)
	}
	return state.Definition(), created, stored, nil
}

// RetireProfile ends a profile on the response site, unless users have it.
// Somebody who is given it at the same moment has a profile that allows
// nothing, and is to be given another.
func (c *Commands) RetireProfile(ctx context.Context, by By, name string) (Stored, error) {
	if err := c.only(domain.ResponseSite, "profiles are retired"); err != nil {
		return Stored{}, err
	}
	used, err := c.directory.Reader().ProfileInUse(ctx, name)
	if err != nil {
		return Stored{}, err
	}
	_, stored, err := define[domain.Profile](ctx, c, by, domain.ProfileStream(name), domain.ValidSlug(name),
		func(p domain.Profile) ([]domain.Fact, error) {
			return p.Decide(domain.RetireProfile{Name: name, InUse: used})
		})
	return stored, err
}

// DefineRequestType makes a request type on the response site. The command's
// SchemaError is found here; what the caller put there is not looked at.
func (c *Commands) DefineRequestType(ctx context.Context, by By, in domain.DefineRequestType) (Stored, error) {
	if err := c.only(domain.ResponseSite, "request types are defined"); err != nil {
		return Stored{}, err
	}
	if _, in.SchemaError = schema.CompileParameters(in.Parameters); in.SchemaError == nil {
		in.Parameters, in.SchemaError = plainJSON(in.Parameters)
	}
	_, stored, err := define[domain.RequestType](ctx, c, by, domain.RequestTypeStream(in.Name), domain.ValidSlug(in.Name),
		func(t domain.RequestType) ([]domain.Fact, error) { return t.Decide(in) })
	return stored, err
}

// ConfigureResponder says on the response site how a request type is
// answered. A later configuration replaces an earlier one as a whole. Whether
// the source has what the statement asks for is not looked at here.
func (c *Commands) ConfigureResponder(ctx context.Context, by By, requestType string, in domain.ResponderConfigured) (Stored, error) {
	if err := c.only(domain.ResponseSite, "responders are configured"); err != nil {
		return Stored{}, err
	}
	if _, err := c.directory.KnownRequestType(ctx, requestType); err != nil {
		if errors.Is(err, projections.ErrNotFound) {
			return Stored{}, &domain.Error{Kind: domain.NotFound, Code: "unknown-type",
				Detail: fmt.Sprintf("there is no request type named %q; nothing was stored", requestType)}
		}
		return Stored{}, err
	}
	_, stored, err := define[domain.ResponderConfig](ctx, c, by, domain.ResponderConfigStream(requestType), true,
		func(r domain.ResponderConfig) ([]domain.Fact, error) { return r.Decide(in) })
	return stored, err
}

// define loads a definition's stream, decides, and appends. A name that
// cannot be a stream's is not looked up: decide will refuse it.
func define[S state[S]](ctx context.Context, c *Commands, by By, stream string, valid bool, decide func(S) ([]domain.Fact, error)) ([]domain.Fact, Stored, error) {
	var state S
	var version eventstore.Version
	if valid {
		var err error
		if state, version, err = load[S](ctx, c.log, stream); err != nil {
			return nil, Stored{}, err
		}
	}
	facts, err := decide(state)
	if err != nil || len(facts) == 0 {
		return nil, Stored{}, err
	}
	stored, err := c.append(ctx, by, eventstore.Write{Stream: stream, Expected: version, Facts: facts})
	return facts, stored, taken(err, map[string]*domain.Error{
		stream: conflict("changed-meanwhile", "somebody else changed this at the same moment; look again; nothing was stored")})
}
