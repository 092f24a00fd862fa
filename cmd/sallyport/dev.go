package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"sallyport/internal/boot"
	"sallyport/internal/demo"
	"sallyport/internal/dev"
)

type devFlags struct {
	config     dev.Config
	demo       bool
	carry      string
	carryEvery time.Duration
}

func (p *program) devCommand() *cobra.Command {
	var f devFlags
	cmd := &cobra.Command{
		Use: "dev", Short: "Run both sites on this machine with everything they need",
		Long: `Run both sites on this machine: field, where requests are asked, and core, where
they are answered, each with its own private PostgreSQL and Redis. State stays in
--data and a second start goes on from it. Ctrl-C stops everything.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return p.dev(cmd, f) },
	}
	flags := cmd.Flags()
	flags.StringVar(&f.config.Data, "data", ".sallyport/dev", "the folder that holds everything")
	flags.BoolVar(&f.demo, "demo", false, "carry requests across and back, prove the result, exit")
	flags.IntVar(&f.config.RequestPort, "request-port", 8001, "the port of field; 0 is any")
	flags.IntVar(&f.config.ResponsePort, "response-port", 8000, "the port of core; 0 is any")
	flags.StringVar(&f.carry, "carry", "auto", "auto: a courier moves finished bundles; manual: nobody does")
	flags.DurationVar(&f.carryEvery, "carry-every", 2*time.Second, "how often the courier goes")
	flags.StringSliceVar(&f.config.WebhooksAllow, "webhooks-allow", nil, "networks that webhooks may be in though they are not public, to try them: 127.0.0.1")
	return cmd
}

// settle fills in what the demo wants otherwise: any port, a quick courier.
func (f *devFlags) settle(cmd *cobra.Command) error {
	if f.carry != "auto" && f.carry != "manual" {
		return &usageError{fmt.Errorf("--carry %s is not known: use auto or manual", f.carry)}
	}
	if f.carryEvery <= 0 {
		return &usageError{errors.New("--carry-every must be longer than nothing")}
	}
	if f.carry == "auto" {
		f.config.CarryEvery = f.carryEvery
	}
	if !f.demo {
		return nil
	}
	if f.carry == "manual" {
		return &usageError{errors.New("--demo needs a courier: leave --carry auto")}
	}
	for flag, value := range map[string]*int{"request-port": &f.config.RequestPort, "response-port": &f.config.ResponsePort} {
		if !cmd.Flags().Changed(flag) {
			*value = 0
		}
	}
	if !cmd.Flags().Changed("carry-every") {
		f.config.CarryEvery = 200 * time.Millisecond
	}
	f.config.ExportEvery, f.config.ScanEvery = 400*time.Millisecond, 200*time.Millisecond
	return nil
}

// stopping is how long the servers may take to end.
const stopping = time.Minute

func (p *program) dev(cmd *cobra.Command, f devFlags) (err error) {
	if err := f.settle(cmd); err != nil {
		return err
	}
	level := "warn"
	if f.demo {
		level = "error" // the one warning of a demo is part of its story
	}
	logger, err := boot.Log{Level: level, Format: "text"}.Logger(p.stderr)
	if err != nil {
		return err
	}
	f.config.Say, f.config.Logger = p.say, logger
	collectLess()
	begin := time.Now()
	f.config.Version, f.config.Program = version, ownFile()
	stack, err := dev.Start(cmd.Context(), f.config)
	defer func() {
		if stack == nil {
			return
		}
		ctx, cancel := context.WithTimeout(context.WithoutCancel(cmd.Context()), stopping)
		defer cancel()
		err = errors.Join(err, stack.Stop(ctx))
	}()
	if err != nil {
		return err
	}
	ctx, done := context.WithCancel(cmd.Context())
	defer done()
	running := make(chan error, 1)
	go func() {
		defer done()
		running <- stack.Run(ctx)
	}()
	err = p.whenReady(ctx, stack, f, begin)
	if err != nil || f.demo {
		done()
	}
	// A site that ended is why nobody could log in there.
	return cmp.Or(<-running, err)
}

// whenReady tells people and programs that all runs, or runs the demo.
func (p *program) whenReady(ctx context.Context, stack *dev.Stack, f devFlags, begin time.Time) error {
	ready, err := stack.WaitReady(ctx)
	if errors.Is(err, context.Canceled) {
		return nil // ended before it was ready
	}
	if err != nil {
		return err
	}
	p.say("both sites were ready after %s", time.Since(begin).Round(10*time.Millisecond))
	if f.demo {
		return p.demo(ctx, stack)
	}
	if p.output == "table" {
		p.banner(ready, f)
		return nil
	}
	return json.NewEncoder(p.stdout).Encode(ready)
}

func (p *program) demo(ctx context.Context, stack *dev.Stack) error {
	story := p.stdout
	if p.output != "table" {
		story = p.stderr
	}
	summary, err := demo.Run(ctx, stack, func(format string, args ...any) { fmt.Fprintf(story, format+"\n", args...) })
	if p.output != "table" {
		return errors.Join(err, json.NewEncoder(p.stdout).Encode(summary))
	}
	fmt.Fprintf(p.stdout, "\n%d requests, %d answered, %d failed, %d invalid refused, %d bundles carried, logs verified: %v, digests equal: %v, %.1f s\n",
		summary.Requests, summary.Answered, summary.Failed, summary.Refused, summary.BundlesCarried, summary.LogsVerified, summary.DigestsEqual, summary.Seconds)
	return err
}

const warning = `
  ****************************************************************************
  *  DEVELOPMENT MODE: both networks on one machine, passwords shown below.  *
  *  Never put real data in here.                                            *
  ****************************************************************************
`

func (p *program) banner(r dev.Ready, f devFlags) {
	w := p.stdout
	fmt.Fprint(w, warning)
	for _, name := range []string{"field", "core"} {
		s := r.Sites[name]
		fmt.Fprintf(w, "  %-6s %s   configuration %s\n", name, s.URL, s.Config)
	}
	fmt.Fprintln(w)
	for _, a := range r.Accounts {
		fmt.Fprintf(w, "  %-9s %-28s role %-9s profile %s\n", a.Username, a.Password, a.Role, a.Profile)
	}
	carry(w, f)
	fmt.Fprintln(w, "  Ctrl-C stops everything; the state stays in", f.config.Data)
}

func carry(w io.Writer, f devFlags) {
	if f.config.CarryEvery > 0 {
		fmt.Fprintf(w, "\n  A courier carries finished bundles every %s.\n", f.config.CarryEvery)
		return
	}
	fmt.Fprintf(w, "\n  Nobody carries: move files from %s/<site>/outbox to the other site's inbox.\n", f.config.Data)
}
