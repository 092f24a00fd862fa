package main

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"sallyport/bridge"
	"sallyport/internal/boot"
)

func (p *program) bundleResend() *cobra.Command {
	return &cobra.Command{
		Use: "resend PEER NUMBER...", Short: "Make bundles again: the same content under the same numbers", Args: cobra.MinimumNArgs(2),
		Long: `Make bundles again, by number or by range (3-7): the same content under the same
numbers and ids. What was lost is asked for and made again by itself; this is for who
does not want to wait. A copy that arrives twice changes nothing.`,
		RunE: func(cmd *cobra.Command, args []string) error {
			wanted, err := parseNumbers(args[1:])
			if err != nil {
				return &usageError{fmt.Errorf("%w; nothing was written", err)}
			}
			return p.withSite(cmd.Context(), func(s *boot.Site) error {
				if _, err := linkTo(cmd.Context(), s, args[0]); err != nil {
					return err
				}
				out, err := s.Bridge.Resend(cmd.Context(), args[0], actor(), wanted)
				if errors.Is(err, bridge.ErrNeverMade) {
					return &usageError{err}
				}
				return p.printExported(s, out, err)
			})
		},
	}
}

// maxResend bounds what one slip of the hand may write.
const maxResend = 1000

// parseNumbers reads numbers and ranges, ascending and each once.
func parseNumbers(words []string) ([]int64, error) {
	var all []int64
	for _, word := range words {
		first, last, isRange := strings.Cut(word, "-")
		if !isRange {
			last = first
		}
		from, err := strconv.ParseInt(first, 10, 64)
		to, err2 := strconv.ParseInt(last, 10, 64)
		switch {
		case err != nil || err2 != nil || from < 1 || to < from:
			return nil, fmt.Errorf("%q is no number of a bundle and no range such as 3-7", word)
		case to-from >= maxResend || len(all) >= maxResend:
			return nil, fmt.Errorf("more than %d bundles at once: give fewer", maxResend)
		}
		for n := from; n <= to; n++ {
			all = append(all, n)
		}
	}
	slices.Sort(all)
	return slices.Compact(all), nil
}

func orEmpty[T any](list []T) []T {
	if list == nil {
		return []T{}
	}
	return list
}
