package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"sallyport/domain"
	"sallyport/eventstore"
	"sallyport/internal/boot"
	"sallyport/projections"
)

func (p *program) auditState() *cobra.Command {
	var asOf string
	var from archived
	c := &cobra.Command{
		Use: "state STREAM", Short: "Show how a user, a request, a setting … stood at a moment", Args: cobra.ExactArgs(1),
		Long: `The events that this site had stored of a stream by then are folded anew: no
read model is asked. A request's state has its answer in it. No hash of a
password or key is shown. That somebody looked is recorded as audit.viewed.`,
		Example: `  sallyport audit state user-019aa1c2-7b00-7c51-9f0e-2b6c1d0e4f5a --as-of 2026-01-31T12:00:00Z
  sallyport audit state site-core --as-of 1200`,
		RunE: func(cmd *cobra.Command, args []string) error {
			var m eventstore.Moment
			if asOf != "" {
				var err error
				if m, err = eventstore.ParseMoment(asOf); err != nil {
					return &usageError{fmt.Errorf("--as-of: %w", err)}
				}
			}
			if !domain.ValidStream(args[0]) {
				return &usageError{fmt.Errorf("%q cannot be a stream: they are named as in user-ID or setting-KEY", args[0])}
			}
			return p.withHistory(cmd.Context(), from, func(h history, s *boot.Site) error {
				then, err := projections.StateAt(cmd.Context(), h, args[0], m)
				if errors.Is(err, projections.ErrNotFound) {
					return &usageError{fmt.Errorf("this site had stored no event of %s by then: `sallyport audit log --stream %[1]s` shows what there is", args[0])}
				}
				if err == nil {
					err = viewed(cmd.Context(), s, spoken(cmd))
				}
				if err != nil {
					return err
				}
				return p.printThen(then)
			})
		},
	}
	c.Flags().StringVar(&asOf, "as-of", "", "a position (seq) or a time such as 2026-01-31T12:00:00Z; without it, now")
	from.flags(c)
	return c
}

func (p *program) printThen(then projections.Then) error {
	state, err := json.MarshalIndent(then.State, "", "  ")
	if err != nil {
		return err
	}
	return p.print(then, func(w io.Writer) {
		fmt.Fprintf(w, "stream\t%s\nas of\t%d\nlast event\t%d (version %d, of %s, %s)\n\n%s\n", then.Stream, then.Position, then.Seq, then.Ver, then.Origin, stamp(then.At), state)
	})
}
