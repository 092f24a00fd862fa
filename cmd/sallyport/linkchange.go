package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"sallyport/bridge"
	"sallyport/internal/boot"
)

func (p *program) linkStop() *cobra.Command {
	return p.linkChange("stop PEER --reason TEXT", "Stop a link until people resume it",
		`Stop a link: no data is sent and none is applied until it is resumed. What arrives is
checked and held, and beacons still tell how far this site is. Nothing is lost.`,
		func(ctx context.Context, s *boot.Site, l bridge.Link, reason string) (string, error) {
			if l.Stopped != "" {
				return fmt.Sprintf("the link to %s is stopped already: %s", l.Card.Name, l.Stopped), nil
			}
			return fmt.Sprintf("the link to %s is stopped; go on with `sallyport link resume %s`", l.Card.Name, l.Card.Name),
				s.Bridge.Stop(ctx, l.Card.Name, reason, actor())
		})
}

func (p *program) linkResume() *cobra.Command {
	return p.linkChange("resume PEER --reason TEXT", "Let a stopped link go on, after people have talked",
		`Let a stopped link go on. If what stopped it is still there, it stops again. What was
held meanwhile is applied at the next look at the inbox.`,
		func(ctx context.Context, s *boot.Site, l bridge.Link, reason string) (string, error) {
			if l.Stopped == "" {
				return fmt.Sprintf("the link to %s is not stopped; nothing was changed", l.Card.Name), nil
			}
			return fmt.Sprintf("the link to %s goes on; it was stopped because: %s", l.Card.Name, l.Stopped),
				s.Bridge.Resume(ctx, l.Card.Name, reason, actor())
		})
}

// linkChange makes a command that does something to one link for a reason,
// which the log keeps.
func (p *program) linkChange(use, short, long string, do func(context.Context, *boot.Site, bridge.Link, string) (string, error)) *cobra.Command {
	var reason string
	cmd := &cobra.Command{Use: use, Short: short, Long: long, Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if strings.TrimSpace(reason) == "" {
				return &usageError{errors.New("--reason must say why: the log keeps it; nothing was changed")}
			}
			return p.withSite(cmd.Context(), func(s *boot.Site) error {
				l, err := linkTo(cmd.Context(), s, args[0])
				if err != nil {
					return err
				}
				done, err := do(cmd.Context(), s, l, reason)
				if err != nil {
					return err
				}
				p.say("%s", done)
				return nil
			})
		},
	}
	cmd.Flags().StringVar(&reason, "reason", "", "why, for those who read the log later")
	_ = cmd.MarkFlagRequired("reason") // fails only for a flag that does not exist
	return cmd
}

func linkTo(ctx context.Context, s *boot.Site, peer string) (bridge.Link, error) {
	links, err := s.Bridge.Links(ctx)
	if err != nil {
		return bridge.Link{}, err
	}
	for _, l := range links {
		if l.Card.Name == peer {
			return l, nil
		}
	}
	return bridge.Link{}, unknownPeer(peer, links)
}

func (p *program) linkRemove() *cobra.Command {
	var yes bool
	var in io.Reader
	cmd := p.linkChange("remove PEER --reason TEXT", "End a link; what came by it stays",
		`End a link. What came by it stays, and adding the same card again goes on from there.

It must be stopped first, and nothing may be on its way to the peer; --yes removes it
all the same, and without asking.`,
		func(ctx context.Context, s *boot.Site, l bridge.Link, reason string) (string, error) {
			if !yes {
				if err := p.mayRemove(l, in); err != nil {
					return "", err
				}
			}
			return fmt.Sprintf("the link to %s is removed; add its card again to go on with it", l.Card.Name),
				s.Bridge.Remove(ctx, l.Card.Name, reason, actor())
		})
	cmd.Flags().BoolVar(&yes, "yes", false, "do not ask, and remove it even if it runs or something is on its way")
	cmd.PreRun = func(cmd *cobra.Command, _ []string) { in = cmd.InOrStdin() }
	return cmd
}

// policyError is what this program does not do unless it is told so.
type policyError struct{ error }

// mayRemove holds what people may have overlooked against them, and asks.
func (p *program) mayRemove(l bridge.Link, in io.Reader) error {
	peer := l.Card.Name
	switch {
	case l.Stopped == "":
		return &policyError{fmt.Errorf("the link to %s runs; nothing was changed: stop it first (`sallyport link stop %s`), or say --yes", peer, peer)}
	case l.Unacknowledged():
		return &policyError{fmt.Errorf("%s has not acknowledged %s of this site; nothing was changed: wait for its word, or say --yes", peer, bundles(l.Out.Seq-l.Out.AckedSeq))}
	}
	if f, ok := in.(*os.File); !ok || !term.IsTerminal(int(f.Fd())) {
		return &policyError{fmt.Errorf("nobody can be asked whether the link to %s shall go; nothing was changed: say --yes", peer)}
	}
	p.say("End the link to %s? Type its name to confirm:", peer)
	answer, err := bufio.NewReader(io.LimitReader(in, 100)).ReadString('\n')
	if err != nil && !errors.Is(err, io.EOF) {
		return fmt.Errorf("read the answer: %w; nothing was changed", err)
	}
	if strings.TrimSpace(answer) != peer {
		return &policyError{errors.New("not confirmed; nothing was changed: type the peer's name, or say --yes")}
	}
	return nil
}

func (p *program) linkWithhold() *cobra.Command {
	return &cobra.Command{
		Use: "withhold PEER POSITION", Short: "Let two people decide that an event which the peer refused stays here", Args: cobra.ExactArgs(2),
		Long: `Decide that an event which the peer refused is withheld from it. POSITION is what the
peer's people read in their quarantine (` + "`sallyport quarantine show ID`" + `).

The first person proposes, a second one confirms by the same command, logged in as
somebody else. Then the link goes on, and the next export makes the bundle again under
its number, without that event. Over there: ` + "`sallyport link resume`" + `.`,
		RunE: func(cmd *cobra.Command, args []string) error {
			position, err := strconv.ParseInt(args[1], 10, 64)
			if err != nil || position < 1 {
				return &usageError{fmt.Errorf("%q is no position: give a number from 1; nothing was changed", args[1])}
			}
			return p.withSite(cmd.Context(), func(s *boot.Site) error {
				if _, err := linkTo(cmd.Context(), s, args[0]); err != nil {
					return err
				}
				w, err := s.Bridge.Withhold(cmd.Context(), args[0], position, actor())
				if err != nil {
					return err
				}
				return p.print(w, func(out io.Writer) { printWithholding(out, w) })
			})
		},
	}
}

func printWithholding(out io.Writer, w bridge.Withholding) {
	fmt.Fprintf(out, "position\t%d (%s), in bundle %d for %s\nproposed by\t%s\n", w.Position, w.Event, w.Seq, w.Peer, w.ProposedBy)
	if w.ConfirmedBy == "" {
		fmt.Fprintf(out, "next\ta second person, logged in as themselves, runs the same command\n")
		return
	}
	fmt.Fprintf(out, "confirmed by\t%s\nnext\tcarry what the next export makes; over there: `sallyport link resume`\n", w.ConfirmedBy)
}
