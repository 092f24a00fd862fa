package projections

import (
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"

	"sallyport/domain"
	"sallyport/eventstore"
)

// definitions are the read models whose row is the data of a stream's newest
// event, under the key that the stream's name ends with.
type definitions struct {
	stream string // what all names of its streams begin with, without the dash
	upsert string
}

var (
	profiles         = newDefinitions("profile", "profiles", "name", keeping)
	requestTypes     = newDefinitions("requesttype", "request_types", "name", keeping)
	responderConfigs = newDefinitions("responderconfig", "responder_configs", "request_type", dropping)
	settings         = newDefinitions("setting", "settings", "key", dropping)
)

// What becomes of a row once its stream says that it is over: either it is
// marked as retired and keeps what it was, or its definition becomes NULL.
const (
	keeping = `
		INSERT INTO readmodel.%[1]s AS d (%[2]s, definition, retired, pos)
		SELECT key, definition::json, ended, pos FROM %[3]s
		ON CONFLICT (%[2]s) DO UPDATE SET definition = coalesce(excluded.definition, d.definition),
			retired = excluded.retired, pos = excluded.pos
		WHERE excluded.pos > d.pos`
	dropping = `
		INSERT INTO readmodel.%[1]s AS d (%[2]s, definition, pos)
		SELECT key, CASE WHEN NOT ended THEN definition::json END, pos FROM %[3]s
		ON CONFLICT (%[2]s) DO UPDATE SET definition = excluded.definition, pos = excluded.pos
		WHERE excluded.pos > d.pos`
	definitionRows = `unnest($1::text[], $2::text[], $3::boolean[], $4::bigint[]) AS e(key, definition, ended, pos)`
)

func newDefinitions(stream, table, key, upsert string) definitions {
	return definitions{stream: stream, upsert: fmt.Sprintf(upsert, table, key, definitionRows)}
}

// defined is what one batch says of one key.
type defined struct {
	definition *string // nil: nothing but that it is over
	ended      bool
	pos        int64
}

func (d defined) after(r eventstore.Record) defined {
	if r.Pos <= d.pos {
		return d
	}
	switch r.Fact.(type) {
	case domain.ProfileRetired, domain.RequestTypeRetired, domain.ResponderDisabled, domain.SettingRemoved:
		d.ended = true
	default:
		d.definition, d.ended = new(string(r.Data)), false
	}
	d.pos = r.Pos
	return d
}

// Apply implements [eventstore.Projection].
func (d definitions) Apply(b *pgx.Batch, records []eventstore.Record) error {
	var rows latest[defined]
	for _, r := range records {
		if k, _ := domain.KindOf(r.Type); k.Stream == d.stream {
			rows.fold(strings.TrimPrefix(r.Stream, d.stream+"-"), defined{}.after(r), func(before, _ defined) defined { return before.after(r) })
		}
	}
	if len(rows.keys) == 0 {
		return nil
	}
	n := len(rows.keys)
	data, ended, pos := make([]*string, 0, n), make([]bool, 0, n), make([]int64, 0, n)
	for _, key := range rows.keys {
		r := rows.rows[key]
		data, ended, pos = append(data, r.definition), append(ended, r.ended), append(pos, r.pos)
	}
	b.Queue(d.upsert, rows.keys, data, ended, pos)
	return nil
}

const upsertTypeVersions = `
	INSERT INTO readmodel.request_type_versions AS v (name, version, definition, pos)
	SELECT DISTINCT ON (name, version) name, version, definition::json, pos
	FROM unnest($1::text[], $2::int[], $3::text[], $4::bigint[]) AS e(name, version, definition, pos)
	ORDER BY name, version, pos DESC
	ON CONFLICT (name, version) DO UPDATE SET definition = excluded.definition, pos = excluded.pos
	WHERE excluded.pos > v.pos`

// applyTypeVersions keeps each version of each request type.
func applyTypeVersions(b *pgx.Batch, records []eventstore.Record) error {
	var names, data []string
	var versions []int32
	var pos []int64
	for _, r := range records {
		var t domain.RequestTypeDefined
		switch f := r.Fact.(type) {
		case domain.RequestTypeDefined:
			t = f
		case domain.RequestTypeChanged:
			t = domain.RequestTypeDefined(f)
		default:
			continue
		}
		names, data, pos = append(names, strings.TrimPrefix(r.Stream, domain.RequestTypeStream(""))), append(data, string(r.Data)), append(pos, r.Pos)
		versions = append(versions, int32(t.Version)) //nolint:gosec // bounded by its schema
	}
	if len(names) > 0 {
		b.Queue(upsertTypeVersions, names, versions, data, pos)
	}
	return nil
}
