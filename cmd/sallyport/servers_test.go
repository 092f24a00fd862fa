package main

import (
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/redis/go-redis/v9"
)

// TestServersFail has a site's API go on while what it stands on fails. Nothing
// that was acknowledged is lost, and nothing is there twice.
func TestServersFail(t *testing.T) {
	t.Parallel()
	o := newOutage(t)
	t.Run("PostgreSQL ends at once and comes back", o.postgresEnds)
	t.Run("one of two processes is killed and Redis is flushed", o.processEnds)
	o.allAreThere(t)
}

const (
	callers = 8
	// refusedIn is the longest that a call may wait to hear that the site cannot
	// store it now, and backIn how soon the site must store again by itself: a
	// second and five, and as much again for a machine that does other work.
	refusedIn = 2 * time.Second
	backIn    = 10 * time.Second
)

func (o *outage) postgresEnds(t *testing.T) {
	p := o.serve(t)
	user := p.as(t, account{Username: "wide", Password: o.password})
	warm := o.submit(t, callers, user, false)
	warm.stores(t, 20)
	warm.stop()
	before := p.goroutines(t)
	l := o.submit(t, callers, user, false)
	l.stores(t, 40)
	o.endPostgres(t)
	refused := l.refused.Load()
	eventually(t, "calls are refused", func() bool { return l.refused.Load() >= refused+callers })
	o.start(t)
	began, stored := time.Now(), l.stored.Load()
	eventually(t, "it stores again", func() bool { return l.stored.Load() > stored })
	back := time.Since(began)
	l.stores(t, 40)
	l.stop()
	worst := time.Duration(l.worst.Load())
	t.Logf("%d calls were refused, in %s at most; after PostgreSQL was back it took %s", l.refused.Load(), worst, back)
	if worst > refusedIn || back > backIn {
		t.Errorf("calls were refused in %s at most, want %s; it stored again after %s, want %s", worst, refusedIn, back, backIn)
	}
	eventually(t, "no goroutine is left over", func() bool { return p.goroutines(t) <= before+callers })
}

// endPostgres ends the server as `pg_ctl -m immediate` does, which is as a crash
// but for the farewell.
func (o *outage) endPostgres(t *testing.T) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), o.postgres.DSN("field"))
	if err != nil {
		t.Fatal(err)
	}
	var text string
	if err := conn.QueryRow(t.Context(), `SELECT split_part(pg_read_file('postmaster.pid'), E'\n', 1)`).Scan(&text); err != nil {
		t.Fatal(err)
	}
	pid, err := strconv.Atoi(text)
	if err != nil {
		t.Fatal(err)
	}
	if err := syscall.Kill(pid, syscall.SIGQUIT); err != nil {
		t.Fatal(err)
	}
	_ = conn.Close(t.Context()) // it is gone
	eventually(t, "PostgreSQL is gone", func() bool { return syscall.Kill(pid, 0) != nil })
	if err := o.postgres.Stop(t.Context()); err != nil { // gives its folder back
		t.Fatal(err)
	}
}

var goroutines = regexp.MustCompile(`(?m)^go_goroutines (\d+)$`)

// goroutines returns how many the process has, as it tells itself.
func (p *process) goroutines(t *testing.T) int {
	t.Helper()
	found := goroutines.FindSubmatch(p.get(t, "/metrics").body)
	if found == nil {
		t.Fatal("the process does not tell how many goroutines it has")
	}
	n, _ := strconv.Atoi(string(found[1]))
	return n
}

func (o *outage) processEnds(t *testing.T) {
	stays, dies := o.serve(t), o.serve(t)
	login := dies.login(t, account{Username: "wide", Password: o.password})
	gone := caller{stays.url, login.text(t, "access_token")}
	narrow := dies.as(t, account{Username: "narrow", Password: o.password})
	one, other := o.submit(t, callers/2, stays.as(t, account{Username: "wide", Password: o.password}), false),
		o.submit(t, callers/2, dies.as(t, account{Username: "wide", Password: o.password}), true)
	dies.send(t, http.MethodPost, "/auth/logout", `{"refresh_token":"`+login.text(t, "refresh_token")+`"}`).want(t, http.StatusNoContent)
	refuses := func() bool { return gone.get(t, "/auth/me").status == http.StatusUnauthorized }
	eventually(t, "the other process knows that the session ended", refuses)
	one.stores(t, 20)
	other.stores(t, 20)
	o.flush(t)
	if err := dies.cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	one.stores(t, 40)
	one.stop()
	other.stop()
	if !refuses() {
		t.Error("an ended session is believed again")
	}
	if gone.url = o.serve(t).url; !refuses() {
		t.Error("a process that was started since believes an ended session")
	}
	narrow.url = stays.url
	allowed := 0
	for range anHour + 5 {
		o.tried.Add(1)
		switch r := narrow.submit(t, "airport", `{}`); r.status {
		case http.StatusAccepted:
			allowed++
			o.acknowledge(r.text(t, "id"))
		default:
			r.wantProblem(t, http.StatusTooManyRequests, "rate-limit-exceeded")
		}
	}
	if want := anHour + anHour/10; allowed != want {
		t.Errorf("%d requests were allowed, want %d", allowed, want)
	}
}

func (o *outage) flush(t *testing.T) {
	t.Helper()
	if o.redis == "" {
		return
	}
	options, err := redis.ParseURL(o.redis)
	if err != nil {
		t.Fatal(err)
	}
	client := redis.NewClient(options)
	defer client.Close()
	if err := client.FlushAll(t.Context()).Err(); err != nil {
		t.Fatal(err)
	}
}

// allAreThere compares the log with what was acknowledged.
func (o *outage) allAreThere(t *testing.T) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), o.postgres.DSN("field"))
	if err != nil {
		t.Fatal(err)
	}
	rows, err := conn.Query(t.Context(), `SELECT stream FROM events WHERE type = 'request.submitted'`)
	if err != nil {
		t.Fatal(err)
	}
	streams, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		t.Fatal(err)
	}
	_ = conn.Close(t.Context()) // all was read
	have := map[string]int{}
	for _, s := range streams {
		have[strings.TrimPrefix(s, "request-")]++
	}
	for id := range o.acknowledged {
		if have[id] != 1 {
			t.Errorf("the acknowledged request %s is there %d times", id, have[id])
		}
	}
	if tried := o.tried.Load(); int64(len(streams)) > tried {
		t.Errorf("%d requests are there, %d were tried", len(streams), tried)
	}
	t.Logf("%d requests were acknowledged, %d are there, %d were tried", len(o.acknowledged), len(streams), o.tried.Load())
	if r := call(t, "-C", o.config, "audit", "verify"); r.code != 0 {
		t.Errorf("audit verify: exit code %d: %s", r.code, r.stderr)
	}
}
