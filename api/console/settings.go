package console

import (
	"encoding/json"
	"net/http"
	"net/url"

	"sallyport/domain"
)

// setting is a value that is kept for whoever reads it.
type setting struct {
	Key         string          `json:"key"`
	Value       json.RawMessage `json:"value"`
	Description string          `json:"description"`
	Public      bool            `json:"public"`
}

func showSettings(v *visit) error {
	var l filtered[setting]
	if err := find(v, &l, "settings", "/settings"); err != nil {
		return err
	}
	return v.show(l)
}

// settingForm is a setting as a form; a new one has no Key.
type settingForm struct {
	Form *typed
	Key  string
}

func showNewSetting(v *visit) error { return v.show(settingForm{Form: v.fill(nil, "")}) }

// settingOf reads the setting of the page's path, as the form has it.
func (v *visit) settingOf() (url.Values, string, error) {
	var s setting
	h, err := v.call(http.MethodGet, "/settings/"+v.part("key"), nil, &s, nil)
	if err != nil {
		return nil, "", err
	}
	text, err := indented(s.Value)
	values := url.Values{"value": {text}, "description": {s.Description}, "public": {""}}
	if s.Public {
		values.Set("public", "yes")
	}
	return values, h.Get("Etag"), err
}

func showSetting(v *visit) error {
	values, tag, err := v.settingOf()
	if err != nil {
		return err
	}
	return v.show(settingForm{Form: v.fill(values, tag), Key: v.r.PathValue("key")})
}

// putSetting stores what a form says of a setting. A new one must not be there
// yet.
func (v *visit) putSetting(f *typed, key string) error {
	body := setting{Key: key, Value: f.json("value"), Description: f.Get("description"), Public: f.Get("public") == "yes"}
	if body.Value == nil && f.err() == nil {
		f.refuse("value", domain.FieldRequired, "is required")
	}
	if err := f.err(); err != nil {
		return err
	}
	_, err := v.send(http.MethodPut, "/settings/"+url.PathEscape(key), body, nil, f.match())
	return err
}

func createSetting(v *visit) error {
	f := v.typed()
	key := f.Get("key")
	if err := v.get("/settings/"+url.PathEscape(key), nil); err == nil {
		return v.done("settings/"+url.PathEscape(key), "setting-exists")
	}
	if err := v.putSetting(f, key); err != nil {
		return v.again(settingForm{Form: f}, err)
	}
	return v.done("settings", "setting-set")
}

func changeSetting(v *visit) error {
	f := v.typed()
	if err := v.putSetting(f, v.r.PathValue("key")); err != nil {
		return v.refused(settingForm{Form: f, Key: v.r.PathValue("key")}, f, err, v.settingOf)
	}
	return v.done("settings", "setting-set")
}

func removeSetting(v *visit) error {
	if _, err := v.send(http.MethodDelete, "/settings/"+v.part("key"), nil, nil, nil); err != nil {
		return err
	}
	return v.done("settings", "setting-removed")
}
