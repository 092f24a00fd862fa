package dataset

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"
	"github.com/santhosh-tekuri/jsonschema/v6"
)

func TestParametersSchemas(t *testing.T) {
	t.Parallel()
	refused := map[string][]string{
		"airport": {`{}`, `{"iata":"fra"}`, `{"iata":"FRAX"}`, `{"iata":"FRA\n"}`, `{"iata":7}`, `{"iata":"FRA","x":1}`, `[]`},
		"airports-in-country": {
			`{}`, `{"country":"DEU"}`, `{"country":"DE","min_elevation_ft":"5"}`, `{"country":"DE","min_elevation_ft":null}`,
			`{"country":"DE","min_elevation_ft":30001}`, `{"country":"DE","min_elevation_ft":1.5}`,
		},
		"airports-in-box": {
			`{"south":1,"north":2,"west":3}`, `{"south":-91,"north":2,"west":3,"east":4}`, `{"south":1,"north":2,"west":3,"east":180.1}`,
		},
		"highest-airports": {`{}`, `{"n":0}`, `{"n":101}`, `{"n":"5"}`, `{"n":5,"country":"pe"}`},
	}
	for _, kind := range RequestTypes() {
		schema, examples := compile(t, kind)
		if len(examples) == 0 {
			t.Errorf("%s: the schema has no examples", kind.Name)
		}
		for _, example := range examples {
			if err := schema.Validate(example); err != nil {
				t.Errorf("%s: example %v: %v", kind.Name, example, err)
			}
		}
		if len(refused[kind.Name]) == 0 {
			t.Errorf("%s: no parameters to refuse are listed", kind.Name)
		}
		for _, params := range refused[kind.Name] {
			if schema.Validate(unmarshal(t, params)) == nil {
				t.Errorf("%s: parameters %s were accepted", kind.Name, params)
			}
		}
	}
}

// TestStatementsAnswerAsGoDoes runs some hundred parameter sets of each type on PostgreSQL, through the login that
// responders use, and wants the rows that Go computes from the embedded file.
func TestStatementsAnswerAsGoDoes(t *testing.T) {
	t.Parallel()
	conn := connectAsReader(t, loaded(t))
	airports, err := Airports()
	if err != nil {
		t.Fatal(err)
	}
	asked := parameterSets(airports)
	for _, kind := range RequestTypes() {
		schema, examples := compile(t, kind)
		if len(asked[kind.Name]) < 100 {
			t.Errorf("%s: only %d parameter sets", kind.Name, len(asked[kind.Name]))
		}
		for _, example := range examples {
			asked[kind.Name] = append(asked[kind.Name], marshal(t, example))
		}
		found := 0
		for _, params := range asked[kind.Name] {
			if err := schema.Validate(unmarshal(t, params)); err != nil {
				t.Fatalf("%s: %s: %v", kind.Name, params, err)
			}
			found += compare(t, conn, kind, airports, params)
		}
		if found == 0 || found == len(asked[kind.Name]) && kind.Name != "highest-airports" {
			t.Errorf("%s: %d of %d found something, expected some and not all", kind.Name, found, len(asked[kind.Name]))
		}
	}
}

// compare returns 1 when the answer has rows.
func compare(t *testing.T, conn *pgx.Conn, kind RequestType, airports []Airport, params string) int {
	t.Helper()
	columns, rows := query(t, conn, kind.Statement, params)
	want, err := kind.Answer(airports, json.RawMessage(params))
	if err != nil {
		t.Fatalf("%s %s: %v", kind.Name, params, err)
	}
	if diff := cmp.Diff(kind.Columns, columns); diff != "" {
		t.Fatalf("%s: columns (-Go +SQL):\n%s", kind.Name, diff)
	}
	if !slices.EqualFunc(want, rows, slices.Equal) {
		t.Fatalf("%s %s: rows (-Go +SQL):\n%s", kind.Name, params, cmp.Diff(want, rows))
	}
	return min(1, len(rows))
}

func TestAnswerRefusesUnknownMembers(t *testing.T) {
	t.Parallel()
	for _, kind := range RequestTypes() {
		if rows, err := kind.Answer(nil, json.RawMessage(`{"nonsense":1}`)); err == nil {
			t.Errorf("%s: answered %v", kind.Name, rows)
		}
	}
}

func query(t *testing.T, conn *pgx.Conn, statement, params string) ([]string, [][]any) {
	t.Helper()
	args, isObject := unmarshal(t, params).(map[string]any)
	if !isObject {
		t.Fatalf("%s is not an object", params)
	}
	for name, value := range args {
		if number, isNumber := value.(json.Number); isNumber {
			args[name], _ = number.Float64()
		}
	}
	result, err := conn.Query(context.Background(), statement, pgx.NamedArgs(args))
	if err != nil {
		t.Fatalf("%s: %v", params, err)
	}
	var rows [][]any
	for result.Next() {
		row, err := result.Values()
		if err != nil {
			t.Fatalf("%s: %v", params, err)
		}
		rows = append(rows, row)
	}
	if err := result.Err(); err != nil {
		t.Fatalf("%s: %v", params, err)
	}
	var columns []string
	for _, field := range result.FieldDescriptions() {
		columns = append(columns, field.Name)
	}
	return columns, rows
}

// parameterSets are the same in each run: the seed is fixed.
func parameterSets(airports []Airport) map[string][]string {
	random := rand.New(rand.NewPCG(1, 2))
	pick := func() Airport { return airports[random.IntN(len(airports))] }
	sets := map[string][]string{
		"airport":             {`{"iata":"QQQ"}`, `{"iata":"AAA"}`, `{"iata":"ZZZ"}`},
		"airports-in-country": {`{"country":"ZZ"}`, `{"country":"US"}`, `{"country":"CH","min_elevation_ft":1.5e3}`},
		"highest-airports":    {`{"n":100}`, `{"n":1,"country":"ZZ"}`, `{"n":7.0}`},
		"airports-in-box": {
			`{"south":-90,"north":90,"west":-180,"east":180}`, `{"south":5,"north":4,"west":1,"east":2}`,
			`{"south":0,"north":0,"west":0,"east":0}`, `{"south":-90,"north":90,"west":180,"east":-180}`,
		},
	}
	add := func(name, format string, args ...any) { sets[name] = append(sets[name], fmt.Sprintf(format, args...)) }
	add("airports-in-box", `{"south":-30,"north":10,"west":170.5,"east":-150}`)
	for n := 10; n < 100; n += 10 {
		add("highest-airports", `{"n":%d}`, n)
	}
	for range 100 {
		a, b := pick(), pick()
		add("airport", `{"iata":%q}`, a.IATA)
		add("airport", `{"iata":"%c%c%c"}`, 'A'+random.IntN(26), 'A'+random.IntN(26), 'A'+random.IntN(26))
		add("airports-in-country", `{"country":%q}`, a.Country)
		add("airports-in-country", `{"country":%q,"min_elevation_ft":%d}`, a.Country, b.ElevationFt)
		add("airports-in-country", `{"country":%q,"min_elevation_ft":%d}`, a.Country, a.ElevationFt)
		add("highest-airports", `{"country":%q,"n":%d}`, a.Country, 1+random.IntN(100))
		// Edges that lie exactly on an airport, and areas across the 180th meridian.
		north, east := min(90, a.Lat+float64(random.IntN(8))), a.Lon+float64(random.IntN(30))
		if east > 180 {
			east -= 360
		}
		add("airports-in-box", `{"south":%v,"north":%v,"west":%v,"east":%v}`, a.Lat, north, a.Lon, east)
	}
	return sets
}

func compile(t *testing.T, kind RequestType) (*jsonschema.Schema, []any) {
	t.Helper()
	document := unmarshal(t, string(kind.Parameters))
	compiler := jsonschema.NewCompiler()
	if err := compiler.AddResource("parameters.json", document); err != nil {
		t.Fatalf("%s: %v", kind.Name, err)
	}
	schema, err := compiler.Compile("parameters.json")
	if err != nil {
		t.Fatalf("%s: %v", kind.Name, err)
	}
	if schema.DraftVersion != 2020 {
		t.Errorf("%s: the schema is of draft %d", kind.Name, schema.DraftVersion)
	}
	return schema, schema.Examples
}

func unmarshal(t *testing.T, text string) any {
	t.Helper()
	value, err := jsonschema.UnmarshalJSON(strings.NewReader(text))
	if err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	return value
}

func marshal(t *testing.T, value any) string {
	t.Helper()
	var out bytes.Buffer
	if err := json.NewEncoder(&out).Encode(value); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

func TestNamesAreUnique(t *testing.T) {
	t.Parallel()
	var names []string
	for _, kind := range RequestTypes() {
		if slices.Contains(names, kind.Name) || kind.Title == "" || kind.Description == "" || kind.MaxResults < 1 {
			t.Errorf("%+v is a double or incomplete", kind)
		}
		names = append(names, kind.Name)
	}
}
