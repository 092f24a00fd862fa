package projections

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"

	"sallyport/domain"
	"sallyport/eventstore"
)

// definitions are the read models whose row is the data of the newest event
// of one type, under the key that its stream's name ends with.
type definitions struct {
	eventType string
	prefix    string // of the streams, with the dash
	upsert    string
}

var (
	profiles         = newDefinitions("profile.defined", "profiles", "name")
	requestTypes     = newDefinitions("requesttype.defined", "request_types", "name")
	responderConfigs = newDefinitions("responder.configured", "responder_configs", "request_type")
)

func newDefinitions(eventType, table, key string) definitions {
	kind, _ := domain.KindOf(eventType)
	return definitions{eventType: eventType, prefix: kind.Stream + "-", upsert: fmt.Sprintf(`
		INSERT INTO readmodel.%[1]s AS d (%[2]s, definition, pos)
		SELECT key, definition::json, pos FROM unnest($1::text[], $2::text[], $3::bigint[]) AS e(key, definition, pos)
		ON CONFLICT (%[2]s) DO UPDATE SET definition = excluded.definition, pos = excluded.pos
		WHERE excluded.pos > d.pos`, table, key)}
}

// Apply implements [eventstore.Projection].
func (d definitions) Apply(b *pgx.Batch, records []eventstore.Record) error {
	var rows latest[eventstore.Record]
	for _, r := range records {
		if r.Type == d.eventType {
			rows.fold(strings.TrimPrefix(r.Stream, d.prefix), r, newerRecord)
		}
	}
	if len(rows.keys) == 0 {
		return nil
	}
	data, pos := make([]string, 0, len(rows.keys)), make([]int64, 0, len(rows.keys))
	for _, key := range rows.keys {
		r := rows.rows[key]
		data, pos = append(data, string(r.Data)), append(pos, r.Pos)
	}
	b.Queue(d.upsert, rows.keys, data, pos)
	return nil
}

func newerRecord(before, after eventstore.Record) eventstore.Record {
	if after.Pos > before.Pos {
		return after
	}
	return before
}

// Profile returns the definition of a profile, or [ErrNotFound].
func (r *Reader) Profile(ctx context.Context, name string) (domain.ProfileDefined, error) {
	return one(ctx, r, scanDefinition[domain.ProfileDefined],
		`SELECT definition FROM readmodel.profiles WHERE name = $1`, text(name))
}

// Profiles returns all profiles, ordered by name.
func (r *Reader) Profiles(ctx context.Context) ([]domain.ProfileDefined, error) {
	return many(ctx, r, scanDefinition[domain.ProfileDefined], `SELECT definition FROM readmodel.profiles ORDER BY name`)
}

// RequestType returns the definition of a request type, or [ErrNotFound].
func (r *Reader) RequestType(ctx context.Context, name string) (domain.RequestTypeDefined, error) {
	return one(ctx, r, scanDefinition[domain.RequestTypeDefined],
		`SELECT definition FROM readmodel.request_types WHERE name = $1`, text(name))
}

// RequestTypes returns all request types, ordered by name.
func (r *Reader) RequestTypes(ctx context.Context) ([]domain.RequestTypeDefined, error) {
	return many(ctx, r, scanDefinition[domain.RequestTypeDefined],
		`SELECT definition FROM readmodel.request_types ORDER BY name`)
}

// ResponderConfig returns how a request type is answered, or [ErrNotFound].
// Only the response site knows.
func (r *Reader) ResponderConfig(ctx context.Context, requestType string) (domain.ResponderConfigured, error) {
	return one(ctx, r, scanDefinition[domain.ResponderConfigured],
		`SELECT definition FROM readmodel.responder_configs WHERE request_type = $1`, text(requestType))
}

func scanDefinition[F domain.Fact](row pgx.CollectableRow) (F, error) {
	var f F
	var definition []byte
	if err := row.Scan(&definition); err != nil {
		return f, err
	}
	if err := json.Unmarshal(definition, &f); err != nil {
		return f, fmt.Errorf("the read model of %s holds what does not parse: %w; rebuild it", f.EventType(), err)
	}
	return f, nil
}
