package boot_test

import (
	"context"
	"io"
	"net"
	"net/http"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"sallyport/domain"
	"sallyport/internal/boot"
)

// What operators watch is there on both kinds of site, and says so when the
// database is away.
func TestMetricsOfASite(t *testing.T) {
	t.Parallel()
	c := config(t, "field", domain.RequestSite)
	mustInit(t, c)
	other := config(t, "core", domain.ResponseSite)
	peer := mustInit(t, other)
	s := mustOpen(t, c)
	if err := s.Bridge.AddLink(t.Context(), peer, "cli:test"); err != nil {
		t.Fatal(err)
	}
	ln, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	served := make(chan error, 1)
	go func() { served <- s.Serve(ctx, ln, boot.Parts{API: true}) }()
	scrape(t, "http://"+ln.Addr().String()) // a first call, to be counted
	text := scrape(t, "http://"+ln.Addr().String())
	for _, want := range []string{"sallyport_log_position ", "sallyport_log_seq ", "sallyport_log_read_only 0", "sallyport_database_up 1", `sallyport_link_exported_position{peer="core"} 0`,
		`sallyport_link_stopped{peer="core"} 0`, `sallyport_link_files_to_carry{peer="core"}`, `sallyport_password_hashes{state="running"} 0`, "sallyport_disk_free_bytes ",
		`sallyport_build_info{name="field",role="request",version=""} 1`, "sallyport_append_batch_size_count", "sallyport_appends_waiting 0", "sallyport_log_holes_total 0", "sallyport_poisoned_events 0", "sallyport_login_throttle_in_memory_total 0",
		`sallyport_periodic_failed{job="clean-bundles"} 0`, `sallyport_periodic_last_done_timestamp_seconds{job="clean-requests"} 0`, `sallyport_manual_work{state="open"} 0`, "sallyport_manual_work_since_timestamp_seconds 0", "sallyport_requests_uncounted 2", "go_goroutines", `sallyport_database_connections{state="in_use"}`} {
		if !strings.Contains(text, "\n"+want) {
			t.Errorf("no %s in\n%s", want, text)
		}
	}
	rules, err := os.ReadFile("../../deploy/prometheus/sallyport.rules.yml")
	if err != nil {
		t.Fatal(err)
	}
	named := regexp.MustCompile(`sallyport_[a-z_]+`).FindAllString(string(rules), -1)
	for _, name := range slices.Compact(slices.Sorted(slices.Values(named))) {
		elsewhere := []string{"sallyport_redis_up", "sallyport_tls_certificate_not_after_timestamp_seconds", "sallyport_reactor_behind_seconds"} // this site has none of them
		if !strings.Contains(text, "\n"+name) && !slices.Contains(elsewhere, name) {
			t.Errorf("an alert watches %s, which is not told", name)
		}
	}
	if len(named) < 15 {
		t.Errorf("the alerts watch %q", named)
	}
	stop()
	if err := <-served; err != nil {
		t.Error(err)
	}
}

func scrape(t *testing.T, url string) string {
	t.Helper()
	return scrapeWith(t, http.DefaultClient, url)
}

func scrapeWith(t *testing.T, client *http.Client, url string) string {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url+"/metrics", nil)
	if err != nil {
		t.Fatal(err)
	}
	res, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil || res.StatusCode != 200 {
		t.Fatalf("%d, %v: %s", res.StatusCode, err, text)
	}
	return string(text)
}
