package main

import (
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"sallyport/internal/bench"
	"sallyport/internal/boot"
)

func (p *program) benchCommand() *cobra.Command {
	var c bench.Config
	cmd := &cobra.Command{
		Use: "bench [NAME...]", Short: "Measure how fast this program is on this machine",
		Long: `Measure the named figures, or all, each against a limit that is measured in turns
with it. The servers it needs are started for it, privately, and removed at the
end. Keep the machine free of other work meanwhile.`,
		RunE: func(cmd *cobra.Command, names []string) error { return p.bench(cmd, c, names) },
		Args: cobra.ArbitraryArgs,
	}
	cmd.Flags().BoolVar(&c.Quick, "quick", false, "a look, all of it in some five minutes: three short pairs a figure")
	cmd.Flags().IntVar(&c.Events, "to", 0, "how many events the long log has (default 1000000, with --quick 100000): 10000000 takes a quarter of an hour and 30 GB")
	cmd.Flags().StringVar(&c.Dir, "dir", "", "where the servers keep their files: the disk that is measured (default: the temporary folder)")
	cmd.AddCommand(&cobra.Command{
		Use: "list", Short: "Name the figures", Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			return p.print(bench.List(), func(w io.Writer) {
				for _, e := range bench.List() {
					fmt.Fprintf(w, "%s\t%s\n", e.Name, e.What)
				}
			})
		},
	})
	return cmd
}

func (p *program) bench(cmd *cobra.Command, c bench.Config, names []string) error {
	logger, err := boot.Log{Level: "warn", Format: "text"}.Logger(p.stderr)
	if err != nil {
		return err
	}
	c.Say, c.Logger = p.say, logger
	c.Program = ownFile()
	collectLess() // as serve does
	figures, err := bench.Run(cmd.Context(), c, names...)
	var unknown *bench.UnknownFigureError
	if errors.As(err, &unknown) {
		return &usageError{err}
	}
	if figures == nil {
		figures = []bench.Figure{}
	}
	return errors.Join(err, p.print(map[string]any{"figures": figures}, func(w io.Writer) { printFigures(w, figures) }))
}

func printFigures(w io.Writer, figures []bench.Figure) {
	fmt.Fprintln(w, "FIGURE\tVALUE\tLIMIT\tUNIT\tRATIO\tTARGET\tMET\tTHE LIMIT IS")
	for _, f := range figures {
		met, good := "no", "≥"
		switch {
		case f.Pairs == 0:
			met = "-"
		case f.Met():
			met = "yes"
		}
		if f.AtMost {
			good = "≤"
		}
		fmt.Fprintf(w, "%s\t%.0f\t%.0f\t%s\t%.2f\t%s %.2f\t%s\t%s\n", f.Name, f.Value, f.Limit, f.Unit, f.Ratio, good, f.Target, met, f.LimitName)
	}
}
