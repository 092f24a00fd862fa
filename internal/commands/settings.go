package commands

import (
	"context"

	"sallyport/domain"
)

func settingCommand(key string, at int64, decide func(domain.Setting) ([]domain.Fact, error)) defining[domain.Setting] {
	return defining[domain.Setting]{stream: domain.SettingStream(key), valid: domain.ValidSettingKey(key), at: at, decide: decide}
}

// PutSetting makes a setting on the response site, or says all of it anew, if
// its newest event is at the given position; 0: whatever it is. It returns the
// setting as it is now, and whether it is new. Seq is 0 when it was so already,
// and nothing was stored.
func (c *Commands) PutSetting(ctx context.Context, by By, in domain.ChangeSetting, at int64) (_ domain.SettingChanged, created bool, _ Stored, _ error) {
	if err := c.only(domain.ResponseSite, "settings are changed"); err != nil {
		return in.SettingChanged, false, Stored{}, err
	}
	in.Value, in.ValueError = plainJSON(in.Value)
	d, err := define(ctx, c, by, settingCommand(in.Key, at, func(s domain.Setting) ([]domain.Fact, error) { return s.Decide(in) }))
	if now := d.after.Now(); now != nil {
		in.SettingChanged = *now
	}
	return in.SettingChanged, d.before.Now() == nil, d.stored, err
}

// RemoveSetting ends a setting on the response site.
func (c *Commands) RemoveSetting(ctx context.Context, by By, key string, at int64) (Stored, error) {
	if err := c.only(domain.ResponseSite, "settings are changed"); err != nil {
		return Stored{}, err
	}
	d, err := define(ctx, c, by, settingCommand(key, at, func(s domain.Setting) ([]domain.Fact, error) {
		return s.Decide(domain.RemoveSetting{Key: key})
	}))
	return d.stored, err
}
