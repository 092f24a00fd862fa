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

// definitions are the read models whose row is the data of a stream's newest
// event, or NULL once that says that it is retired, under the key that the
// stream's name ends with.
type definitions struct {
	stream string // what all names of its streams begin with, without the dash
	upsert string
}

var (
	profiles         = newDefinitions("profile", "profiles", "name")
	requestTypes     = newDefinitions("requesttype", "request_types", "name")
	responderConfigs = newDefinitions("responderconfig", "responder_configs", "request_type")
)

func newDefinitions(stream, table, key string) definitions {
	return definitions{stream: stream, upsert: fmt.Sprintf(`
		INSERT INTO readmodel.%[1]s AS d (%[2]s, definition, pos)
		SELECT key, definition::json, pos FROM unnest($1::text[], $2::text[], $3::bigint[]) AS e(key, definition, pos)
		ON CONFLICT (%[2]s) DO UPDATE SET definition = excluded.definition, pos = excluded.pos
		WHERE excluded.pos > d.pos`, table, key)}
}

// Apply implements [eventstore.Projection].
func (d definitions) Apply(b *pgx.Batch, records []eventstore.Record) error {
	var rows latest[eventstore.Record]
	for _, r := range records {
		if k, _ := domain.KindOf(r.Type); k.Stream == d.stream {
			rows.fold(strings.TrimPrefix(r.Stream, d.stream+"-"), r, newerRecord)
		}
	}
	if len(rows.keys) == 0 {
		return nil
	}
	data, pos := make([]*string, 0, len(rows.keys)), make([]int64, 0, len(rows.keys))
	for _, key := range rows.keys {
		r := rows.rows[key]
		definition := new(string(r.Data))
		if _, retired := r.Fact.(domain.ProfileRetired); retired {
			definition = nil
		}
		data, pos = append(data, definition), append(pos, r.Pos)
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

// Profile returns the definition of a profile that is not retired, or
// [ErrNotFound].
func (r *Reader) Profile(ctx context.Context, name string) (domain.ProfileDefined, error) {
	return one(ctx, r, scanDefinition[domain.ProfileDefined],
		`SELECT definition FROM readmodel.profiles WHERE name = $1 AND definition IS NOT NULL`, text(name))
}

// Profiles returns all profiles that are not retired, ordered by name.
func (r *Reader) Profiles(ctx context.Context) ([]domain.ProfileDefined, error) {
	return many(ctx, r, scanDefinition[domain.ProfileDefined],
		`SELECT definition FROM readmodel.profiles WHERE definition IS NOT NULL ORDER BY name`)
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
