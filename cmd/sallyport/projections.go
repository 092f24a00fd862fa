package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"sallyport/internal/boot"
	"sallyport/internal/commands"
	"sallyport/projections"
	"sallyport/projections/reactor"
	"sallyport/projections/rebuild"
	"sallyport/projections/responsecache"
)

func (p *program) projectionsCommand() *cobra.Command {
	c := &cobra.Command{Use: "projections", Short: "Look at the read models, compare them, and make them anew"}
	c.AddCommand(p.projectionsStatus(), p.projectionsRebuild(), p.projectionsDigest())
	return c
}

func (p *program) projectionsDigest() *cobra.Command {
	var scope projections.Scope
	c := &cobra.Command{
		Use: "digest", Short: "Print a hash of each read model's content, equal on both sites for what both hold", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return p.withSite(cmd.Context(), func(s *boot.Site) error {
				sums, err := projections.Digest(cmd.Context(), s.Pool, scope)
				if err != nil {
					return err
				}
				return p.print(sums, func(w io.Writer) {
					for _, name := range slices.Sorted(maps.Keys(sums)) {
						fmt.Fprintf(w, "%s\t%s\n", name, sums[name])
					}
				})
			})
		},
	}
	c.Flags().StringVar(&scope.RequestOrigin, "requests-of", "", "only the requests of this site, and their responses")
	c.Flags().BoolVar(&scope.All, "all", false, "also of what is this site's own")
	return c
}

func (p *program) projectionsStatus() *cobra.Command {
	return &cobra.Command{
		Use: "status", Short: "Show each read model: its rows, the position it reflects, its last rebuild, what that left over", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return p.withSite(cmd.Context(), func(s *boot.Site) error {
				o, err := rebuild.Look(cmd.Context(), s.Pool)
				if err != nil {
					return err
				}
				return p.print(o, func(w io.Writer) { printModels(w, o) })
			})
		},
	}
}

func printModels(w io.Writer, o rebuild.Overview) {
	fmt.Fprintln(w, "MODEL\tROWS\tSIZE\tAT SEQ\tLAST REBUILD\tLEFT OVER")
	left := int64(0)
	for _, m := range o.Models {
		last := "never"
		if m.RebuiltAt != nil {
			last = fmt.Sprintf("%s, at seq %d", m.RebuiltAt.UTC().Format(time.RFC3339), m.RebuiltSeq)
		}
		fmt.Fprintf(w, "%s\t%d\t%s\t%d\t%s\t%s\n", m.Model, m.Rows, size(m.Bytes), m.Seq, last, map[bool]string{true: size(m.Leftover), false: "-"}[m.Leftover > 0])
		left += m.Leftover
	}
	switch {
	case o.Running:
		fmt.Fprintln(w, "a rebuild is running")
	case left > 0:
		fmt.Fprintln(w, "a rebuild was killed: what it left over does no harm, and the next rebuild drops it")
	}
}

func (p *program) projectionsRebuild() *cobra.Command {
	return &cobra.Command{
		Use: "rebuild [MODEL...]", Short: "Make read models anew from the log while the site serves: all, or those that are named",
		Long: `Make read models anew from the log, all or those that are named, and put them in
the place of the live ones. The site may go on serving and writing. What can only be
made together is made together: requests, responses, work and retention. With the
responses, the response cache in Redis is rewritten; nothing else that once followed
from an event happens again. Killed at any point, it leaves the live read models as
they are; run it again.

It needs no right to change the schema: functions of the database do that, which
` + "`sallyport migrate up`" + ` made.`,
		Args: cobra.ArbitraryArgs,
		RunE: func(cmd *cobra.Command, models []string) error {
			if _, err := rebuild.Units(models); err != nil {
				return &usageError{err}
			}
			return p.withSite(cmd.Context(), func(s *boot.Site) error {
				named := strings.Join(models, " ")
				if named == "" {
					named = "all"
				}
				if _, err := s.Commands.Acted(cmd.Context(), commands.By{Actor: actor()}, "projections.rebuild", named, commands.Client{}); err != nil {
					return err
				}
				done, err := p.rebuild(cmd.Context(), s, models)
				if done == nil {
					done = []rebuild.Rebuilt{}
				}
				return errors.Join(p.print(done, func(w io.Writer) { printRebuilt(w, done) }), err)
			})
		},
	}
}

// rebuild makes the models anew and rewrites the cache of what it made.
func (p *program) rebuild(ctx context.Context, s *boot.Site, models []string) ([]rebuild.Rebuilt, error) {
	shown := &rebuilding{program: p}
	done, err := rebuild.Run(ctx, rebuild.Config{Pool: s.Pool, Tell: shown.tell}, models...)
	shown.finish()
	if err != nil || !slices.ContainsFunc(done, func(r rebuild.Rebuilt) bool { return r.Model == "responses" }) {
		return done, err
	}
	if s.Config.Redis == (boot.Redis{}) {
		p.say("the site has no Redis: each process keeps answers in its own memory, for %s at most", responsecache.TTL)
		return done, nil
	}
	cleared, written, err := reactor.Rewrite(ctx, s.Log.Site(), s.Reader, s.Cache, time.Now().Add(-responsecache.TTL))
	if err != nil {
		return done, fmt.Errorf("the read models are rebuilt, but: %w; when Redis answers, run `sallyport projections rebuild responses` again", err)
	}
	p.say("the response cache held %d answers and was rewritten: it holds %d", cleared, written)
	return done, nil
}

func printRebuilt(w io.Writer, done []rebuild.Rebuilt) {
	fmt.Fprintln(w, "MODEL\tROWS\tAT SEQ\tTOOK\tGAVE WAY")
	for _, r := range done {
		fmt.Fprintf(w, "%s\t%d\t%d\t%s\t%d\n", r.Model, r.Rows, r.Seq, time.Duration(r.TookMS)*time.Millisecond, r.GaveWay)
	}
}

// rebuilding shows how far a rebuild is. Its units are positions of the log.
type rebuilding struct {
	program *program
	shown   *late
	of      string
	at      int64
	waiting bool
}

func (r *rebuilding) tell(to rebuild.Progress) error {
	if to.Doing == rebuild.GivingWay && !r.waiting {
		r.waiting = true
		r.program.say("%s is made anew; somebody reads the live one and is waited for", strings.Join(to.Models, ", "))
	}
	if to.Total == 0 {
		return nil
	}
	if of := string(to.Doing) + " " + strings.Join(to.Models, ", "); of != r.of || to.Done < r.at {
		r.finish()
		r.shown, r.of, r.at = r.program.late(of, to.Total), of, 0
		r.shown.g.events = true
	}
	r.shown.add(to.Done - r.at)
	r.at = to.Done
	return nil
}

func (r *rebuilding) finish() {
	if r.shown != nil {
		r.shown.finish()
	}
	r.shown, r.of, r.waiting = nil, "", false
}
