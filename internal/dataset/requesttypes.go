package dataset

import "encoding/json"

// RequestType is what an administrator would define for a question about the airports, as plain data, together with the
// right answer. Params reach Statement as pgx.NamedArgs: the JSON object decoded into map[string]any with
// float64 numbers, a missing optional member as NULL.
type RequestType struct {
	Name        string
	Title       string
	Description string

	// Parameters is a JSON Schema, draft 2020-12, that admits nothing it does not name and has valid objects in "examples".
	Parameters json.RawMessage

	// Statement is one SELECT with parameters written @name, each cast to its type; its order is total.
	Statement string

	// MaxResults is the largest number of rows an answer carries; a longer one is cut there and marked as truncated.
	MaxResults int

	// Columns are the names of the answer's columns, in order.
	Columns []string

	// Answer computes from the airports (as Airports returns them) what Statement must return: the same rows, all of
	// them whatever MaxResults is, with the values of Columns as string, int32 and float64. Params must be
	// valid under Parameters; what cannot be decoded is an error.
	Answer func(airports []Airport, params json.RawMessage) ([][]any, error)
}

// RequestTypes are the questions of the demo.
func RequestTypes() []RequestType {
	return []RequestType{airport(), airportsInCountry(), airportsInBox(), highestAirports()}
}

func airport() RequestType {
	return RequestType{
		Name:        "airport",
		Title:       "One airport",
		Description: "Everything known about the airport with this IATA code.",
		Parameters: json.RawMessage(`{
  "$schema": "https://json-schema.org/draft/2020-12/schema",
  "type": "object",
  "additionalProperties": false,
  "required": ["iata"],
  "properties": {
    "iata": {"type": "string", "maxLength": 3, "pattern": "^[A-Z]{3}$", "description": "IATA code, three capital letters"}
  },
  "examples": [{"iata": "FRA"}]
}`),
		Statement: `select iata, icao, name, city, subdivision, country, elevation_ft, lat, lon, tz
from airports
where iata = @iata::text`,
		MaxResults: 1,
		Columns:    columns(),
		Answer:     answerAirport,
	}
}

func airportsInCountry() RequestType {
	return RequestType{
		Name:        "airports-in-country",
		Title:       "Airports of a country",
		Description: "The airports of a country, all or those at or above an elevation, by IATA code.",
		Parameters: json.RawMessage(`{
  "$schema": "https://json-schema.org/draft/2020-12/schema",
  "type": "object",
  "additionalProperties": false,
  "required": ["country"],
  "properties": {
    "country": {"type": "string", "maxLength": 2, "pattern": "^[A-Z]{2}$", "description": "ISO 3166-1 alpha-2 code"},
    "min_elevation_ft": {"type": "integer", "minimum": -2000, "maximum": 30000, "description": "feet above mean sea level"}
  },
  "examples": [{"country": "IS"}, {"country": "CH", "min_elevation_ft": 1500}]
}`),
		Statement: `select iata, name, city, elevation_ft, lat, lon
from airports
where country = @country::text
  and (@min_elevation_ft::integer is null or elevation_ft >= @min_elevation_ft::integer)
order by iata collate "C"`,
		MaxResults: 1000,
		Columns:    []string{"iata", "name", "city", "elevation_ft", "lat", "lon"},
		Answer:     answerAirportsInCountry,
	}
}

func airportsInBox() RequestType {
	return RequestType{
		Name:  "airports-in-box",
		Title: "Airports in an area",
		Description: "The airports between two parallels and two meridians, edges included, by IATA code. " +
			"A west edge greater than the east edge means an area across the 180th meridian.",
		Parameters: json.RawMessage(`{
  "$schema": "https://json-schema.org/draft/2020-12/schema",
  "type": "object",
  "additionalProperties": false,
  "required": ["south", "north", "west", "east"],
  "properties": {
    "south": {"type": "number", "minimum": -90, "maximum": 90, "description": "degrees"},
    "north": {"type": "number", "minimum": -90, "maximum": 90, "description": "degrees"},
    "west": {"type": "number", "minimum": -180, "maximum": 180, "description": "degrees"},
    "east": {"type": "number", "minimum": -180, "maximum": 180, "description": "degrees"}
  },
  "examples": [{"south": 47.2, "north": 55.1, "west": 5.8, "east": 15.1}, {"south": -22, "north": -12, "west": 175, "east": -170}]
}`),
		Statement: `select iata, name, country, lat, lon
from airports
where lat between @south::double precision and @north::double precision
  and case when @west::double precision <= @east::double precision
      then lon between @west::double precision and @east::double precision
      else lon >= @west::double precision or lon <= @east::double precision end
order by iata collate "C"`,
		MaxResults: 500,
		Columns:    []string{"iata", "name", "country", "lat", "lon"},
		Answer:     answerAirportsInBox,
	}
}

func highestAirports() RequestType {
	return RequestType{
		Name:        "highest-airports",
		Title:       "Highest airports",
		Description: "The n highest airports of a country or, without one, of the world; equal heights by IATA code.",
		Parameters: json.RawMessage(`{
  "$schema": "https://json-schema.org/draft/2020-12/schema",
  "type": "object",
  "additionalProperties": false,
  "required": ["n"],
  "properties": {
    "country": {"type": "string", "maxLength": 2, "pattern": "^[A-Z]{2}$", "description": "ISO 3166-1 alpha-2 code"},
    "n": {"type": "integer", "minimum": 1, "maximum": 100, "description": "how many"}
  },
  "examples": [{"country": "PE", "n": 5}, {"n": 10}]
}`),
		Statement: `select iata, name, country, elevation_ft
from airports
where (@country::text is null or country = @country::text)
order by elevation_ft desc, iata collate "C"
limit @n::integer`,
		MaxResults: 100,
		Columns:    []string{"iata", "name", "country", "elevation_ft"},
		Answer:     answerHighestAirports,
	}
}
