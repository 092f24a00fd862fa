package dataset

import (
	"errors"
	"slices"
	"strings"
	"testing"
)

func TestAirports(t *testing.T) {
	t.Parallel()
	airports, err := Airports()
	if err != nil {
		t.Fatal(err)
	}
	if len(airports) != 7884 {
		t.Errorf("%d airports, the embedded file holds 7884", len(airports))
	}
	at := slices.IndexFunc(airports, func(a Airport) bool { return a.IATA == "FRA" })
	want := Airport{
		IATA: "FRA", ICAO: "EDDF", Name: "Frankfurt am Main International Airport", City: "Frankfurt am Main",
		Subdivision: "Hesse", Country: "DE", ElevationFt: 364, Lat: 50.0264, Lon: 8.54313, TZ: "Europe/Berlin",
	}
	if at < 0 || airports[at] != want {
		t.Errorf("FRA is at %d, expected %+v", at, want)
	}
}

func TestParseRefuses(t *testing.T) {
	t.Parallel()
	good := []string{"FRA", "EDDF", "Frankfurt", "", "", "DE", "364", "50.0264", "8.54313", "Europe/Berlin"}
	if _, err := parse([][]string{columns(), good}); err != nil {
		t.Fatalf("a good record: %v", err)
	}
	for _, bad := range []struct {
		column int
		value  string
		says   string
	}{
		{0, "FR", "iata"}, {0, "_FRA", "iata"}, {0, "fra", "iata"}, {1, "EDD", "icao"}, {1, "_AYM", "icao"}, {2, "", "name"}, {5, "DEU", "country"},
		{6, "364.5", "elevation"}, {7, "90.1", "latitude"}, {7, "NaN", "latitude"}, {8, "-180.5", "longitude"}, {9, "", "time zone"},
	} {
		line := slices.Clone(good)
		line[bad.column] = bad.value
		_, err := parse([][]string{columns(), line})
		if err == nil || !strings.Contains(err.Error(), bad.says) || !strings.Contains(err.Error(), "line 2") {
			t.Errorf("column %d = %q: got %v, expected an error naming %q and line 2", bad.column, bad.value, err, bad.says)
		}
	}
	_, doubled := parse([][]string{columns(), good, good})
	_, headless := parse([][]string{good})
	if doubled == nil || headless == nil {
		t.Error(errors.Join(errors.New("a double or a file without header was accepted"), doubled, headless))
	}
}
