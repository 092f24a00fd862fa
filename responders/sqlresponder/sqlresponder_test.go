package sqlresponder_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"sallyport/domain"
	"sallyport/responders"
	"sallyport/responders/responderstest"
	"sallyport/responders/sqlresponder"
)

const ddl = `
	CREATE TABLE item (id int PRIMARY KEY, name text, price numeric, ratio float8, at timestamptz, doc json, ok boolean, big int8);
	INSERT INTO item VALUES
		(1, 'plain', 1.50, 0.1, '2026-01-02 03:04:05.000006+02', '{"b": 1, "a": [1, 2]}', true, 9223372036854775807),
		(2, E'quo"te \\ \u00e9', NULL, 'NaN', NULL, NULL, false, -1),
		(3, 'last', 100000000000000000000.000000000000000001, 1e300, NULL, NULL, NULL, 0);
	CREATE TABLE secret (word text);
	CREATE FUNCTION sneak() RETURNS int LANGUAGE sql SECURITY DEFINER AS $$ INSERT INTO secret VALUES ('in') RETURNING 1 $$;
	CREATE FUNCTION fail(state text) RETURNS int LANGUAGE plpgsql AS
		$$ BEGIN RAISE EXCEPTION 'the word is hunter2' USING ERRCODE = state; END $$;
	GRANT SELECT ON item TO ` + responderstest.Reader

func config(statement string) domain.ResponderConfigured {
	return domain.ResponderConfigured{Kind: domain.ResponderSQL, Source: "items", Statement: statement, TimeoutMS: 5000}
}

func question(statement, params string) responders.Question {
	return responders.Question{Params: json.RawMessage(params), Config: config(statement), MaxResults: 100, MaxBytes: 1 << 20}
}

func setup(t *testing.T) *sqlresponder.Responder {
	t.Helper()
	reader, _ := responderstest.Source(t, ddl)
	return open(t, sqlresponder.Config{URLs: map[string]string{"items": reader}})
}

func open(t *testing.T, c sqlresponder.Config) *sqlresponder.Responder {
	t.Helper()
	c.Logger = slog.New(slog.DiscardHandler)
	r, err := sqlresponder.Open(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(r.Close)
	return r
}

func TestAnswersExactly(t *testing.T) {
	t.Parallel()
	r := setup(t)
	for name, c := range map[string]struct{ statement, params, want string }{
		"every kind of value": {`SELECT * FROM item WHERE id = @id::int`, `{"id":1}`,
			`[{"id":1,"name":"plain","price":1.50,"ratio":0.1,"at":"2026-01-02T01:04:05.000006+00:00","doc":{"b": 1, "a": [1, 2]},"ok":true,"big":9223372036854775807}]`},
		"escapes, null, NaN": {`SELECT name, price, ratio, ok FROM item WHERE id = 2`, `{}`,
			`[{"name":"quo\"te \\ é","price":null,"ratio":"NaN","ok":false}]`},
		"numeric keeps its digits": {`SELECT price, ratio FROM item WHERE id = 3`, `{}`,
			`[{"price":100000000000000000000.000000000000000001,"ratio":1e+300}]`},
		"nothing found":               {`SELECT id FROM item WHERE id = @id::int`, `{"id":7}`, `[]`},
		"an absent parameter is null": {`SELECT count(*) AS n FROM item WHERE @id::int IS NULL OR id = @id::int`, `{}`, `[{"n":3}]`},
		"a null parameter is null":    {`SELECT @id::int AS id`, `{"id":null}`, `[{"id":null}]`},
		"an unnamed parameter":        {`SELECT 1 AS one`, `{"other":"'; DROP TABLE item"}`, `[{"one":1}]`},
		"JSON's other integers":       {`SELECT @a::int AS a, @b::bigint AS b`, `{"a":5.0,"b":1.2e3}`, `[{"a":5,"b":1200}]`},
		"beyond a float's integers":   {`SELECT @a::bigint AS a`, `{"a":9007199254740993}`, `[{"a":9007199254740993}]`},
		"a fraction":                  {`SELECT @a::numeric AS a, @b::float8 AS b`, `{"a":0.1000,"b":-2.5e-3}`, `[{"a":0.1000,"b":-0.0025}]`},
		"a list":                      {`SELECT id FROM item WHERE id = ANY(@ids::int[]) ORDER BY id DESC`, `{"ids":[1,3]}`, `[{"id":3},{"id":1}]`},
		"a nested value":              {`SELECT @o::jsonb #>> '{a,0}' AS v`, `{"o":{"a":["<x>"]}}`, `[{"v":"<x>"}]`},
		"an injection stays a value":  {`SELECT @v::text AS v`, `{"v":"'); DROP TABLE item; --"}`, `[{"v":"'); DROP TABLE item; --"}]`},
		"a comment and a semicolon":   {"SELECT 1 AS a -- the end;\n;", `{}`, `[{"a":1}]`},
		"its own WITH":                {`WITH x AS (SELECT 2 AS a) SELECT a FROM x`, `{}`, `[{"a":2}]`},
		"an @ in a text":              {`SELECT 'me@example.org' AS mail`, `{}`, `[{"mail":"me@example.org"}]`},
	} {
		t.Run(name, func(t *testing.T) {
			a, err := r.Respond(t.Context(), question(c.statement, c.params))
			if err != nil {
				t.Fatal(err, errors.Unwrap(err))
			}
			if string(a.Result) != c.want {
				t.Errorf("got  %s\nwant %s", a.Result, c.want)
			}
			if a.Truncated || a.ContentType != "application/json" {
				t.Errorf("truncated %t, content type %q", a.Truncated, a.ContentType)
			}
		})
	}
}

// What has no room for a row, and what would fill none, is not read to its end.
func TestWhatHasNoRoomIsNotRead(t *testing.T) {
	t.Parallel()
	r := setup(t)
	for name, c := range map[string]struct {
		statement string
		count     int
	}{
		"rows without end":  {`SELECT n, repeat('x', 1000000) AS x, CASE WHEN n > 900 THEN pg_sleep(20)::text END AS y FROM generate_series(1, 1000) n`, 15},
		"a row without end": {`SELECT n, CASE WHEN n = 3 THEN repeat('x', 100000000) END AS x FROM generate_series(1, 1000) n`, 2},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			q := question(c.statement, `{}`)
			q.MaxResults, q.MaxBytes = 1000, 15<<20
			a, err := r.Respond(t.Context(), q)
			if err != nil || a.Count != c.count || !a.Truncated {
				t.Errorf("%d rows, truncated %t, %v; want %d", a.Count, a.Truncated, err, c.count)
			}
			if a, err = r.Respond(t.Context(), question(`SELECT 1 AS n`, `{}`)); err != nil || a.Count != 1 {
				t.Errorf("the next question: %d rows, %v", a.Count, err)
			}
		})
	}
}

func TestLimitsCutTheResult(t *testing.T) {
	t.Parallel()
	r := setup(t)
	for name, c := range map[string]struct {
		rows, bytes, count int
		truncated          bool
	}{
		"one more than there are": {rows: 11, bytes: 1 << 20, count: 10},
		"as many as there are":    {rows: 10, bytes: 1 << 20, count: 10},
		"one less":                {rows: 9, bytes: 1 << 20, count: 9, truncated: true},
		"bytes for all":           {rows: 100, bytes: 10*len(`{"n":"x0"},`) + 1, count: 10},
		"a byte too few":          {rows: 100, bytes: 10 * len(`{"n":"x0"},`), count: 9, truncated: true},
		"bytes for none":          {rows: 100, bytes: 2, truncated: true},
	} {
		t.Run(name, func(t *testing.T) {
			q := question(`SELECT 'x' || n AS n FROM generate_series(0, 9) n ORDER BY n DESC`, `{}`)
			q.MaxResults, q.MaxBytes = c.rows, c.bytes
			a, err := r.Respond(t.Context(), q)
			if err != nil {
				t.Fatal(err)
			}
			var rows []struct{ N string }
			if err := json.Unmarshal(a.Result, &rows); err != nil {
				t.Fatal(err)
			}
			if a.Count != c.count || len(rows) != c.count || a.Truncated != c.truncated || len(a.Result) > c.bytes {
				t.Fatalf("count %d, rows %d, %d bytes, truncated %t; want %+v", a.Count, len(rows), len(a.Result), a.Truncated, c)
			}
			for i, row := range rows {
				if want := fmt.Sprintf("x%d", 9-i); row.N != want {
					t.Errorf("row %d is %s, want %s: the order is lost", i, row.N, want)
				}
			}
		})
	}
}

func TestFailureKeepsTheConnection(t *testing.T) {
	t.Parallel()
	reader, _ := responderstest.Source(t, ddl)
	r := open(t, sqlresponder.Config{URLs: map[string]string{"items": reader}, MaxConns: 1})
	session := func() string {
		a, err := r.Respond(t.Context(), question(`SELECT pg_backend_pid() AS pid`, `{}`))
		if err != nil {
			t.Fatal(err)
		}
		return string(a.Result)
	}
	before := session()
	if _, err := r.Respond(t.Context(), question(`SELECT 1/0 AS x`, `{}`)); err == nil {
		t.Fatal("answered")
	}
	if after := session(); after != before {
		t.Errorf("a refused statement cost the connection: %s became %s", before, after)
	}
}

func TestSuperuserIsRefused(t *testing.T) {
	t.Parallel()
	_, owner := responderstest.Source(t, ddl)
	_, err := sqlresponder.Open(t.Context(), sqlresponder.Config{Logger: slog.New(slog.DiscardHandler),
		URLs: map[string]string{"items": owner}})
	if !errors.Is(err, sqlresponder.ErrSuperuser) {
		t.Errorf("got %v", err)
	}
}

func TestBadSourcesAreRefused(t *testing.T) {
	t.Parallel()
	for name, urls := range map[string]map[string]string{
		"name":   {"No Name": "postgres://"},
		"string": {"items": "postgres://u:hunter2@[::1/x"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := sqlresponder.Open(t.Context(), sqlresponder.Config{Logger: slog.New(slog.DiscardHandler), URLs: urls})
			if err == nil || strings.Contains(err.Error(), "hunter2") {
				t.Errorf("got %v", err)
			}
		})
	}
}

func TestCheckRefusesWhatCannotAnswer(t *testing.T) {
	t.Parallel()
	r := setup(t)
	for name, c := range map[string]struct {
		statement string
		names     []string
		want      string // part of the error; empty: accepted
	}{
		"good":              {`SELECT id, name FROM item WHERE id = @id::int ORDER BY id;`, []string{"id", "other"}, ""},
		"empty":             {` ; `, nil, "is empty"},
		"unknown parameter": {`SELECT @who::text AS w`, []string{"id"}, "parameter that the schema does not have"},
		"no such column":    {`SELECT nme FROM item`, nil, "42703"},
		"may not read":      {`SELECT word FROM secret`, nil, ""}, // rights are looked at when it runs
		"two statements":    {`SELECT 1 AS a; SELECT 2 AS b`, nil, "42601"},
		"brackets":          {`SELECT 1) r; SELECT (1`, nil, "42601"},
		"columns alike":     {`SELECT 1 AS a, 2 AS a`, nil, "two columns"},
		"no rows":           {`CREATE TABLE x ()`, nil, "returns no rows"},
		"writes":            {`DELETE FROM item RETURNING id`, nil, "42601"},
	} {
		t.Run(name, func(t *testing.T) {
			err := r.Check(t.Context(), config(c.statement), c.names)
			var wrong *sqlresponder.StatementError
			switch {
			case c.want == "" && err != nil:
				t.Error(err)
			case c.want != "" && (!errors.As(err, &wrong) || !strings.Contains(err.Error(), c.want)):
				t.Errorf("got %v, want %q", err, c.want)
			}
		})
	}
}

func TestTextsComeBackAsTheyWent(t *testing.T) {
	t.Parallel()
	r := setup(t)
	text := rapid.StringOf(rapid.Rune().Filter(func(c rune) bool { return c > 0 && c != '\uFFFD' }))
	rapid.Check(t, func(t *rapid.T) {
		want := struct {
			V string   `json:"v"`
			L []string `json:"l"`
		}{text.Draw(t, "text"), rapid.SliceOf(text).Draw(t, "list")}
		if want.L == nil {
			want.L = []string{}
		}
		params, err := json.Marshal(want)
		if err != nil {
			t.Fatal(err)
		}
		a, err := r.Respond(context.Background(), question(`SELECT @v::text AS v, @l::text[] AS l`, string(params)))
		if err != nil {
			t.Fatal(err)
		}
		var got []struct {
			V string
			L []string
		}
		if err := json.Unmarshal(a.Result, &got); err != nil {
			t.Fatal(err)
		}
		if got[0].V != want.V || fmt.Sprintf("%q", got[0].L) != fmt.Sprintf("%q", want.L) {
			t.Fatalf("got %q, want %q", got, want)
		}
	})
}
