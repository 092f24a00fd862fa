package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"sallyport/domain"
	"sallyport/eventstore"
	"sallyport/internal/boot"
	"sallyport/internal/commands"
)

// logQuery is what `audit log` was asked for.
type logQuery struct {
	filter   eventstore.Filter
	from, to string
	before   int64
	limit    int64
	last     int64
	follow   bool
	archived archived
}

func (p *program) auditLog() *cobra.Command {
	var q logQuery
	c := &cobra.Command{
		Use: "log", Short: "Print the events of this site's log, its own and those of its peers", Args: cobra.NoArgs,
		Long: `Events come in the order in which this site stored them, or with --reverse the
newest first. All filters that are given must hold. A MOMENT is a position (seq) or a time such as
2026-01-31T12:00:00Z. Hashes of passwords and keys are left out, which the
member "withheld" tells. That somebody looked is recorded as audit.viewed.`,
		Example: `  sallyport audit log --type user.role_changed --from 2026-01-01T00:00:00Z
  sallyport audit log --stream request-019aa1d4-11f3-7d02-8a47-6f1f5a3b9c0d -o jsonl
  sallyport audit log --stream user-019aa1d4-11f3-7d02-8a47-6f1f5a3b9c0d --reverse --limit 5
  sallyport audit log --last 20 --follow -o jsonl | jq .type`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := q.check(p.output); err != nil {
				return err
			}
			return p.withHistory(cmd.Context(), q.archived, func(h history, s *boot.Site) error { return p.printLog(cmd, h, s, q) })
		},
	}
	flags := c.Flags()
	flags.StringVar(&q.filter.Type, "type", "", "only this type, such as request.submitted")
	flags.StringVar(&q.filter.Stream, "stream", "", "only this stream")
	flags.StringVar(&q.filter.Actor, "actor", "", "only what this actor is answerable for: user-ID, site:NAME or cli:USER")
	flags.StringVar(&q.filter.Corr, "corr", "", "only what began with this request or command")
	flags.StringVar(&q.filter.Origin, "origin", "", "only what this site wrote")
	flags.StringVar(&q.from, "from", "", "from this MOMENT on")
	flags.StringVar(&q.to, "to", "", "up to this MOMENT, which is part of it")
	flags.Int64Var(&q.filter.After, "after", 0, "only what was stored after this position (seq)")
	flags.Int64Var(&q.before, "before", 0, "only what was stored before this position (seq); 0: all")
	flags.BoolVarP(&q.filter.Backward, "reverse", "r", false, "the newest first")
	flags.Int64Var(&q.last, "last", 0, "only the last so many, in their order; 0: all")
	flags.Int64Var(&q.limit, "limit", 0, "at most so many events; 0: all")
	flags.BoolVarP(&q.follow, "follow", "f", false, "go on with what is stored from now on, until interrupted")
	q.archived.flags(c)
	return c
}

func (q logQuery) check(output string) error {
	switch _, known := domain.KindOf(q.filter.Type); {
	case q.filter.Type != "" && !known:
		return &usageError{fmt.Errorf("--type %s is no event type of this program", q.filter.Type)}
	case q.filter.After < 0 || q.before < 0 || q.limit < 0 || q.last < 0:
		return &usageError{errors.New("--after, --before, --last and --limit are whole numbers from 0 on")}
	case q.last > 0 && (q.limit > 0 || q.filter.Backward):
		return &usageError{errors.New("--last already says how many and in which order: for the newest first use --reverse --limit")}
	case q.follow && (q.filter.Backward || q.before > 0):
		return &usageError{errors.New("--follow goes forward and has no end: leave out --reverse and --before")}
	case q.follow && q.archived.dir != "":
		return &usageError{errors.New("nothing comes into an archive that could be followed: leave out --follow or --archive")}
	case q.follow && q.to != "":
		return &usageError{errors.New("--follow has no end, and --to is one: give one of them")}
	case q.follow && output == "json":
		return &usageError{errors.New("one JSON value has an end, and --follow has none: use -o jsonl")}
	}
	return nil
}

// bounded finds out between which positions the events lie.
func (q logQuery) bounded(ctx context.Context, h history) (eventstore.Filter, error) {
	f := q.filter
	if q.from != "" {
		m, err := eventstore.ParseMoment(q.from)
		if err != nil {
			return f, &usageError{fmt.Errorf("--from: %w", err)}
		}
		before, err := h.Before(ctx, m)
		if err != nil {
			return f, err
		}
		f.After = max(f.After, before)
	}
	var end eventstore.Moment
	if q.to != "" {
		var err error
		if end, err = eventstore.ParseMoment(q.to); err != nil {
			return f, &usageError{fmt.Errorf("--to: %w", err)}
		}
	}
	var err error
	if f.Through, err = h.Resolve(ctx, end); err != nil {
		return f, err
	}
	if q.before > 0 {
		f.Through = min(f.Through, q.before-1)
	}
	if q.last > 0 {
		f.After, err = q.beforeLast(ctx, h, f)
	}
	return f, err
}

// beforeLast returns the seq after which the last of what is sought lie.
func (q logQuery) beforeLast(ctx context.Context, h history, f eventstore.Filter) (int64, error) {
	if f.After >= f.Through {
		return f.After, nil
	}
	f.Backward = true
	left, first := q.last, f.Through+1
	for e, err := range h.Search(ctx, f) {
		if err != nil {
			return 0, err
		}
		first = e.Seq
		if left--; left == 0 {
			break
		}
	}
	return first - 1, nil
}

// printLog prints what was asked for; s is nil for an archive, which has no trail
// to record a look in.
func (p *program) printLog(cmd *cobra.Command, h history, s *boot.Site, q logQuery) error {
	ctx := cmd.Context()
	f, err := q.bounded(ctx, h)
	if err != nil {
		return err
	}
	if err := viewed(ctx, s, spoken(cmd)); err != nil {
		return err
	}
	out := newEventPrinter(p)
	for {
		more, err := p.printPart(ctx, h, f, &q.limit, out)
		if err != nil || !more || !q.follow {
			return errors.Join(err, out.end())
		}
		f.After = f.Through
		if f.Through, err = s.Log.Wait(ctx, f.After); err != nil {
			if ctx.Err() != nil {
				return out.end() // interrupted, as was promised
			}
			return err
		}
	}
}

// printPart prints what there is now. There is no more when the limit is reached.
func (p *program) printPart(ctx context.Context, h history, f eventstore.Filter, limit *int64, out *eventPrinter) (more bool, err error) {
	if f.After >= f.Through {
		return true, nil
	}
	for e, err := range h.Search(ctx, f) {
		if err != nil {
			return false, err
		}
		if err := out.print(e); err != nil {
			return false, err
		}
		if *limit--; *limit == 0 {
			further := "after"
			if f.Backward {
				further = "before"
			}
			p.say("that was the limit: go on with --%s %d", further, e.Seq)
			return false, nil
		}
	}
	return true, nil
}

// spoken is a command as it was given, but for what concerns all commands.
func spoken(cmd *cobra.Command) string {
	words := append([]string{cmd.CommandPath()}, cmd.Flags().Args()...)
	cmd.Flags().Visit(func(f *pflag.Flag) {
		if cmd.InheritedFlags().Lookup(f.Name) == nil {
			words = append(words, "--"+f.Name, f.Value.String())
		}
	})
	return strings.Join(words, " ")
}

// viewed records that somebody looks, before it is shown. A read-only site
// cannot record it, and to look must be possible there. Without a site there is
// nothing to record it in.
func viewed(ctx context.Context, s *boot.Site, what string) error {
	if s == nil {
		return nil
	}
	err := s.Commands.Viewed(ctx, commands.By{Actor: actor()}, what)
	if is[*eventstore.ReadOnlyError](err) {
		s.Logger.Warn("not in the audit trail, because the site is read-only", "what", what)
		return nil
	}
	return err
}

// eventPrinter prints events as they are found: there may be more of them than
// fit into memory.
type eventPrinter struct {
	to     io.Writer
	format string
	n      int
}

func newEventPrinter(p *program) *eventPrinter { return &eventPrinter{to: p.stdout, format: p.output} }

const eventRow = "%-9v  %-20s  %-12s  %-24s  %-46s  %-4v  %s\n"

func (o *eventPrinter) print(e eventstore.Stored) error {
	if o.n++; o.format == "table" {
		return o.row(e)
	}
	line, err := e.Shown()
	if err != nil {
		return err
	}
	before, after := "", "\n"
	if o.format == "json" {
		before, after = ",\n  ", ""
		if o.n == 1 {
			before = "[\n  "
		}
	}
	_, err = fmt.Fprintf(o.to, "%s%s%s", before, line, after)
	return err
}

func (o *eventPrinter) row(e eventstore.Stored) error {
	event, err := e.Event()
	if err != nil {
		return err
	}
	if o.n == 1 {
		fmt.Fprintf(o.to, eventRow, "SEQ", "STORED", "ORIGIN", "TYPE", "STREAM", "VER", "ACTOR")
	}
	_, err = fmt.Fprintf(o.to, eventRow, e.Seq, stamp(domain.Timestamp(e.StoredAt.UTC())), e.Origin, event.Type, event.Stream, event.Ver, event.Actor)
	return err
}

func (o *eventPrinter) end() error {
	var err error
	switch {
	case o.format == "json" && o.n == 0:
		_, err = fmt.Fprintln(o.to, "[]")
	case o.format == "json":
		_, err = fmt.Fprintln(o.to, "\n]")
	}
	return err
}
