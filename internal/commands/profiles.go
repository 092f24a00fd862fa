package commands

import (
	"context"

	"sallyport/domain"
)

func profileCommand(name string, at int64, decide func(domain.Profile) ([]domain.Fact, error)) defining[domain.Profile] {
	return defining[domain.Profile]{stream: domain.ProfileStream(name), valid: domain.ValidSlug(name), at: at, decide: decide}
}

// DefineProfile makes a profile on the response site. It returns the profile
// as it was stored, with what the command left out filled in.
func (c *Commands) DefineProfile(ctx context.Context, by By, in domain.ProfileDefined) (domain.ProfileDefined, Stored, error) {
	if err := c.only(domain.ResponseSite, "profiles are defined"); err != nil {
		return in, Stored{}, err
	}
	d, err := define(ctx, c, by, profileCommand(in.Name, 0, func(p domain.Profile) ([]domain.Fact, error) { return p.Decide(in) }))
	return d.after.Definition(), d.stored, err
}

// PutProfile makes a profile on the response site, or says all of it anew, if
// its newest event is at the given position; 0: whatever it is. It returns the
// profile as it is now, and whether it is new. Seq is 0 when it was so already,
// and nothing was stored.
func (c *Commands) PutProfile(ctx context.Context, by By, in domain.ProfileDefined, at int64) (_ domain.ProfileDefined, created bool, _ Stored, _ error) {
	if err := c.only(domain.ResponseSite, "profiles are defined"); err != nil {
		return in, false, Stored{}, err
	}
	d, err := define(ctx, c, by, profileCommand(in.Name, at, func(p domain.Profile) ([]domain.Fact, error) {
		if p.Exists() {
			return p.Decide(domain.ProfileChanged(in))
		}
		return p.Decide(in)
	}))
	return d.after.Definition(), !d.before.Exists(), d.stored, err
}

// RetireProfile ends a profile on the response site, unless users have it.
// Somebody who is given it at the same moment has a profile that allows
// nothing, and is to be given another.
func (c *Commands) RetireProfile(ctx context.Context, by By, name string, at int64) (Stored, error) {
	if err := c.only(domain.ResponseSite, "profiles are retired"); err != nil {
		return Stored{}, err
	}
	used, err := c.directory.Reader().ProfileInUse(ctx, name)
	if err != nil {
		return Stored{}, err
	}
	d, err := define(ctx, c, by, profileCommand(name, at, func(p domain.Profile) ([]domain.Fact, error) {
		return p.Decide(domain.RetireProfile{Name: name, InUse: used})
	}))
	return d.stored, err
}

// BringBackProfile makes a retired profile on the response site what it was,
// and returns it. Seq is 0 when it was not retired.
func (c *Commands) BringBackProfile(ctx context.Context, by By, name string) (domain.ProfileDefined, Stored, error) {
	if err := c.only(domain.ResponseSite, "profiles are brought back"); err != nil {
		return domain.ProfileDefined{}, Stored{}, err
	}
	d, err := define(ctx, c, by, profileCommand(name, 0, func(p domain.Profile) ([]domain.Fact, error) {
		return p.Decide(domain.BringBackProfile{Name: name})
	}))
	return d.after.Definition(), d.stored, err
}
