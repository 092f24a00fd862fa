package projections

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"

	"github.com/jackc/pgx/v5"

	"sallyport/domain"
)

// Profile is a profile as both sites know it.
type Profile struct {
	domain.ProfileDefined      // what was said of it last
	Retired               bool // it is given to nobody any more
	Pos                   int64
}

// RequestType is a request type as both sites know it.
type RequestType struct {
	domain.RequestTypeDefined      // what was said of it last
	Retired                   bool // nobody may ask by it any more
	Pos                       int64
}

// Setting is a setting that exists. A request site knows public ones only.
type Setting struct {
	Key string
	domain.SettingChanged
	Pos int64
}

// ResponderConfig is how a request type is answered. Only the response site
// knows.
type ResponderConfig struct {
	domain.ResponderConfigured
	Pos int64
}

const (
	selectProfiles = `SELECT definition, retired, pos FROM readmodel.profiles WHERE definition IS NOT NULL `
	selectTypes    = `SELECT definition, retired, pos FROM readmodel.request_types WHERE definition IS NOT NULL `
	selectSettings = `SELECT key, definition, pos FROM readmodel.settings WHERE definition IS NOT NULL `
)

// Profile returns the definition of a profile that is not retired, or
// [ErrNotFound].
func (r *Reader) Profile(ctx context.Context, name string) (domain.ProfileDefined, error) {
	p, err := one(ctx, r, scanProfile, selectProfiles+`AND name = $1 AND NOT retired`, text(name))
	return p.ProfileDefined, err
}

// KnownProfile returns a profile, retired or not, or [ErrNotFound].
func (r *Reader) KnownProfile(ctx context.Context, name string) (Profile, error) {
	return one(ctx, r, scanProfile, selectProfiles+`AND name = $1`, text(name))
}

// Profiles returns all profiles that are retired, or all that are not, ordered
// by name.
func (r *Reader) Profiles(ctx context.Context, retired bool) ([]Profile, error) {
	return many(ctx, r, scanProfile, selectProfiles+`AND retired = $1 ORDER BY name`, retired)
}

// RequestType returns a request type, retired or not, or [ErrNotFound].
func (r *Reader) RequestType(ctx context.Context, name string) (RequestType, error) {
	return one(ctx, r, scanType, selectTypes+`AND name = $1`, text(name))
}

// RequestTypes returns all request types that are retired, or all that are
// not, ordered by name.
func (r *Reader) RequestTypes(ctx context.Context, retired bool) ([]RequestType, error) {
	return many(ctx, r, scanType, selectTypes+`AND retired = $1 ORDER BY name`, retired)
}

// RequestTypeVersion returns a request type as it was in one of its versions,
// or [ErrNotFound].
func (r *Reader) RequestTypeVersion(ctx context.Context, name string, version int) (domain.RequestTypeDefined, error) {
	return one(ctx, r, scanDefinition[domain.RequestTypeDefined],
		`SELECT definition FROM readmodel.request_type_versions WHERE name = $1 AND version = $2`, text(name), version)
}

// RequestTypeVersions returns a page of all versions that a request type ever
// had, the newest first, and the cursor of the next page: empty at the end. A
// cursor that this method did not give is refused with [ErrCursor].
func (r *Reader) RequestTypeVersions(ctx context.Context, name string, p Page) ([]domain.RequestTypeDefined, string, error) {
	first, second, err := p.after()
	if err != nil {
		return nil, "", err
	}
	before, err := strconv.Atoi(first)
	if p.Cursor != "" && (err != nil || second != "versions") {
		return nil, "", ErrCursor
	}
	var w conditions
	w.add(true, "name = ?", text(name))
	w.add(p.Cursor != "", "version < ?", before)
	w.args = append(w.args, p.limit()+1)
	found, err := many(ctx, r, scanDefinition[domain.RequestTypeDefined],
		`SELECT definition FROM readmodel.request_type_versions `+w.where()+fmt.Sprintf(` ORDER BY version DESC LIMIT $%d`, len(w.args)), w.args...)
	if err != nil || len(found) <= p.limit() {
		return found, "", err
	}
	found = found[:p.limit()]
	return found, cursor(strconv.Itoa(found[len(found)-1].Version), "versions"), nil
}

// ResponderConfig returns how a request type is answered, or [ErrNotFound].
// Only the response site knows.
func (r *Reader) ResponderConfig(ctx context.Context, requestType string) (ResponderConfig, error) {
	return one(ctx, r, func(row pgx.CollectableRow) (c ResponderConfig, err error) {
		err = scanned(row, &c.ResponderConfigured, &c.Pos)
		return c, err
	}, `SELECT definition, pos FROM readmodel.responder_configs WHERE request_type = $1 AND definition IS NOT NULL`, text(requestType))
}

// Setting returns a setting, or [ErrNotFound].
func (r *Reader) Setting(ctx context.Context, key string) (Setting, error) {
	return one(ctx, r, scanSetting, selectSettings+`AND key = $1`, text(key))
}

// Settings returns all settings, ordered by key.
func (r *Reader) Settings(ctx context.Context) ([]Setting, error) {
	return many(ctx, r, scanSetting, selectSettings+`ORDER BY key`)
}

func scanProfile(row pgx.CollectableRow) (p Profile, err error) {
	err = scanned(row, &p.ProfileDefined, &p.Retired, &p.Pos)
	return p, err
}

func scanType(row pgx.CollectableRow) (t RequestType, err error) {
	err = scanned(row, &t.RequestTypeDefined, &t.Retired, &t.Pos)
	return t, err
}

func scanSetting(row pgx.CollectableRow) (s Setting, err error) {
	var definition []byte
	if err := row.Scan(&s.Key, &definition, &s.Pos); err != nil {
		return s, err
	}
	return s, parsed(definition, &s.SettingChanged)
}

func scanDefinition[F domain.Fact](row pgx.CollectableRow) (f F, err error) {
	err = scanned(row, &f)
	return f, err
}

// scanned takes a row that begins with a definition.
func scanned[F domain.Fact](row pgx.CollectableRow, into *F, rest ...any) error {
	var definition []byte
	if err := row.Scan(append([]any{&definition}, rest...)...); err != nil {
		return err
	}
	return parsed(definition, into)
}

func parsed[F domain.Fact](definition []byte, into *F) error {
	if err := json.Unmarshal(definition, into); err != nil {
		return fmt.Errorf("the read model of %s holds what does not parse: %w; rebuild it", (*into).EventType(), err)
	}
	return nil
}
