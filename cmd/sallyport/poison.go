package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"sallyport/domain"
	"sallyport/internal/boot"
	"sallyport/internal/commands"
	"sallyport/projections"
	"sallyport/projections/reactor"
)

func (p *program) poisonCommand() *cobra.Command {
	c := &cobra.Command{Use: "poison", Short: "Look at events whose consequences failed, and decide about them",
		Long: `What follows from an event, such as telling a webhook, is tried several times.
What still fails waits here, with its reason, until it is put back or dropped.
The event itself is in the log and is never lost.`}
	c.AddCommand(p.poisonList(), p.poisonShow(),
		p.poisonDecide("requeue", "Put one back: it is handled once more within seconds",
			(*reactor.Poison).Requeue, "%d is back: a running site handles it within seconds; if it fails again, it is here again"),
		p.poisonDecide("drop", "Drop one: what it would have led to never happens",
			(*reactor.Poison).Drop, "%d was dropped"))
	return c
}

func (p *program) poisonList() *cobra.Command {
	return &cobra.Command{
		Use: "list", Short: "List what waits, the oldest first", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return p.withSite(cmd.Context(), func(s *boot.Site) error {
				all, err := reactor.NewPoison(s.Pool).List(cmd.Context(), 0, projections.MaxLimit+1)
				if err != nil {
					return err
				}
				if len(all) > projections.MaxLimit {
					all = all[:projections.MaxLimit]
					p.say("only the oldest %d are listed", len(all))
				}
				return p.print(all, func(w io.Writer) { printPoison(w, all) })
			})
		},
	}
}

func printPoison(w io.Writer, all []reactor.Poisoned) {
	if len(all) == 0 {
		fmt.Fprintln(w, "nothing waits: all that follows from events was done")
		return
	}
	fmt.Fprintln(w, "ID\tREACTOR\tTARGET\tSEQ\tSTREAM\tFAILED\tLAST\tREASON")
	for _, e := range all {
		fmt.Fprintf(w, "%d\t%s\t%s\t%d\t%s\t%d\t%s\t%s\n", e.ID, e.Reactor, orDash(e.Target), e.Seq, e.Stream, e.Failures, stamp(e.LastAt), e.Reason)
	}
}

func (p *program) poisonShow() *cobra.Command {
	return &cobra.Command{
		Use: "show ID", Short: "Show one with its event", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			id, err := poisonID(args[0])
			if err != nil {
				return err
			}
			return p.withSite(cmd.Context(), func(s *boot.Site) error {
				e, err := reactor.NewPoison(s.Pool).Show(cmd.Context(), id)
				if err != nil {
					return unknownFile(err)
				}
				return p.print(e, func(w io.Writer) {
					fmt.Fprintf(w, "reactor\t%s\ntarget\t%s\nevent\t%s (%d)\nstream\t%s\ntype\t%s\nfailed\t%d times, first %s, last %s\nreason\t%s\nline\t%s\n",
						e.Reactor, orDash(e.Target), e.EventID, e.Seq, e.Stream, e.Type, e.Failures, stamp(e.FirstAt), stamp(e.LastAt), e.Reason, e.Event)
				})
			})
		},
	}
}

// poisonDecide makes the command of one decision; said is told afterwards.
func (p *program) poisonDecide(use, short string, do func(*reactor.Poison, context.Context, int64) error, said string) *cobra.Command {
	return &cobra.Command{
		Use: use + " ID", Short: short, Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			id, err := poisonID(args[0])
			if err != nil {
				return err
			}
			return p.withSite(cmd.Context(), func(s *boot.Site) error {
				ctx, queue := cmd.Context(), reactor.NewPoison(s.Pool)
				e, err := queue.Show(ctx, id)
				if err == nil {
					_, err = s.Commands.Acted(ctx, commands.By{Actor: actor()}, "poison."+use, fmt.Sprintf("%d (%s, %s)", id, e.Reactor, e.Stream), commands.Client{})
				}
				if err == nil {
					err = do(queue, ctx, id)
				}
				if err != nil {
					return unknownFile(err)
				}
				p.say(said, id)
				return p.print(e, func(w io.Writer) { fmt.Fprintf(w, "%d\t%s\t%s\n", id, e.Reactor, e.Stream) })
			})
		},
	}
}

func poisonID(text string) (int64, error) {
	id, err := strconv.ParseInt(text, 10, 64)
	if err != nil || id < 1 {
		return 0, &usageError{errors.New("ID is the number that `poison list` shows; nothing was changed")}
	}
	return id, nil
}

func stamp(t domain.Timestamp) string { return time.Time(t).Format(time.RFC3339) }
