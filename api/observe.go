package api

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/common/expfmt"

	"sallyport/api/ratelimit"
)

// sent counts what an answer sends.
type sent struct {
	http.ResponseWriter
	status int // 0: nothing yet
	bytes  int64
}

// WriteHeader implements [http.ResponseWriter]; only the first status counts.
func (s *sent) WriteHeader(status int) {
	if s.status != 0 {
		return
	}
	if status >= http.StatusOK {
		s.status = status
	}
	s.ResponseWriter.WriteHeader(status)
}

// Write implements [http.ResponseWriter].
func (s *sent) Write(b []byte) (int, error) {
	if s.status == 0 {
		s.status = http.StatusOK
	}
	n, err := s.ResponseWriter.Write(b)
	s.bytes += int64(n)
	return n, err
}

// Unwrap is for [http.ResponseController].
func (s *sent) Unwrap() http.ResponseWriter { return s.ResponseWriter }

// counts are what the API tells Prometheus of its calls.
type counts struct {
	inFlight  prometheus.Gauge
	durations *prometheus.HistogramVec
	reads     *prometheus.CounterVec
	limits    *prometheus.CounterVec
	// limitFailures counts how often Redis did not count.
	limitFailures prometheus.Counter
}

func newCounts(r *prometheus.Registry) (counts, error) {
	c := counts{
		inFlight: prometheus.NewGauge(prometheus.GaugeOpts{Name: "sallyport_http_requests_in_flight",
			Help: "Calls that are being answered."}),
		durations: prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: "sallyport_http_request_duration_seconds",
			Help:    "How long calls took, by route, method and class of status.",
			Buckets: []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30}}, []string{"route", "method", "status"}),
		reads: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "sallyport_response_cache_reads_total",
			Help: "Answers fetched, by whether the cache had them."}, []string{"result"}),
		limits: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "sallyport_rate_limit_decisions_total",
			Help: "Submissions held against their limits, by where they were counted and what came of it."}, []string{"backend", "status"}),
		limitFailures: prometheus.NewCounter(prometheus.CounterOpts{Name: "sallyport_rate_limit_redis_failures_total",
			Help: "How often Redis did not answer and a limit was counted in the process instead."}),
	}
	for _, part := range []prometheus.Collector{c.inFlight, c.durations, c.reads, c.limits, c.limitFailures} {
		if err := r.Register(part); err != nil {
			return counts{}, err
		}
	}
	return c, nil
}

// metered counts a decision about a limit.
func (c *counts) metered(r *ratelimit.Report) {
	backend := "redis"
	if r.InMemory {
		backend = "memory"
	}
	c.limits.WithLabelValues(backend, string(r.Status)).Inc()
}

// classes are the names of statuses in metrics.
var classes = [...]string{"0xx", "1xx", "2xx", "3xx", "4xx", "5xx"}

// observe counts and logs a call that was answered. Nothing of the query, of
// the body or of a token is in it. Of who was refused it tells the client too.
func (s *server) observe(ctx context.Context, route string, c *call, a answer, took time.Duration) {
	method := c.Method
	if !slices.Contains(countedMethods, method) {
		method = "other" // whoever calls must not make up series
	}
	s.durations.WithLabelValues(route, method, classes[min(c.sent.status/100, len(classes)-1)]).Observe(took.Seconds())
	if a.cache != "" {
		s.reads.WithLabelValues(a.cache).Inc()
	}
	level := slog.LevelInfo
	if slices.Contains(probes, route) && c.sent.status < http.StatusBadRequest {
		level = slog.LevelDebug
	}
	if !s.Logger.Enabled(ctx, level) {
		return
	}
	line := []slog.Attr{slog.String("method", method), slog.String("route", route), slog.Int("status", c.sent.status),
		slog.Int64("bytes", c.sent.bytes), slog.Duration("took", took), slog.String("user", c.user.ID), slog.String("trace_id", c.id),
		slog.String("remote", c.RemoteAddr)}
	if refused := c.sent.status; refused == http.StatusUnauthorized || refused == http.StatusForbidden {
		agent := c.UserAgent()
		line = append(line, slog.String("user_agent", agent[:min(len(agent), maxAgent)]))
	}
	s.Logger.LogAttrs(ctx, level, "call", line...)
}

// maxAgent bounds what a client calls itself in the log, in bytes.
const maxAgent = 200

var (
	countedMethods = []string{get, http.MethodHead, post, put, http.MethodPatch, http.MethodDelete, http.MethodOptions}
	// probes are called every few seconds by machines.
	probes = []string{"/health", "/health/ready", "/metrics"}
)

// metrics is what Prometheus scrapes. What could not be gathered is left out,
// and said in the log.
func (s *server) metrics(ctx context.Context, c *call) (answer, error) {
	if err := noQuery(c); err != nil {
		return answer{}, err
	}
	families, err := s.Metrics.Gather()
	if err != nil {
		s.Logger.WarnContext(ctx, "some metrics could not be gathered", "error", err)
	}
	format := expfmt.NewFormat(expfmt.TypeTextPlain)
	var b bytes.Buffer
	enc := expfmt.NewEncoder(&b, format)
	for _, f := range families {
		if err := enc.Encode(f); err != nil {
			return answer{}, fmt.Errorf("write the metrics: %w", err)
		}
	}
	return answer{raw: b.Bytes(), media: string(format)}, nil
}
