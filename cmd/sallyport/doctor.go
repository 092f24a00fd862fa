package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"sallyport/internal/boot"
	"sallyport/internal/disk"
)

// checked is one line of what doctor found.
type checked struct {
	What   string `json:"what"`
	OK     bool   `json:"ok"`
	Detail string `json:"detail"`
}

// examination is what doctor has found so far. A fault keeps the exit code of
// its error; the first one counts.
type examination struct {
	found []checked
	wrong []string
	first error
}

func (e *examination) note(what, detail string) {
	e.found = append(e.found, checked{what, true, detail})
}

// fault records what is not ok and reports whether there was anything.
func (e *examination) fault(what string, err error) bool {
	if err == nil {
		return false
	}
	e.found = append(e.found, checked{what, false, err.Error()})
	e.wrong = append(e.wrong, what)
	if e.first == nil {
		e.first = err
	}
	return true
}

// unhealthy is a site of which something is not ok.
type unhealthy struct {
	what  []string
	first error
}

func (e *unhealthy) Error() string {
	return fmt.Sprintf("not ok: %s (the first: %v); then run doctor again", strings.Join(e.what, ", "), e.first)
}

func (e *unhealthy) Unwrap() error { return e.first }

func (p *program) doctorCommand() *cobra.Command {
	return &cobra.Command{
		Use: "doctor", Short: "Say whether the site can work, and what to do if not", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			var e examination
			p.examine(cmd.Context(), &e)
			err := p.print(e.found, func(w io.Writer) {
				for _, c := range e.found {
					fmt.Fprintf(w, "%s\t%s\t%s\n", c.What, map[bool]string{true: "ok", false: "NOT OK"}[c.OK], c.Detail)
				}
			})
			if e.first != nil {
				err = errors.Join(err, &unhealthy{e.wrong, e.first})
			}
			return err
		},
	}
}

// examine looks at one thing after the other, as far as they can be seen.
func (p *program) examine(ctx context.Context, e *examination) {
	l, err := p.load()
	if e.fault("configuration", err) {
		return
	}
	e.note("configuration", p.configPath)
	examineFolders(e, l.Data)
	pending, err := boot.Pending(ctx, l.Config)
	if e.fault("database", err) {
		return
	}
	if pending > 0 {
		e.fault("migrations", fmt.Errorf("%d missing: run `sallyport migrate up`", pending))
		return
	}
	e.note("migrations", "none missing")
	site, err := boot.Open(ctx, l.Config, slog.New(slog.DiscardHandler))
	if e.fault("database", err) {
		return
	}
	examineSite(ctx, e, site)
	e.fault("closing", site.Close())
}

func examineFolders(e *examination, data string) {
	for _, name := range []string{"outbox", "inbox", "staging", "archive", "quarantine", "receipts"} {
		dir := filepath.Join(data, name)
		f, err := os.CreateTemp(dir, ".doctor-*")
		if err == nil {
			err = errors.Join(f.Close(), os.Remove(f.Name()))
		}
		if err != nil {
			e.fault("folder "+name, fmt.Errorf("%w; run `sallyport init`, or make the folder writable for this program's user", err))
		}
	}
	room, err := disk.Of(data)
	switch {
	case err != nil:
		e.fault("free disk", err)
	case room.Free < disk.Low:
		e.fault("free disk", fmt.Errorf("%d MiB in %s: free at least %d MiB, or move the data folder", room.Free>>20, data, disk.Low>>20))
	default:
		e.note("free disk", fmt.Sprintf("%d MiB in %s", room.Free>>20, data))
	}
}

func examineSite(ctx context.Context, e *examination, s *boot.Site) {
	head, err := s.Log.Head(ctx)
	if !e.fault("database", err) {
		e.note("database", fmt.Sprintf("log of %s at seq %d, position %d", head.Site, head.Seq, head.Pos))
		e.fault("log", s.Log.Writable(ctx))
	}
	if s.Config.Redis != (boot.Redis{}) {
		examineRedis(ctx, e, s)
	}
	links, err := s.Bridge.Status(ctx)
	e.fault("links", err)
	for _, l := range links {
		if l.Stopped != nil {
			e.fault("link to "+l.Peer, fmt.Errorf("stopped: %s; %s", *l.Stopped, l.NextAction))
			continue
		}
		e.note("link to "+l.Peer, l.NextAction)
	}
	refused, err := s.Bridge.QuarantinedFiles(ctx)
	switch {
	case e.fault("quarantine", err):
	case len(refused) > 0:
		e.note("quarantine", fmt.Sprintf("%d file(s) were refused: see `sallyport quarantine list`", len(refused)))
	default:
		e.note("quarantine", "empty")
	}
}

func examineRedis(ctx context.Context, e *examination, s *boot.Site) {
	ctx, cancel := context.WithTimeout(ctx, 3*time.Second)
	defer cancel()
	if err := s.CacheReady(ctx); err != nil {
		e.fault("redis", fmt.Errorf("%w; start it, or correct redis.url: answers come from the database meanwhile", err))
		return
	}
	e.note("redis", "answers")
}
