package sqlresponder_test

import (
	"encoding/json"
	"testing"

	"github.com/jackc/pgx/v5"

	"sallyport/responders"
	"sallyport/responders/responderstest"
	"sallyport/responders/sqlresponder"
)

func TestContract(t *testing.T) {
	t.Parallel()
	reader, owner := responderstest.Source(t, ddl+`;
		DO $$ BEGIN CREATE ROLE sallyport_test_full LOGIN CONNECTION LIMIT 0;
		EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL; END $$`)
	r := open(t, sqlresponder.Config{URLs: map[string]string{
		"items": reader,
		"full":  responderstest.As(t, owner, "sallyport_test_full"),
		"away":  "postgres://someone:hunter2@127.0.0.1:1/nowhere?sslmode=disable",
	}})
	responderstest.Run(t, responderstest.Harness{
		Responder: r,
		Many:      question(`SELECT n, 'row ' || n AS name FROM generate_series(1, 20) n ORDER BY n DESC`, `{}`), Rows: 20,
		Slow:      responders.Question{Config: config(`SELECT pg_sleep(20)`)},
		Failures:  failures(),
		Secrets:   []string{"hunter2"},
		Internals: []string{"SELECT", "127.0.0.1", "someone", "nowhere", "SQLSTATE", responderstest.Reader},
		State:     func(t *testing.T) string { return contents(t, owner) },
	})
}

func failures() map[string]responderstest.Failing {
	fails := func(code, statement, params string) responderstest.Failing {
		return responderstest.Failing{Code: code, Question: responders.Question{Config: config(statement), Params: json.RawMessage(params)}}
	}
	away := func(source, statement string) responderstest.Failing {
		f := fails("source_unavailable", statement, `{}`)
		f.Question.Config.Source, f.Retryable = source, true
		return f
	}
	return map[string]responderstest.Failing{
		"writes":               fails("bad_statement", `DELETE FROM item RETURNING id`, `{}`),
		"writes in a WITH":     fails("bad_statement", `WITH x AS (DELETE FROM item RETURNING id) SELECT id FROM x`, `{}`),
		"writes in secret":     fails("not_permitted", `SELECT sneak()`, `{}`),
		"two statements":       fails("bad_statement", `SELECT 1) r; SELECT (1`, `{}`),
		"may not read":         fails("not_permitted", `SELECT word FROM secret`, `{}`),
		"no such table":        fails("bad_statement", `SELECT hunter2 FROM nowhere`, `{}`),
		"not a number":         fails("bad_parameter", `SELECT @v::int`, `{"v":"hunter2"}`),
		"a zero byte":          fails("bad_parameter", `SELECT @v::text`, `{"v":"\u0000"}`),
		"divides by zero":      fails("bad_parameter", `SELECT 1 / @v::int`, `{"v":0}`),
		"raises an exception":  fails("statement_failed", `SELECT fail('P0001')`, `{}`),
		"serialization":        away("items", `SELECT fail('40001')`),
		"shutting down":        away("items", `SELECT fail('57P01')`),
		"connection lost":      away("items", `SELECT pg_terminate_backend(pg_backend_pid())`),
		"too many connections": away("full", `SELECT 1`),
		"source is away":       away("away", `SELECT 1`),
	}
}

// contents is all that the source's tables hold.
func contents(t *testing.T, owner string) string {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), owner)
	if err != nil {
		t.Fatal(err)
	}
	var all string
	err = conn.QueryRow(t.Context(), `SELECT (SELECT jsonb_agg(i ORDER BY i.id) FROM item i)::text || (SELECT count(*) FROM secret)`).Scan(&all)
	if err != nil {
		t.Fatal(err)
	}
	if err := conn.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	return all
}
