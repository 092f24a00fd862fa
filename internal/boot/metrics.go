package boot

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"sallyport/bridge"
	"sallyport/eventstore"
	"sallyport/internal/periodic"
	"sallyport/internal/tlsfiles"
	"sallyport/projections/reactor"
	"sallyport/projections/tally"
	"sallyport/responders/queue"
)

// commits counts what the log's writer does, from the moment it is open.
func (s *Site) commits() func(appends, events int) {
	h := prometheus.NewHistogram(prometheus.HistogramOpts{Name: "sallyport_append_batch_size",
		Help: "How many appends shared one commit of the log.", Buckets: prometheus.ExponentialBuckets(1, 2, 10)})
	n := prometheus.NewCounter(prometheus.CounterOpts{Name: "sallyport_events_appended_total", Help: "Events that this process wrote to the log."})
	s.counted = append(s.counted, h, n)
	return func(appends, events int) {
		h.Observe(float64(appends))
		n.Add(float64(events))
	}
}

// holes counts what readers miss in the log, and tells people at once.
func (s *Site) holes() func(*eventstore.GapError) {
	n := prometheus.NewCounter(prometheus.CounterOpts{Name: "sallyport_log_holes_total", Help: "Holes that readers of this process met in the log: it is damaged."})
	s.counted = append(s.counted, n)
	return func(hole *eventstore.GapError) {
		n.Inc()
		s.Logger.Error("the log is damaged", "error", hole)
	}
}

// measured returns what Prometheus is told of a site that serves. pair may be
// nil.
func (s *Site) measured(pair *tlsfiles.Pair) (*prometheus.Registry, error) {
	r := prometheus.NewRegistry()
	all := append([]prometheus.Collector{collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
		&gauges{site: s, pair: pair}}, s.counted...)
	for _, c := range all {
		if err := r.Register(c); err != nil {
			return nil, err
		}
	}
	return r, nil
}

// gauges look at the site when they are asked, at most once a second: whoever
// may ask must not make the database work.
type gauges struct {
	site *Site
	pair *tlsfiles.Pair // nil: no TLS

	mu    sync.Mutex
	until time.Time
	last  []prometheus.Metric
}

const (
	gaugesLast = time.Second
	gaugesTake = 3 * time.Second
)

// Describe implements [prometheus.Collector]: it says nothing beforehand,
// because which links there are is not known.
func (g *gauges) Describe(chan<- *prometheus.Desc) {}

// Collect implements [prometheus.Collector].
func (g *gauges) Collect(out chan<- prometheus.Metric) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if time.Now().After(g.until) {
		ctx, cancel := context.WithTimeout(context.Background(), gaugesTake)
		g.last = g.gather(ctx)
		cancel()
		g.until = time.Now().Add(gaugesLast)
	}
	for _, m := range g.last {
		out <- m
	}
}

// reading gathers metrics by their names.
type reading struct{ metrics []prometheus.Metric }

// add takes the value of a gauge; labels are name, value, ….
func (r *reading) add(name, help string, value float64, labels ...string) {
	var names, values []string
	for pair := range slices.Chunk(labels, 2) {
		names, values = append(names, pair[0]), append(values, pair[1])
	}
	r.metrics = append(r.metrics, prometheus.MustNewConstMetric(prometheus.NewDesc("sallyport_"+name, help, names, nil), prometheus.GaugeValue, value, values...))
}

func bit(b bool) float64 {
	if b {
		return 1
	}
	return 0
}

// gather reads all. What the database does not tell is left out, and
// sallyport_database_up says so.
func (g *gauges) gather(ctx context.Context) []prometheus.Metric {
	s, r := g.site, &reading{}
	r.add("build_info", "The program's version.", 1, "version", s.Version, "name", s.Config.Site, "role", string(s.Config.Role))
	running, waiting := s.Passwords.Load()
	r.add("password_hashes", "Passwords that are being hashed, and those that wait.", float64(running), "state", "running")
	r.add("password_hashes", "Passwords that are being hashed, and those that wait.", float64(waiting), "state", "waiting")
	r.add("appends_waiting", "Appends that wait for the log's writer; at 4,096 it refuses more.", float64(s.Log.Queued()))
	pool := s.Pool.Stat()
	const connections = "Connections to PostgreSQL of this process."
	r.add("database_connections", connections, float64(pool.AcquiredConns()), "state", "in_use")
	r.add("database_connections", connections, float64(pool.IdleConns()), "state", "idle")
	r.add("database_connections_max", "How many connections there may be.", float64(pool.MaxConns()))
	if s.redis != nil {
		r.add("redis_up", "Whether Redis answers.", bit(s.CacheReady(ctx) == nil))
	}
	if room, err := s.room(); err == nil {
		r.add("disk_free_bytes", "Room for the site's files.", float64(room.Free))
		r.add("disk_total_bytes", "Size of the file system with the site's files.", float64(room.Total))
	}
	if g.pair != nil {
		r.add("tls_certificate_not_after_timestamp_seconds", "When the certificate expires.", float64(g.pair.NotAfter().Unix()))
	}
	r.add("database_up", "Whether PostgreSQL tells how the site is.", bit(s.readDatabase(ctx, r) == nil))
	return r.metrics
}

func (s *Site) readDatabase(ctx context.Context, r *reading) error {
	head, err := s.Log.Head(ctx)
	if err != nil {
		return err
	}
	r.add("log_position", "The last position of the site's own log.", float64(head.Pos))
	r.add("log_seq", "Events stored here, own and mirrored.", float64(head.Seq))
	r.add("log_read_only", "Whether the log refuses to be written.", bit(head.ReadOnly != ""))
	jobs, err := queue.Counts(ctx, s.Pool)
	if err != nil {
		return err
	}
	for _, c := range jobs {
		r.add("queue_jobs", "Jobs that have not ended, by state; discarded ones wait for a person.", float64(c.Jobs), "queue", c.Queue, "state", c.State)
	}
	if err := s.readChores(ctx, r); err != nil {
		return err
	}
	links, err := s.Bridge.Status(ctx)
	if err != nil {
		return err
	}
	for _, l := range links {
		r.link(l)
	}
	return nil
}

// readChores tells what waits for people, and of what the site does by itself.
func (s *Site) readChores(ctx context.Context, r *reading) error {
	poisoned, err := reactor.NewPoison(s.Pool).Depth(ctx)
	if err != nil {
		return err
	}
	r.add("poisoned_events", "Events that a reactor or a webhook gave up and nobody has decided about.", float64(poisoned))
	if err := s.readReactors(ctx, r); err != nil {
		return err
	}
	if err := s.readDesk(ctx, r); err != nil {
		return err
	}
	runs, _, err := periodic.List(ctx, s.Pool)
	for _, run := range runs {
		r.add("periodic_failed", "Whether the newest run of a periodic job failed.", bit(run.Failed), "job", run.Job)
		last := 0.0
		if run.LastDone != nil {
			last = float64(time.Time(*run.LastDone).Unix())
		}
		r.add("periodic_last_done_timestamp_seconds", "When a periodic job was last done; 0: never.", last, "job", run.Job)
	}
	return err
}

// readDesk tells what waits for analysts.
func (s *Site) readDesk(ctx context.Context, r *reading) error {
	desk, err := s.Reader.WorkWaiting(ctx, time.Now())
	if err != nil {
		return err
	}
	const waiting = "Requests that wait for an analyst's answer, by whether somebody has claimed them."
	r.add("manual_work", waiting, float64(desk.Open), "state", "open")
	r.add("manual_work", waiting, float64(desk.Claimed), "state", "claimed")
	since := 0.0
	if !desk.Oldest.IsZero() {
		since = float64(desk.Oldest.UnixMilli()) / 1000
	}
	r.add("manual_work_since_timestamp_seconds", "Since when the first request waits for an analyst's answer; 0: none does.", since)
	return nil
}

func (s *Site) readReactors(ctx context.Context, r *reading) error {
	places, err := reactor.Places(ctx, s.Pool)
	for _, p := range places {
		r.add("reactor_position", "The seq of the last event that a reactor is past.", float64(p.Position), "reactor", p.Reactor)
		r.add("reactor_behind_events", "Events that a reactor has still to look at.", float64(p.Behind), "reactor", p.Reactor)
		r.add("reactor_behind_seconds", "How long the first of these has been waiting.", p.BehindSeconds, "reactor", p.Reactor)
	}
	if err != nil {
		return err
	}
	uncounted, err := tally.New(s.Pool).Uncounted(ctx)
	r.add("requests_uncounted", "Positions of the log that are not in the counts of requests yet.", float64(uncounted))
	return err
}

func (r *reading) link(l bridge.Status) {
	add := func(name, help string, value float64) { r.add("link_"+name, help, value, "peer", l.Peer) }
	add("exported_position", "The position through which this site's log was exported.", float64(l.ExportedThrough))
	add("acked_position", "The position through which the peer has this site's log.", float64(l.AckedThrough))
	add("applied_position", "The position through which the peer's log was applied here.", float64(l.AppliedThrough))
	add("missing_bundles", "Bundles of the peer that are asked for.", float64(len(l.Missing)))
	add("held_bundles", "Bundles of the peer that wait for an earlier one.", float64(len(l.Held)))
	add("quarantined_files", "Refused files that nobody has decided about.", float64(l.Quarantined))
	add("files_to_carry", "Files in the outbox that must be carried.", float64(len(l.Carry)))
	add("stopped", "Whether the link is stopped.", bit(l.Stopped != nil))
	add("last_contact_timestamp_seconds", "When the peer was last heard; 0: never.", seconds(l.LastContact))
	add("carry_since_timestamp_seconds", "Since when the first file to carry lies there; 0: there is none.", seconds(l.CarrySince))
}

// seconds is a displayed time as Prometheus has it.
func seconds(display *string) float64 {
	if display == nil {
		return 0
	}
	t, err := time.Parse(time.RFC3339Nano, *display)
	if err != nil {
		return 0
	}
	return float64(t.UnixMilli()) / 1000
}
