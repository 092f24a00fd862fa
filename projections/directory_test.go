package projections_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5/pgxpool"

	"sallyport/domain"
	"sallyport/eventstore"
	"sallyport/projections"
	"sallyport/projections/rebuild"
)

// directory opens a site's log once more, as a process with a directory does.
func directory(t testing.TB, site *eventstoreSite) (*projections.Directory, *eventstore.Store) {
	t.Helper()
	d := projections.NewDirectory(site.Pool, slog.New(slog.DiscardHandler))
	c := site.Config
	c.Inline = append(projections.Inline(), d)
	s, err := eventstore.Open(t.Context(), site.Pool, c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return d, s
}

func run(t testing.TB, d *projections.Directory) {
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- d.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

// eventually waits until yes says so.
func eventually(t testing.TB, what string, yes func() bool) {
	t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(30 * time.Second); !yes(); <-tick.C {
		if time.Now().After(deadline) {
			t.Fatalf("it never came to this: %s", what)
		}
	}
}

func title(t testing.TB, d *projections.Directory) string {
	t.Helper()
	f, err := d.RequestType(t.Context(), "airport")
	if err != nil {
		t.Error(err)
	}
	return f.Title
}

// tamper changes all rows behind the log's back, which nothing can notice that
// answers from memory.
func tamper(t testing.TB, site *eventstoreSite, mark string) {
	t.Helper()
	for _, sql := range []string{
		`UPDATE readmodel.users SET full_name = $1`,
		`UPDATE readmodel.profiles SET definition = json_build_object('display_name', $1::text)`,
		`UPDATE readmodel.request_types SET definition = json_build_object('title', $1::text)`,
	} {
		if _, err := site.Owner.Exec(t.Context(), sql, mark); err != nil {
			t.Fatal(err)
		}
	}
}

func TestDirectoryAnswersFromMemory(t *testing.T) {
	t.Parallel()
	site := responseSite(t)
	d, s := directory(t, site)
	appendTo(t, s, domain.UserStream(id(1)), user("ada"))
	appendTo(t, s, domain.ProfileStream("basic"), profile(5))
	appendTo(t, s, domain.RequestTypeStream("airport"), requestType("airport", "Airports"))
	run(t, d)
	round := 0
	eventually(t, "all is in memory", func() bool {
		round++
		mark := fmt.Sprint("round ", round)
		tamper(t, site, mark)
		return !slices.Contains(ask(t, d), mark)
	})
	changed := profile(5)
	changed.DisplayName = "changed"
	appendTo(t, s, domain.UserStream(id(1)), domain.UserRegistered{Username: "ada", FullName: "changed"})
	appendTo(t, s, domain.ProfileStream("basic"), changed)
	appendTo(t, s, domain.RequestTypeStream("airport"), requestType("airport", "changed"))
	if d := cmp.Diff([]string{"changed", "changed", "changed", "changed"}, ask(t, d)); d != "" {
		t.Errorf("what was in memory outlives its change:\n%s", d)
	}
}

// ask asks all that a directory knows.
func ask(t testing.TB, d *projections.Directory) []string {
	t.Helper()
	u, err := d.User(t.Context(), id(1))
	p, err2 := d.Profile(t.Context(), "basic")
	all, err3 := d.RequestTypes(t.Context())
	if err := errors.Join(err, err2, err3); err != nil || len(all) != 1 {
		t.Fatal(all, err)
	}
	return []string{u.FullName, p.DisplayName, title(t, d), all[0].Title}
}

func TestDirectoryShowsOwnChangesAtOnce(t *testing.T) {
	t.Parallel()
	site := responseSite(t)
	d, s := directory(t, site)
	run(t, d)
	appendTo(t, s, domain.RequestTypeStream("airport"), requestType("airport", "0"))
	ctx, cancel := context.WithCancel(t.Context())
	var readers sync.WaitGroup
	for range 4 {
		readers.Go(func() {
			for ctx.Err() == nil {
				title(t, d)
			}
		})
	}
	defer readers.Wait()
	defer cancel()
	for n := range 150 {
		want := time.Duration(n).String()
		appendTo(t, s, domain.RequestTypeStream("airport"), requestType("airport", want))
		if got := title(t, d); got != want {
			t.Fatalf("after it was changed to %s the directory says %s", want, got)
		}
		if all, err := d.RequestTypes(t.Context()); err != nil || all[0].Title != want {
			t.Fatalf("after it was changed to %s the list says %v, %v", want, all, err)
		}
	}
}

func TestDirectoryFollowsOtherProcesses(t *testing.T) {
	t.Parallel()
	site := responseSite(t)
	d, s := directory(t, site)
	run(t, d)
	appendTo(t, s, domain.RequestTypeStream("airport"), requestType("airport", "old"))
	eventually(t, "the old title is in memory", func() bool { return title(t, d) == "old" })
	other := site.Store // it has no directory to tell
	appendTo(t, other, domain.RequestTypeStream("airport"), requestType("airport", "new"))
	eventually(t, "the new title shows", func() bool { return title(t, d) == "new" })
	appendTo(t, other, domain.UserStream(id(1)), user("ada"))
	if u, err := d.User(t.Context(), id(1)); err != nil || u.Username != "ada" {
		t.Errorf("a new user of another process: %v, %v", u, err)
	}
	if _, err := d.User(t.Context(), id(2)); !errors.Is(err, projections.ErrNotFound) {
		t.Errorf("a user who does not exist: %v", err)
	}
}

// A process that hears of another's change looks at once, however seldom it
// looks by itself.
func TestDirectoryHearsOfOtherProcesses(t *testing.T) {
	t.Parallel()
	site := responseSite(t)
	d, s := directory(t, site)
	_, other := directory(t, site)
	appendTo(t, s, domain.RequestTypeStream("airport"), requestType("airport", "old"))
	d.SetEvery(time.Hour)
	s.Hear(projections.RightsChanged, d.Wake)
	run(t, d)
	round := 0
	eventually(t, "it is in memory", func() bool {
		round++
		mark := fmt.Sprint("round ", round)
		tamper(t, site, mark)
		return title(t, d) != mark
	})
	for _, now := range []string{"new", "newer"} {
		appendTo(t, other, domain.RequestTypeStream("airport"), requestType("airport", now))
		eventually(t, now+" shows", func() bool { return title(t, d) == now })
	}
}

// A rebuild is no event: what was in memory may be the damage it repaired.
func TestDirectoryForgetsWhatWasRebuilt(t *testing.T) {
	t.Parallel()
	site := responseSite(t)
	d, s := directory(t, site)
	appendTo(t, s, domain.RequestTypeStream("airport"), requestType("airport", "Airports"))
	tamper(t, site, "damaged")
	run(t, d)
	eventually(t, "the damage is in memory", func() bool { return title(t, d) == "damaged" })
	if _, err := rebuild.Run(t.Context(), rebuild.Config{Pool: site.Pool}, "request_types"); err != nil {
		t.Fatal(err)
	}
	eventually(t, "it is forgotten", func() bool { return title(t, d) == "Airports" })
}

func TestDirectoryWithoutRunKeepsNothing(t *testing.T) {
	t.Parallel()
	site := responseSite(t)
	d, s := directory(t, site)
	appendTo(t, s, domain.RequestTypeStream("airport"), requestType("airport", "old"))
	if got := title(t, d); got != "old" {
		t.Errorf("got %s", got)
	}
	tamper(t, site, "tampered")
	if got := title(t, d); got != "tampered" {
		t.Errorf("a directory that does not follow the log answers from memory: %s", got)
	}
}

func TestDirectoryOutlivesTheDatabase(t *testing.T) {
	t.Parallel()
	site := responseSite(t)
	appendTo(t, site.Store, domain.RequestTypeStream("airport"), requestType("airport", "Airports"))
	own, err := pgxpool.New(t.Context(), site.AppURL)
	if err != nil {
		t.Fatal(err)
	}
	d := projections.NewDirectory(own, slog.New(slog.DiscardHandler))
	run(t, d)
	round, got := 0, ""
	eventually(t, "the title is in memory", func() bool {
		round++
		tamper(t, site, fmt.Sprint("round ", round))
		got = title(t, d)
		return got != fmt.Sprint("round ", round)
	})
	own.Close()
	if again := title(t, d); again != got {
		t.Errorf("without a database the directory says %s, before it said %s", again, got)
	}
	if _, err := d.Profile(t.Context(), "basic"); err == nil || errors.Is(err, projections.ErrNotFound) {
		t.Errorf("what it cannot know gives %v", err)
	}
}
