// Command regenerate makes internal/dataset/airports.csv.gz from the airports.csv of the PyPI package
// airportsdata. It reads the source from standard input and writes the result to standard output; the same
// source and the same Go version give the same bytes.
//
//	pip download --no-deps airportsdata==20260905
//	unzip -p airportsdata-20260905-py3-none-any.whl airportsdata/airports.csv |
//	    go run ./internal/dataset/regenerate > internal/dataset/airports.csv.gz
package main

import (
	"compress/gzip"
	"encoding/csv"
	"fmt"
	"io"
	"math"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

func main() {
	if err := run(os.Stdin, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "regenerate:", err)
		os.Exit(1)
	}
}

func run(in io.Reader, out io.Writer) error {
	source, err := csv.NewReader(in).ReadAll()
	if err != nil {
		return fmt.Errorf("read the source csv on standard input: %w", err)
	}
	rows, err := reduce(source)
	if err != nil {
		return err
	}
	packed, err := gzip.NewWriterLevel(out, gzip.BestCompression)
	if err != nil {
		return err
	}
	table := csv.NewWriter(packed)
	if err := table.WriteAll(rows); err != nil {
		return fmt.Errorf("write the csv: %w", err)
	}
	return packed.Close()
}

// reduce keeps the airports that have an IATA code, orders them by it, empties the ICAO codes that the source invents
// (they begin with an underscore), and rounds elevations to whole feet.
func reduce(source [][]string) ([][]string, error) {
	expected := []string{"icao", "iata", "name", "city", "subd", "country", "elevation", "lat", "lon", "tz", "lid"}
	if len(source) == 0 || !slices.Equal(source[0], expected) {
		return nil, fmt.Errorf("the source does not begin with the header %v: is it airportsdata's airports.csv?", expected)
	}
	iata := regexp.MustCompile(`^[A-Z]{3}$`)
	var rows [][]string
	for i, line := range source {
		if i == 0 || !iata.MatchString(line[1]) {
			continue
		}
		elevation, err := strconv.ParseFloat(line[6], 64)
		if err != nil {
			return nil, fmt.Errorf("source line %d: elevation: %w", i+1, err)
		}
		feet := strconv.Itoa(int(math.Round(elevation)))
		icao := line[0]
		if strings.HasPrefix(icao, "_") {
			icao = ""
		}
		rows = append(rows, []string{line[1], icao, line[2], line[3], line[4], line[5], feet, line[7], line[8], line[9]})
	}
	slices.SortFunc(rows, func(a, b []string) int { return strings.Compare(a[0], b[0]) })
	header := []string{"iata", "icao", "name", "city", "subdivision", "country", "elevation_ft", "lat", "lon", "tz"}
	return append([][]string{header}, rows...), nil
}
