package api

import (
	"context"
	"encoding/json"

	"github.com/gorilla/mux"

	"sallyport/domain"
)

type settingShape struct {
	Key         string          `json:"key"`
	Value       json.RawMessage `json:"value"`
	Description string          `json:"description"`
	Public      bool            `json:"public"`
}

func shapeOfSetting(key string, s domain.SettingChanged) settingShape {
	return settingShape{Key: key, Value: s.Value, Description: s.Description, Public: s.Public}
}

// listSettings shows all settings; a request site has only those that are
// public.
func (s *server) listSettings(ctx context.Context, c *call) (answer, error) {
	q, err := parseQuery(c)
	if err != nil {
		return answer{}, err
	}
	all, err := s.Reader.Settings(ctx)
	if err != nil {
		return answer{}, err
	}
	items := make([]settingShape, len(all))
	for i, one := range all {
		items[i] = shapeOfSetting(one.Key, one.SettingChanged)
	}
	return listByName(c, q.page, items, func(s settingShape) string { return s.Key })
}

// keyOf returns the path's key; what cannot be one is not looked up.
func keyOf(c *call) (string, error) {
	if err := noQuery(c); err != nil {
		return "", err
	}
	key := mux.Vars(c.Request)["key"]
	if !domain.ValidSettingKey(key) {
		return "", errNotFound
	}
	return key, nil
}

func (s *server) setting(ctx context.Context, c *call) (answer, error) {
	key, err := keyOf(c)
	if err != nil {
		return answer{}, err
	}
	now, err := s.Reader.Setting(ctx, key)
	return answer{value: shapeOfSetting(key, now.SettingChanged), etag: tagOf(now.Pos)}, err
}

// putSetting makes the setting of the path's key, or says all of it anew. The
// body may leave its key out.
func (s *server) putSetting(ctx context.Context, c *call, in settingShape) (answer, error) {
	key := mux.Vars(c.Request)["key"]
	if in.Key != "" && in.Key != key {
		return answer{}, &domain.Error{Kind: domain.Invalid, Code: "invalid-setting", Detail: "the body names another setting than the path; nothing was stored",
			Fields: []domain.FieldError{{Pointer: "/key", Code: domain.FieldUnwanted, Detail: "must be the key in the path, or be left out"}}}
	}
	at, err := seen(c)
	if err != nil {
		return answer{}, err
	}
	now, created, stored, err := s.Commands.PutSetting(ctx, c.by(), domain.ChangeSetting{Key: key,
		SettingChanged: domain.SettingChanged{Value: in.Value, Description: in.Description, Public: in.Public}}, at)
	if err != nil {
		return answer{}, staleTag(at, err)
	}
	return s.written(ctx, stored, said("/settings/"+key, created, stored, shapeOfSetting(key, now)))
}
