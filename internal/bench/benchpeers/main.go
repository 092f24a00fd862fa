// Command benchpeers measures other event stores beside this one and prints
// what they reached: a table to standard error, JSON to standard output.
package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
	"text/tabwriter"

	"sallyport/internal/bench"
)

func main() {
	ctx, cancel := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer cancel()
	if err := run(ctx, os.Stdout, os.Stderr); err != nil {
		fmt.Fprintln(os.Stderr, "benchpeers:", err)
		os.Exit(1) //nolint:gocritic // nothing is left to cancel
	}
}

func run(ctx context.Context, out, table io.Writer) error {
	packages := flag.String("packages", "", "the folder into which npm has installed the stores that come by it")
	quick := flag.Bool("quick", false, "three short pairs a store")
	flag.Parse()
	c := bench.Config{Quick: *quick, Say: func(format string, args ...any) { fmt.Fprintf(table, format+"\n", args...) }}
	compared, err := bench.ComparePeers(ctx, c, *packages)
	if err != nil {
		return err
	}
	if err := show(table, compared); err != nil {
		return err
	}
	return json.NewEncoder(out).Encode(compared)
}

func show(w io.Writer, c bench.Comparison) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, f := range c.Figures {
		fmt.Fprintf(t, "\n%s: %.0f a second, %.2f of %s\n\n", f.Name, f.Value, f.Ratio, f.LimitName)
	}
	fmt.Fprintln(t, "STORE\tAPPENDS/S\tOURS/S BESIDE IT\tOURS IS\tWRITTEN\tMISSED BY A POLLING READER\tGIVEN TWICE")
	for _, p := range c.Peers {
		if p.Absent != "" {
			fmt.Fprintf(t, "%s\tnot measured: %s\n", p.Name, p.Absent)
			continue
		}
		fmt.Fprintf(t, "%s\t%.0f\t%.0f\t%.1f x\t%d\t%d\t%d\n", p.Name, p.Rate, p.Ours, p.Ratio, p.Written, p.Missed, p.Doubled)
	}
	return t.Flush()
}
