package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"

	"github.com/spf13/cobra"

	"sallyport/internal/boot"
)

// withSite opens the site of the configuration for one command.
func (p *program) withSite(ctx context.Context, do func(*boot.Site) error) error {
	l, err := p.load()
	if err != nil {
		return err
	}
	logger, err := l.Log.Logger(p.stderr)
	if err != nil {
		return &configError{err}
	}
	site, err := boot.Open(ctx, l.Config, logger)
	if err != nil {
		return err
	}
	return errors.Join(do(site), site.Close())
}

func (p *program) serveCommand() *cobra.Command {
	var only string
	cmd := &cobra.Command{
		Use: "serve", Short: "Run the site: HTTP, workers and bridge", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			parts, err := boot.ParseParts(only)
			if err != nil {
				return &usageError{err}
			}
			return p.withSite(cmd.Context(), func(s *boot.Site) error { return p.serve(cmd.Context(), s, parts) })
		},
	}
	cmd.Flags().StringVar(&only, "only", "", "run only these parts: api,workers,bridge")
	return cmd
}

func (p *program) serve(ctx context.Context, s *boot.Site, parts boot.Parts) error {
	collectLess()
	var ln net.Listener
	if parts.API {
		var l net.ListenConfig
		var err error
		if ln, err = l.Listen(ctx, "tcp", s.Config.Listen); err != nil {
			return &configError{fmt.Errorf("listen on %s: %w", s.Config.Listen, err)}
		}
		scheme := "http"
		if s.Config.TLS.CertFile != "" {
			scheme = "https"
		}
		p.say("%s (%s site) serves on %s://%s", s.Config.Site, s.Config.Role, scheme, ln.Addr())
	}
	s.Version, s.Program = version, ownFile()
	return s.Serve(ctx, ln, parts)
}

func (p *program) migrateCommand() *cobra.Command {
	c := &cobra.Command{Use: "migrate", Short: "Look at and change the database's schema"}
	c.AddCommand(&cobra.Command{
		Use: "up", Short: "Bring the database up to this program", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			l, err := p.load()
			if err != nil {
				return err
			}
			if err := boot.Migrate(cmd.Context(), l.Config); err != nil {
				return err
			}
			p.say("the database is up to date")
			return nil
		},
	}, &cobra.Command{
		Use: "status", Short: "Say whether migrations are missing", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			l, err := p.load()
			if err != nil {
				return err
			}
			n, err := boot.Pending(cmd.Context(), l.Config)
			if err != nil {
				return err
			}
			return p.print(map[string]int{"pending": n}, func(w io.Writer) { fmt.Fprintf(w, "pending migrations\t%d\n", n) })
		},
	})
	return c
}
