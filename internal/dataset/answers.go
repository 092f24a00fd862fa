package dataset

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
)

func answerAirport(airports []Airport, params json.RawMessage) ([][]any, error) {
	var asked struct {
		IATA string `json:"iata"`
	}
	if err := decode(params, &asked); err != nil {
		return nil, err
	}
	at, found := slices.BinarySearchFunc(airports, asked.IATA, func(a Airport, iata string) int {
		return cmp.Compare(a.IATA, iata)
	})
	if !found {
		return nil, nil
	}
	return [][]any{airports[at].row()}, nil
}

func answerAirportsInCountry(airports []Airport, params json.RawMessage) ([][]any, error) {
	var asked struct {
		Country      string   `json:"country"`
		MinElevation *float64 `json:"min_elevation_ft"`
	}
	if err := decode(params, &asked); err != nil {
		return nil, err
	}
	var rows [][]any
	for _, a := range airports {
		tooLow := asked.MinElevation != nil && float64(a.ElevationFt) < *asked.MinElevation
		if a.Country == asked.Country && !tooLow {
			rows = append(rows, []any{a.IATA, a.Name, a.City, a.ElevationFt, a.Lat, a.Lon})
		}
	}
	return rows, nil
}

func answerAirportsInBox(airports []Airport, params json.RawMessage) ([][]any, error) {
	var asked struct{ South, North, West, East float64 }
	if err := decode(params, &asked); err != nil {
		return nil, err
	}
	var rows [][]any
	for _, a := range airports {
		east, west := a.Lon <= asked.East, a.Lon >= asked.West
		between := east && west
		if asked.West > asked.East {
			between = east || west
		}
		if between && a.Lat >= asked.South && a.Lat <= asked.North {
			rows = append(rows, []any{a.IATA, a.Name, a.Country, a.Lat, a.Lon})
		}
	}
	return rows, nil
}

func answerHighestAirports(airports []Airport, params json.RawMessage) ([][]any, error) {
	var asked struct {
		Country *string `json:"country"`
		N       float64 `json:"n"`
	}
	if err := decode(params, &asked); err != nil {
		return nil, err
	}
	var chosen []Airport
	for _, a := range airports {
		if asked.Country == nil || a.Country == *asked.Country {
			chosen = append(chosen, a)
		}
	}
	slices.SortFunc(chosen, func(a, b Airport) int {
		return cmp.Or(cmp.Compare(b.ElevationFt, a.ElevationFt), cmp.Compare(a.IATA, b.IATA))
	})
	var rows [][]any
	for _, a := range chosen[:max(0, min(len(chosen), int(asked.N)))] {
		rows = append(rows, []any{a.IATA, a.Name, a.Country, a.ElevationFt})
	}
	return rows, nil
}

func decode(params json.RawMessage, into any) error {
	strict := json.NewDecoder(bytes.NewReader(params))
	strict.DisallowUnknownFields()
	if err := strict.Decode(into); err != nil {
		return fmt.Errorf("parameters: %w", err)
	}
	return nil
}
