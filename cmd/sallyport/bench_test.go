package main

import (
	"strings"
	"testing"

	"sallyport/internal/bench"
)

// A reader must see which way a figure should go, and whether it went there.
func TestPrintFigures(t *testing.T) {
	t.Parallel()
	var b strings.Builder
	printFigures(&b, []bench.Figure{
		{Name: "fast", Value: 20, Unit: "1/s", Limit: 10, LimitName: "a", Ratio: 2, Target: 1.5, Pairs: 5},
		{Name: "slow", Value: 10, Unit: "1/s", Limit: 10, LimitName: "b", Ratio: 1, Target: 1.5, Pairs: 5},
		{Name: "small", Value: 10, Unit: "B", Limit: 10, LimitName: "c", Ratio: 1, Target: 1.03, Pairs: 1, AtMost: true},
		{Name: "large", Value: 20, Unit: "B", Limit: 10, LimitName: "d", Ratio: 2, Target: 1.03, Pairs: 1, AtMost: true},
		{Name: "none", Unit: "B", LimitName: "not measured", Target: 1.03, AtMost: true},
	})
	want := "FIGURE\tVALUE\tLIMIT\tUNIT\tRATIO\tTARGET\tMET\tTHE LIMIT IS\n" +
		"fast\t20\t10\t1/s\t2.00\t≥ 1.50\tyes\ta\n" +
		"slow\t10\t10\t1/s\t1.00\t≥ 1.50\tno\tb\n" +
		"small\t10\t10\tB\t1.00\t≤ 1.03\tyes\tc\n" +
		"large\t20\t10\tB\t2.00\t≤ 1.03\tno\td\n" +
		"none\t0\t0\tB\t0.00\t≤ 1.03\t-\tnot measured\n"
	if b.String() != want {
		t.Errorf("got\n%swant\n%s", b.String(), want)
	}
}
