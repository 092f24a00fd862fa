package boot_test

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"sallyport/api/session"
	"sallyport/bridge"
	"sallyport/domain"
	"sallyport/eventstore"
	"sallyport/internal/boot"
	"sallyport/internal/commands"
	"sallyport/internal/pgdev/pgtest"
)

// restored gives the configuration of the site on a copy of its database as it
// is now. Nothing may be using it.
func restored(t *testing.T, c boot.Config) boot.Config {
	t.Helper()
	old, err := url.Parse(c.Database.MigrateURL)
	if err != nil {
		t.Fatal(err)
	}
	copied, err := url.Parse(pgtest.Database(t, strings.TrimPrefix(old.Path, "/")))
	if err != nil {
		t.Fatal(err)
	}
	app, err := url.Parse(c.Database.URL)
	if err != nil {
		t.Fatal(err)
	}
	app.Path = copied.Path
	c.Database.URL, c.Database.MigrateURL = app.String(), copied.String()
	return c
}

// deliver moves all that lies in one outbox into the other inbox and takes it in.
func deliver(t *testing.T, from, to *boot.Site) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(from.Config.Data, "outbox", "sp1_*.zst*"))
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		if strings.HasSuffix(f, ".txt") {
			continue
		}
		if err := os.Rename(f, filepath.Join(to.Config.Data, "inbox", filepath.Base(f))); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := to.Bridge.Import(t.Context()); err != nil {
		t.Fatal(err)
	}
}

func openOnce(t *testing.T, c boot.Config, use func(*boot.Site)) {
	t.Helper()
	s, err := boot.Open(t.Context(), c, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	use(s)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
}

func defineType(t *testing.T, s *boot.Site, name string) error {
	t.Helper()
	_, _, err := s.Commands.DefineRequestType(t.Context(), commands.By{Actor: "cli:test"}, domain.DefineRequestType{Name: name, Title: name, Public: true,
		Parameters: json.RawMessage(`{"type":"object","properties":{"iata":{"type":"string","maxLength":3}},"required":["iata"],"additionalProperties":false,"examples":[{"iata":"AMS"}]}`)})
	return err
}

// A site that was restored from an old backup while it serves: it takes nothing
// more, its lost events come home, and it must be started again.
func TestARestoredSiteIsRecovered(t *testing.T) {
	t.Parallel()
	c, f := config(t, "core", domain.ResponseSite), config(t, "field", domain.RequestSite)
	card, fieldCard := mustInit(t, c), mustInit(t, f)
	field := mustOpen(t, f)
	if err := field.Bridge.AddLink(t.Context(), card, "cli:test"); err != nil {
		t.Fatal(err)
	}
	openOnce(t, c, func(core *boot.Site) {
		if err := core.Bridge.AddLink(t.Context(), fieldCard, "cli:test"); err != nil {
			t.Fatal(err)
		}
		if _, err := session.New(core.Log, core.Pool, nil).Open(t.Context(), "ann", session.Caller{}); err != nil {
			t.Fatal(err)
		}
	})
	old := restored(t, c)
	openOnce(t, c, func(core *boot.Site) {
		if err := defineType(t, core, "airport"); err != nil {
			t.Fatal(err)
		}
		if _, err := core.Bridge.Export(t.Context(), "field", "cli:test"); err != nil {
			t.Fatal(err)
		}
		deliver(t, core, field)
	})

	core := mustOpen(t, old)
	served := serveAPI(t, core)
	head, err := core.Log.Head(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var readOnly *eventstore.ReadOnlyError
	if err := defineType(t, core, "late"); !errors.As(err, &readOnly) {
		t.Fatalf("it still writes: %v", err)
	}
	if _, err := field.Bridge.Return(t.Context(), "core", head.Pos, "cli:test"); err != nil {
		t.Fatal(err)
	}
	deliver(t, field, core)
	r, err := core.Recover(t.Context(), nil, "cli:ann")
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(r.Unconfigured, []string{"airport"}) || r.Events == 0 {
		t.Errorf("recovered %+v", r)
	}
	if written, err := bridge.ReadCard(old.CardPath()); err != nil || written != r.Card || r.Card.Epoch == card.Epoch {
		t.Errorf("the card is %+v, %v", written, err)
	}
	if err := <-served; !errors.Is(err, eventstore.ErrRefounded) {
		t.Errorf("the program that served ended with %v", err)
	}
	again := mustOpen(t, old)
	var open int
	if err := again.Pool.QueryRow(t.Context(), `SELECT count(*) FROM sessions WHERE closed_at IS NULL`).Scan(&open); err != nil || open != 0 {
		t.Errorf("%d sessions are still open, %v", open, err)
	}
	if _, err := again.Reader.RequestType(t.Context(), "airport"); err != nil {
		t.Errorf("what was lost is not home: %v", err)
	}
	if err := defineType(t, again, "late"); err != nil {
		t.Error(err)
	}
	if again, err := boot.Init(t.Context(), old, "cli:test"); err != nil || again != r.Card {
		t.Errorf("init shows the card %+v, %v", again, err)
	}
}

func serveAPI(t *testing.T, s *boot.Site) <-chan error {
	t.Helper()
	var l net.ListenConfig
	ln, err := l.Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	t.Cleanup(cancel)
	served := make(chan error, 1)
	go func() { served <- s.Serve(ctx, ln, boot.Parts{API: true}) }()
	return served
}
