package boot_test

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
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

// With the two files a site speaks TLS, and tells browsers to go on so.
func TestServesTLS(t *testing.T) {
	t.Parallel()
	c := config(t, "core", domain.ResponseSite)
	c.DrainNotice = time.Millisecond
	// The test server's own certificate is for example.com and 127.0.0.1.
	borrowed := httptest.NewTLSServer(nil)
	borrowed.Close()
	key, err := x509.MarshalPKCS8PrivateKey(borrowed.TLS.Certificates[0].PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	c.TLS = boot.TLS{CertFile: filepath.Join(c.Data, "cert.pem"), KeyFile: filepath.Join(c.Data, "key.pem")}
	for path, block := range map[string]*pem.Block{c.TLS.CertFile: {Type: "CERTIFICATE", Bytes: borrowed.Certificate().Raw}, c.TLS.KeyFile: {Type: "PRIVATE KEY", Bytes: key}} {
		if err := os.WriteFile(path, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	mustInit(t, c)
	s := mustOpen(t, c)
	ln, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	served := make(chan error, 1)
	go func() { served <- s.Serve(ctx, ln, boot.Parts{API: true}) }()
	trusted := x509.NewCertPool()
	trusted.AddCert(borrowed.Certificate())
	client := http.Client{Transport: &http.Transport{ForceAttemptHTTP2: true, TLSClientConfig: &tls.Config{RootCAs: trusted}}}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "https://"+ln.Addr().String()+"/health", nil)
	if err != nil {
		t.Fatal(err)
	}
	res, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	_ = res.Body.Close()
	if res.StatusCode != 200 || res.ProtoMajor != 2 || res.Header.Get("Strict-Transport-Security") == "" {
		t.Errorf("%s %s %v", res.Status, res.Proto, res.Header)
	}
	if text := scrapeWith(t, &client, "https://"+ln.Addr().String()); !strings.Contains(text, "\nsallyport_tls_certificate_not_after_timestamp_seconds ") {
		t.Error("nothing is told of the certificate's end")
	}
	client.CloseIdleConnections()
	stop()
	if err := <-served; err != nil {
		t.Error(err)
	}
	c.TLS.KeyFile = c.TLS.CertFile
	s.Config = c
	other, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Serve(t.Context(), other, boot.Parts{API: true}); err == nil || !strings.Contains(err.Error(), "tls.cert_file") {
		t.Errorf("with a certificate for a key: %v", err)
	}
}
