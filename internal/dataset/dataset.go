// Package dataset holds real public data for the demo: the airports of the world that have an IATA code,
// request types that ask about them, and the right answer to every such request computed without a database.
//
//	airports.csv.gz ──► Airports() ──────────────► RequestType.Answer(params) ──┐
//	   (embedded)           │                                                   ├─ must be equal
//	                        └─► Load() ─► table airports ─► RequestType.Statement ┘
//
// The two ways share nothing but the embedded file, so a demo that compares them proves what came back across the
// gap. The data is airportsdata 20260905 by Mike Borsetti (MIT licence, see NOTICE); the command in the folder
// regenerate shows how the file was made from it.
package dataset

import (
	"bytes"
	"compress/gzip"
	_ "embed"
	"encoding/csv"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// MinAirports is the least number of records that Airports returns; fewer means a damaged build.
const MinAirports = 5000

//go:embed airports.csv.gz
var packed []byte

// Airport is one record. The types are those that PostgreSQL's driver gives for the table's columns, so that
// rows can be compared as they are.
type Airport struct {
	IATA        string // three letters A-Z, unique
	ICAO        string // four characters A-Z, 0-9; empty where there is none
	Name        string
	City        string // may be empty
	Subdivision string // state, province or region; may be empty
	Country     string // ISO 3166-1 alpha-2
	ElevationFt int32  // feet above mean sea level; 0 also where the source does not know it
	Lat, Lon    float64
	TZ          string // IANA time zone name
}

// Airports reads the embedded file: every record checked, ordered by IATA code, at least MinAirports of them. Each call
// parses anew (some milliseconds) and returns a slice of the caller's own. An error means that the
// program was built from a damaged file.
func Airports() ([]Airport, error) {
	unpacked, err := gzip.NewReader(bytes.NewReader(packed))
	if err != nil {
		return nil, fmt.Errorf("embedded dataset: %w", err)
	}
	lines, err := csv.NewReader(unpacked).ReadAll()
	if err != nil {
		return nil, fmt.Errorf("embedded dataset: %w", err)
	}
	if len(lines)-1 < MinAirports {
		return nil, fmt.Errorf("embedded dataset: %d records, expected at least %d: build the program again", len(lines)-1, MinAirports)
	}
	return parse(lines)
}

func parse(lines [][]string) ([]Airport, error) {
	if !slices.Equal(lines[0], columns()) {
		return nil, fmt.Errorf("embedded dataset: header is %v, expected %v", lines[0], columns())
	}
	check := codes{
		iata:    regexp.MustCompile(`^[A-Z]{3}$`),
		icao:    regexp.MustCompile(`^([A-Z0-9]{4})?$`),
		country: regexp.MustCompile(`^[A-Z]{2}$`),
	}
	airports := make([]Airport, 0, len(lines)-1)
	before := ""
	for i, line := range lines[1:] {
		airport, err := check.airport(line)
		if err != nil {
			return nil, fmt.Errorf("embedded dataset: line %d: %w", i+2, err)
		}
		if airport.IATA <= before {
			return nil, fmt.Errorf("embedded dataset: line %d: %s does not come after %s", i+2, airport.IATA, before)
		}
		before = airport.IATA
		airports = append(airports, airport)
	}
	return airports, nil
}

// codes are the forms of the coded columns.
type codes struct{ iata, icao, country *regexp.Regexp }

func (c codes) airport(line []string) (Airport, error) {
	elevation, err := strconv.ParseInt(line[6], 10, 32)
	if err != nil {
		return Airport{}, fmt.Errorf("elevation: %w", err)
	}
	lat, err := degrees(line[7], 90)
	if err != nil {
		return Airport{}, fmt.Errorf("latitude: %w", err)
	}
	lon, err := degrees(line[8], 180)
	if err != nil {
		return Airport{}, fmt.Errorf("longitude: %w", err)
	}
	switch {
	case !c.iata.MatchString(line[0]):
		return Airport{}, fmt.Errorf("iata %q is not three letters", line[0])
	case !c.icao.MatchString(line[1]):
		return Airport{}, fmt.Errorf("icao %q is not four letters or digits", line[1])
	case !c.country.MatchString(line[5]):
		return Airport{}, fmt.Errorf("country %q is not two letters", line[5])
	case line[2] == "" || !strings.Contains(line[9], "/"):
		return Airport{}, fmt.Errorf("%s has no name or no time zone", line[0])
	}
	return Airport{
		IATA: line[0], ICAO: line[1], Name: line[2], City: line[3], Subdivision: line[4], Country: line[5],
		ElevationFt: int32(elevation), Lat: lat, Lon: lon, TZ: line[9],
	}, nil
}

// degrees refuses what is not a number between -limit and limit; NaN fails the comparison too.
func degrees(text string, limit float64) (float64, error) {
	value, err := strconv.ParseFloat(text, 64)
	if err != nil {
		return 0, err
	}
	if !(value >= -limit && value <= limit) {
		return 0, fmt.Errorf("%s is not within ±%v", text, limit)
	}
	return value, nil
}

// columns are the columns of the file and of the table, in order.
func columns() []string {
	return []string{"iata", "icao", "name", "city", "subdivision", "country", "elevation_ft", "lat", "lon", "tz"}
}

// row is the airport in the order of columns.
func (a Airport) row() []any {
	return []any{a.IATA, a.ICAO, a.Name, a.City, a.Subdivision, a.Country, a.ElevationFt, a.Lat, a.Lon, a.TZ}
}
