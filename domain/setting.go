package domain

import (
	"encoding/json"
	"regexp"
)

// SettingChanged says all of a setting anew. A public one goes to the request
// sites; others never leave.
type SettingChanged struct {
	Value       json.RawMessage `json:"value"` // any JSON value
	Description string          `json:"description"`
	Public      bool            `json:"public"`
}

// SettingRemoved ends a setting. If it was public the request sites are told.
// One that is not to be public any more is removed and said anew: the request
// sites hear of the first event and not of the second.
type SettingRemoved struct {
	Public bool `json:"public"` // until now
}

// EventType implements [Fact].
func (SettingChanged) EventType() string { return "setting.changed" }

// EventType implements [Fact].
func (SettingRemoved) EventType() string { return "setting.removed" }

func (f SettingChanged) public() bool { return f.Public }

func (f SettingRemoved) public() bool { return f.Public }

// Setting is the state that the rules about settings need. The zero value is a
// setting that does not exist.
type Setting struct {
	now *SettingChanged
}

// Now returns what was said of the setting last; nil: it does not exist.
func (s Setting) Now() *SettingChanged { return s.now }

// maxSetting bounds a setting's value, in bytes.
const maxSetting = 16 << 10

var settingKey = regexp.MustCompile(`^[a-z0-9][a-z0-9._-]{0,62}[a-z0-9]$`)

// ValidSettingKey reports whether s may name a setting.
func ValidSettingKey(s string) bool { return settingKey.MatchString(s) }

// SettingCommand is what may be asked of a setting: [ChangeSetting] and
// [RemoveSetting].
type SettingCommand interface {
	decide(s Setting) ([]Fact, error)
}

// Decide returns the facts that a command leads to. No facts mean that the
// setting is as the command wants it already.
func (s Setting) Decide(c SettingCommand) ([]Fact, error) { return c.decide(s) }

// ChangeSetting asks that a setting be as it is said here, whether it exists or
// not.
type ChangeSetting struct {
	Key string
	SettingChanged
	// ValueError says why Value is no JSON value that may be stored; nil when it
	// is one.
	ValueError error
}

func (c ChangeSetting) decide(s Setting) ([]Fact, error) {
	var f fieldErrors
	f.require(ValidSettingKey(c.Key), "/key", FieldName, "must be 2 to 64 of a-z 0-9 . _ - and begin and end with a letter or digit")
	f.require(c.ValueError == nil, "/value", FieldRefused, "%v", c.ValueError)
	f.require(len(c.Value) <= maxSetting, "/value", FieldTooLarge, "must be at most 16 KiB")
	f.text("/description", c.Description, 0, 1000)
	if err := f.err("setting"); err != nil {
		return nil, err
	}
	switch before := s.now; {
	case before == nil:
		return []Fact{c.SettingChanged}, nil
	case string(before.Value) == string(c.Value) && before.Description == c.Description && before.Public == c.Public:
		return nil, nil
	case before.Public && !c.Public:
		return []Fact{SettingRemoved{Public: true}, c.SettingChanged}, nil
	default:
		return []Fact{c.SettingChanged}, nil
	}
}

// RemoveSetting asks that a setting be no more.
type RemoveSetting struct{ Key string }

func (c RemoveSetting) decide(s Setting) ([]Fact, error) {
	if s.now == nil {
		return nil, refuse(NotFound, "unknown-setting", "there is no setting named %q; nothing was stored", c.Key)
	}
	return []Fact{SettingRemoved{Public: s.now.Public}}, nil
}

// Apply returns the state after a fact.
func (s Setting) Apply(f Fact) Setting {
	switch f := f.(type) {
	case SettingChanged:
		s.now = &f
	case SettingRemoved:
		s.now = nil
	}
	return s
}
