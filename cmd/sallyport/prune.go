package main

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"sallyport/bridge"
	"sallyport/internal/boot"
)

func (p *program) bundlePrune() *cobra.Command {
	var olderThan time.Duration
	var dryRun bool
	cmd := &cobra.Command{
		Use: "prune", Short: "Remove what is needed no more from the outbox and the archive", Args: cobra.NoArgs,
		Long: `Remove from the outbox what its receiver has, by its own word, and beacons that
something newer has overtaken, with their labels; and from the archive what was applied
longer ago than --older-than (by default bridge.keep, 7 days) and whose signed manifest
the database keeps. Receipts and the quarantine stay. A running site does this by
itself, at its start and once a day.`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			given := cmd.Flags().Changed("older-than")
			if given && olderThan < 0 {
				return &usageError{errors.New("--older-than must not be negative; nothing was removed")}
			}
			return p.withSite(cmd.Context(), func(s *boot.Site) error {
				if !given {
					olderThan = s.Bridge.Keep
				}
				out, err := s.Bridge.Prune(cmd.Context(), bridge.Prune{OlderThan: olderThan, DryRun: dryRun})
				return errors.Join(p.print(out, func(w io.Writer) { printPruned(w, out) }), err)
			})
		},
	}
	cmd.Flags().DurationVar(&olderThan, "older-than", 0, "how long ago something in the archive must have been applied (default: bridge.keep)")
	cmd.Flags().BoolVar(&dryRun, "dry-run", false, "say what would be removed; remove nothing")
	return cmd
}

func printPruned(w io.Writer, out bridge.Pruned) {
	did := "removed"
	if out.DryRun {
		did = "would be removed"
	}
	prunedRows(w, did, out.Removed)
	prunedRows(w, "stays", out.Kept)
	fmt.Fprintf(w, "%s %s, %s; %s\n", files(len(out.Removed)), did, size(out.Bytes), stays(len(out.Kept)))
}

func stays(n int) string {
	if n == 1 {
		return "1 file stays"
	}
	return fmt.Sprintf("%d files stay", n)
}

// prunedRows says each reason once, and below it the files that it is about.
func prunedRows(w io.Writer, did string, all []bridge.PrunedFile) {
	byWhy := map[string][]string{}
	for _, f := range all {
		byWhy[f.Why] = append(byWhy[f.Why], f.File)
	}
	for _, why := range slices.Sorted(maps.Keys(byWhy)) {
		fmt.Fprintf(w, "%s, because\n", did)
		for _, line := range wrapped(why+":", screenWidth-2) {
			fmt.Fprintf(w, "  %s\n", line)
		}
		fmt.Fprintf(w, "    %s\n", strings.Join(byWhy[why], "\n    "))
	}
}
