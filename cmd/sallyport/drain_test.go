package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"sallyport/domain"
	"sallyport/eventstore"
	"sallyport/internal/boot"
	"sallyport/responders/responderstest"
)

// drains is how many requests drain while their workers are killed.
var drains = flag.Int("drain", 320, "how many requests are answered by workers that are killed")

// TestWorkersAreKilledWhileTheQueueDrains kills processes of workers again and
// again, one or both, in the middle of their questions. Each request gets one
// outcome a try: an answer, or a failure, and after that is taken back one more.
func TestWorkersAreKilledWhileTheQueueDrains(t *testing.T) {
	t.Parallel()
	d := newDrain(t)
	d.ask(t, *drains)
	began := time.Now()
	killed := d.killing(t, *drains)
	t.Logf("%d requests were answered in %s; %d processes of workers were killed meanwhile", *drains, time.Since(began).Round(time.Millisecond), killed)
	d.each(t, []string{"response.recorded"}, []string{"response.failed"})
	for id, n := range d.asked {
		if n%unanswered == 0 {
			d.core.must(t, "queue", "retry", id)
		}
	}
	d.kill(t, 0)
	d.drained(t, 0)
	d.each(t, []string{"response.recorded"}, []string{"response.failed", "response.retried", "response.failed"})
	d.core.must(t, "audit", "verify")
}

const (
	asker = "0190f5a0-0000-7000-8000-00000000a11c"
	// unanswered is every how many-th request is one that cannot be answered.
	unanswered = 160
	// slowly answers in 0 to 100 ms, so that a kill finds questions under way, of
	// which some are known to have begun.
	slowly = `SELECT id, name, 1 / (@n::int % 160) AS part, pg_sleep(random() * 0.1)::text AS slept FROM item WHERE id = @n::int % 1000`
)

// drain is a response site with a queue, and the processes that work on it.
type drain struct {
	core    *station
	workers [2]*exec.Cmd
	asked   map[string]int // what was asked, by request
}

func newDrain(t *testing.T) *drain {
	t.Helper()
	source, _ := responderstest.Source(t, `CREATE TABLE item (id int PRIMARY KEY, name text);
		INSERT INTO item SELECT n, 'item ' || n FROM generate_series(0, 999) n; GRANT SELECT ON item TO `+responderstest.Reader)
	d := &drain{core: newStation(t, "core", domain.ResponseSite, t.TempDir()), asked: map[string]int{}}
	c := boot.Config{Site: "core", Role: domain.ResponseSite, Listen: "127.0.0.1:0", Database: boot.Database{URL: d.core.AppURL, MaxConns: 8},
		Responders: boot.Responders{Sources: map[string]boot.Source{"items": {URL: source}}}}
	if err := c.Write(d.core.config); err != nil {
		t.Fatal(err)
	}
	for stream, f := range map[string]domain.Fact{
		domain.UserStream(asker): domain.UserRegistered{Username: "asker", Email: "asker@example.org", FullName: "Asker", Profile: "basic", Role: domain.RoleUser,
			Credential: domain.Credential{Algorithm: "argon2id", Hash: "$argon2id$v=19$m=19456,t=2,p=1$c2FsdHNhbHRzYWx0c2E$kZyBfMmdFGDFXnHpxxcwSYUOjXIzCEMlHeZDJ3GQuOs"}},
		domain.ProfileStream("basic"):    domain.ProfileDefined{Name: "basic", Priority: 5, MaxResults: 1000, Allowed: []string{"item"}, Blocked: []string{}, TypeLimits: map[string]domain.TypeLimit{}},
		domain.RequestTypeStream("item"): domain.RequestTypeDefined{Name: "item", Title: "T", Version: 1, MaxResults: 10, Parameters: json.RawMessage(`{"type":"object"}`)},
		domain.ResponderConfigStream("item"): domain.ResponderConfigured{Kind: domain.ResponderSQL, Source: "items", TimeoutMS: 5000,
			Statement: slowly},
	} {
		d.append(t, d.core, eventstore.Write{Stream: stream, Facts: []domain.Fact{f}})
	}
	t.Cleanup(func() {
		for i := range d.workers {
			d.kill(t, i)
		}
	})
	return d
}

func (d *drain) append(t *testing.T, at *station, writes ...eventstore.Write) {
	t.Helper()
	if _, err := at.Store.Append(t.Context(), eventstore.Append{Actor: "cli:test", Writes: writes}); err != nil {
		t.Fatal(err)
	}
}

// ask lets so many requests come over a link. No process works yet.
func (d *drain) ask(t *testing.T, n int) {
	t.Helper()
	field := newStation(t, "field", domain.RequestSite, t.TempDir())
	field.link(t, d.core.card)
	d.core.link(t, field.card)
	var writes []eventstore.Write
	for i := range n {
		id := uuid.NewString()
		d.asked[id] = i
		writes = append(writes, eventstore.Write{Stream: domain.RequestStream(id), Facts: []domain.Fact{domain.RequestSubmitted{
			Type: "item", TypeVersion: 1, Params: fmt.Appendf(nil, `{"n":%d}`, i), Priority: 1 + i%10, User: asker}}})
	}
	for some := range slices.Chunk(writes, 500) {
		d.append(t, field, some...)
	}
	field.must(t, "bundle", "export")
	for _, name := range field.bundles(t, "outbox") {
		d.core.drop(t, name, readFile(t, filepath.Join(field.dir, "outbox", name)))
	}
	d.core.must(t, "bundle", "import")
}

// killing has n requests answered by two processes, of which one or both are
// killed and replaced again and again, and returns how many were.
func (d *drain) killing(t *testing.T, n int) (killed int) {
	t.Helper()
	d.start(t, 0)
	d.start(t, 1)
	every := min(n/8, 250)
	for left := n - every; left > every/2; left -= every {
		d.drained(t, left)
		for _, i := range [][]int{{0}, {1}, {0, 1}}[killed%3] {
			d.kill(t, i)
			killed++
			d.start(t, i)
		}
	}
	d.drained(t, 0)
	return killed
}

// start starts the i-th process, which does nothing but work.
func (d *drain) start(t *testing.T, i int) {
	t.Helper()
	cmd := d.core.command(context.WithoutCancel(t.Context()), "serve", "--only", "workers") // ended by kill
	cmd.Stderr = &safeBuffer{}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	d.workers[i] = cmd
}

// kill ends the i-th process as a power cut does.
func (d *drain) kill(t *testing.T, i int) {
	t.Helper()
	cmd := d.workers[i]
	if cmd == nil {
		return
	}
	d.workers[i] = nil
	if err := cmd.Process.Kill(); err != nil {
		t.Error(err)
	}
	_ = cmd.Wait() // it was killed, which the state tells from another end
	if said := fmt.Sprint(cmd.Stderr); cmd.ProcessState.ExitCode() != killedCode || strings.Contains(said, "DATA RACE") {
		t.Errorf("a process of workers ended by itself, with code %d, or worse:\n%s", cmd.ProcessState.ExitCode(), said)
	}
}

// drained waits until no more than so many jobs are left.
func (d *drain) drained(t *testing.T, left int) {
	t.Helper()
	eventually(t, fmt.Sprintf("the end of all jobs but %d", left), func() (over bool) {
		err := d.core.Owner.QueryRow(t.Context(), `SELECT count(*) <= $1 FROM river_job WHERE kind = 'answer' AND state <> 'completed'`, left).Scan(&over)
		if err != nil {
			t.Fatal(err)
		}
		return over
	})
}

// each holds what the log tells of the outcomes of each request's tries: good of
// one that can be answered, bad of the others.
func (d *drain) each(t *testing.T, good, bad []string) {
	t.Helper()
	told := map[string][]string{}
	for _, l := range d.core.lines(t, "core") {
		if id, ok := strings.CutPrefix(l.Stream, "response-"); ok && l.Type != "response.started" && l.Type != "response.retry_scheduled" {
			told[id] = append(told[id], l.Type)
		}
	}
	if len(told) != len(d.asked) {
		t.Errorf("%d requests have outcomes, %d were asked", len(told), len(d.asked))
	}
	for id, n := range d.asked {
		want := good
		if n%unanswered == 0 {
			want = bad
		}
		if !slices.Equal(told[id], want) {
			t.Errorf("of request %d the log tells %q, want %q", n, told[id], want)
		}
	}
}
