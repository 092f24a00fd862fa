package bench

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	wsql "github.com/ThreeDotsLabs/watermill-sql/v3/pkg/sql"
	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"

	"sallyport/domain"
	"sallyport/eventstore"
)

// payload is the data of the event that all stores append.
func (s *site) payload() ([]byte, error) { return domain.Encode(s.submitted()) }

// ourselves is this store, as its own readers read it.
func (r *rig) ourselves(ctx context.Context, _ string) (eventStore, error) {
	head, err := r.site.Log.Head(ctx)
	after := head.Seq
	return r.polling("sallyport", func(ctx context.Context) (member, error) {
		return member{ask: func() error {
			_, err := r.site.Log.Append(ctx, r.site.request())
			return err
		}}, nil
	}, func(ctx context.Context) (ids []string, err error) {
		records, err := r.site.Log.Read(ctx, after, polled)
		for _, rec := range records {
			after, ids = rec.Seq, append(ids, rec.ID)
		}
		return ids, err
	}), err
}

// plainSequence is what is written first by whoever writes an event store: a
// number from a sequence, and a reader that asks for greater ones.
func (r *rig) plainSequence(ctx context.Context, _ string) (eventStore, error) {
	var after int64
	err := r.bare.QueryRow(ctx, `SELECT coalesce(max(id), 0) FROM bare_rows`).Scan(&after)
	payload, encoded := r.site.payload()
	return r.polling("a plain sequence", func(ctx context.Context) (member, error) {
		return member{ask: func() error {
			_, err := r.bare.Exec(ctx, insertRow, string(payload))
			return err
		}}, nil
	}, func(ctx context.Context) ([]string, error) {
		return nextPage(ctx, r.bare, &after, `SELECT r.id::text, r.id FROM bare_rows AS r WHERE r.id > $1 ORDER BY r.id LIMIT $2`, polled)
	}), errors.Join(err, encoded)
}

// nextPage reads ids and positions after a position, which it moves.
func nextPage(ctx context.Context, on eventstore.Queries, after *int64, query string, args ...any) (ids []string, err error) {
	rows, err := on.Query(ctx, query, append([]any{*after}, args...)...)
	if err != nil {
		return nil, err
	}
	var id string
	var at int64
	_, err = pgx.ForEachRow(rows, []any{&id, &at}, func() error {
		*after, ids = at, append(ids, id)
		return nil
	})
	return ids, err
}

// watermill is watermill-sql on its own tables.
func (r *rig) watermill(ctx context.Context, _ string) (eventStore, error) {
	const topic, group, database = "events", "bench", "watermill"
	named := eventStore{name: "watermill-sql, its own schema"}
	payload, err := r.site.payload()
	if err != nil {
		return named, err
	}
	if _, err := r.postgres.EnsureDatabase(ctx, database); err != nil {
		return named, err
	}
	pool, err := eventstore.Pool(ctx, r.postgres.DSN(database), clients+1)
	if err != nil {
		return named, err
	}
	db := stdlib.OpenDBFromPool(pool)
	named.close = func() error { defer pool.Close(); return db.Close() }
	tables, offsets := wsql.DefaultPostgreSQLSchema{SubscribeBatchSize: polled}, wsql.DefaultPostgreSQLOffsetsAdapter{}
	for _, q := range append(append(tables.SchemaInitializingQueries(topic), offsets.SchemaInitializingQueries(topic)...),
		offsets.BeforeSubscribingQueries(topic, group)...) {
		if _, err := pool.Exec(ctx, q.Query, q.Args...); err != nil {
			return named, err
		}
	}
	publisher, err := wsql.NewPublisher(db, wsql.PublisherConfig{SchemaAdapter: tables}, nil)
	if err != nil {
		return named, err
	}
	s := r.polling(named.name, func(context.Context) (member, error) {
		return member{ask: func() error { return publisher.Publish(topic, message.NewMessage(newID(), payload)) }}, nil
	}, func(ctx context.Context) (ids []string, err error) {
		tx, err := db.BeginTx(ctx, nil)
		if err != nil {
			return nil, err
		}
		if ids, err = consume(ctx, tx, tables, offsets, topic, group); err != nil {
			return nil, errors.Join(err, tx.Rollback())
		}
		return ids, tx.Commit()
	})
	s.close = named.close
	return s, nil
}

// consume reads a page as watermill's subscriber does and moves its place.
func consume(ctx context.Context, tx *sql.Tx, tables wsql.SchemaAdapter, offsets wsql.OffsetsAdapter, topic, group string) (ids []string, err error) {
	q := tables.SelectQuery(topic, group, offsets)
	rows, err := tx.QueryContext(ctx, q.Query, q.Args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close() //nolint:errcheck // rows.Err tells
	var last wsql.Row
	for rows.Next() {
		if last, err = tables.UnmarshalMessage(rows); err != nil {
			return nil, err
		}
		ids = append(ids, string(last.UUID))
	}
	if err := rows.Err(); err != nil || len(ids) == 0 {
		return nil, err
	}
	acked := offsets.AckMessageQuery(topic, last, group)
	_, err = tx.ExecContext(ctx, acked.Query, acked.Args...)
	return ids, err
}

// messageDB is Eventide's Message DB, installed by its own script.
func (r *rig) messageDB(ctx context.Context, packages string) (eventStore, error) {
	const database = "message_store"
	named := eventStore{name: "message-db"}
	script := filepath.Join(packages, "node_modules/@eventide/message-db/database/install.sh")
	bash, err := exec.LookPath("bash")
	if _, missing := os.Stat(script); packages == "" || missing != nil || err != nil {
		return named, &absentError{"npm has not brought @eventide/message-db, or there is no bash"}
	}
	if err := r.run(ctx, bash, io.Discard, "-c", `PATH="$1:$PATH" exec bash "$2"`, "bash", r.postgres.BinDir(), script); err != nil {
		return named, err
	}
	payload, err := r.site.payload()
	if err != nil {
		return named, err
	}
	dsn := r.postgres.DSN(database) + "&search_path=message_store,public"
	reader, err := eventstore.Pool(ctx, dsn, 1)
	if err != nil {
		return named, err
	}
	after := int64(0)
	s := r.polling(named.name, func(ctx context.Context) (member, error) {
		conn, err := pgx.Connect(ctx, dsn)
		if err != nil {
			return member{}, err
		}
		return member{leave: func() error { return conn.Close(context.WithoutCancel(ctx)) }, ask: func() error {
			_, err := conn.Exec(ctx, `SELECT write_message($1, $2, 'request.submitted', $3::jsonb)`, newID(), domain.RequestStream(newID()), string(payload))
			return err
		}}, nil
	}, func(ctx context.Context) ([]string, error) {
		return nextPage(ctx, reader, &after, `SELECT id, global_position FROM get_category_messages('request', $1 + 1, $2)`, polled)
	})
	s.close = func() error { reader.Close(); return nil }
	return s, nil
}

// run runs a program that finds PostgreSQL by the environment.
func (r *rig) run(ctx context.Context, program string, out io.Writer, args ...string) error {
	cmd := exec.CommandContext(ctx, program, args...) // #nosec G204 G702 -- what was installed for this
	cmd.Env = append(cmd.Environ(), "PGHOST="+r.postgres.SocketDir(), "PGPORT=5432", "PGUSER=postgres")
	var said strings.Builder
	cmd.Stdout, cmd.Stderr = out, &said
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("%s: %w: %.500s", program, err, said.String())
	}
	return nil
}
