package boot_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"sallyport/domain"
	"sallyport/internal/boot"
)

// A site that is told to stop says first that it is not ready, and finishes
// the calls under way.
func TestStoppingDrains(t *testing.T) {
	t.Parallel()
	c := config(t, "core", domain.ResponseSite)
	c.DrainNotice = 2 * time.Second
	mustInit(t, c)
	s := mustOpen(t, c)
	ln, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	served := make(chan error, 1)
	go func() { served <- s.Serve(ctx, ln, boot.Parts{API: true}) }()
	url := "http://" + ln.Addr().String() + "/health/ready"
	if status, text := ready(t, url); status != 200 {
		t.Fatalf("before: %d %s", status, text)
	}

	const body = `{"username":"nobody","password":"long enough"}`
	slow, err := new(net.Dialer).DialContext(t.Context(), "tcp", ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer slow.Close()
	fmt.Fprintf(slow, "POST /auth/login HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s", len(body), body[:10])
	stop()
	for {
		if status, text := ready(t, url); status == 503 {
			if !strings.Contains(text, "is stopping") {
				t.Errorf("it says %s", text)
			}
			break
		}
	}
	if _, err := io.WriteString(slow, body[10:]); err != nil {
		t.Fatal(err)
	}
	answer, err := http.ReadResponse(bufio.NewReader(slow), nil)
	if err != nil || answer.StatusCode != 401 {
		t.Fatalf("the call under way: %v, %v", answer, err)
	}
	_ = answer.Body.Close()
	if err := <-served; err != nil {
		t.Error(err)
	}
}

func ready(t *testing.T, url string) (int, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil || !json.Valid(text) {
		t.Fatalf("%v: %s", err, text)
	}
	return res.StatusCode, string(text)
}

func TestConfigOfHTTP(t *testing.T) {
	t.Parallel()
	good := boot.Config{Site: "field", Role: domain.RequestSite, Listen: ":8001", Database: boot.Database{URL: "postgres://u@h/d"}}
	for wrong, change := range map[string]func(*boot.Config){
		"tls.cert_file and tls.key_file": func(c *boot.Config) { c.TLS.CertFile = "cert.pem" },
		`cors.origins: "*"`:              func(c *boot.Config) { c.CORS.Origins = []string{"*"} },
		`cors.origins: "https://*.x.org"`: func(c *boot.Config) {
			c.CORS.Origins = []string{"https://portal.example", "https://*.x.org"}
		},
		`cors.origins: "https://x.org/"`: func(c *boot.Config) { c.CORS.Origins = []string{"https://x.org/"} },
		`cors.origins: "x.org"`:          func(c *boot.Config) { c.CORS.Origins = []string{"x.org"} },
		`trusted_proxies: "everybody"`:   func(c *boot.Config) { c.TrustedProxies = []string{"10.0.0.0/8", "everybody"} },
		`webhooks.allow: "home"`:         func(c *boot.Config) { c.Webhooks.Allow = []string{"home"} },
		"drain_notice":                   func(c *boot.Config) { c.DrainNotice = time.Hour },
	} {
		c := good
		change(&c)
		if err := c.Check(); err == nil || !strings.Contains(err.Error(), wrong) {
			t.Errorf("%s: %v", wrong, err)
		}
	}
	good.CORS.Origins, good.TrustedProxies = []string{"https://portal.example:8443"}, []string{"10.0.0.0/8", "::1"}
	if err := good.Check(); err != nil {
		t.Error(err)
	}
}
