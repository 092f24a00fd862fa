package tlsfiles

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"log/slog"
	"math/big"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// pair is a certificate for localhost with its key, both in PEM.
func pair(t *testing.T, serial int64) (cert, key []byte) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(serial), DNSNames: []string{"localhost"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, private.Public(), private)
	if err != nil {
		t.Fatal(err)
	}
	secret, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: secret})
}

type site struct {
	*Pair
	server *httptest.Server
	logged *bytes.Buffer
}

func serve(t *testing.T) *site {
	t.Helper()
	s := &site{logged: &bytes.Buffer{}}
	dir := t.TempDir()
	cert, key := pair(t, 1)
	certFile, keyFile := filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	write(t, certFile, cert)
	write(t, keyFile, key)
	var err error
	if s.Pair, err = Open(certFile, keyFile, slog.New(slog.NewTextHandler(s.logged, nil))); err != nil {
		t.Fatal(err)
	}
	s.server = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { w.Header().Set("X-Proto", r.Proto) }))
	s.server.EnableHTTP2 = true
	s.server.TLS = s.Config()
	s.server.StartTLS()
	t.Cleanup(s.server.Close)
	return s
}

func write(t *testing.T, path string, data []byte) {
	t.Helper()
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
}

// serial makes a connection of its own and tells which certificate it was shown.
func (s *site) serial(t *testing.T) (serial int64, protocol string) {
	t.Helper()
	s.mu.Lock()
	s.looked = time.Time{} // a second has passed
	s.mu.Unlock()
	client := &http.Client{Transport: &http.Transport{ForceAttemptHTTP2: true, DisableKeepAlives: true,
		TLSClientConfig: &tls.Config{ServerName: "localhost", InsecureSkipVerify: true}}} //nolint:gosec // the test looks at the certificate itself
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.server.URL, nil)
	if err != nil {
		t.Fatal(err)
	}
	res, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	_ = res.Body.Close()
	return res.TLS.PeerCertificates[0].SerialNumber.Int64(), res.Proto
}

// Files that are replaced are served without a restart, once they fit.
func TestNewFilesAreServed(t *testing.T) {
	t.Parallel()
	s := serve(t)
	if serial, protocol := s.serial(t); serial != 1 || protocol != "HTTP/2.0" {
		t.Fatalf("certificate %d over %s", serial, protocol)
	}
	cert, key := pair(t, 2)
	write(t, s.certFile, cert)
	for range 2 {
		if serial, _ := s.serial(t); serial != 1 {
			t.Errorf("certificate %d is served with the key of another", serial)
		}
	}
	if n := strings.Count(s.logged.String(), "do not fit"); n != 1 {
		t.Errorf("it was said %d times: %s", n, s.logged)
	}
	write(t, s.keyFile, key)
	if serial, _ := s.serial(t); serial != 2 || !strings.Contains(s.logged.String(), "a new TLS certificate is served") {
		t.Errorf("certificate %d; %s", serial, s.logged)
	}
}

// Whatever becomes of the files, what was served goes on.
func TestBadFilesChangeNothing(t *testing.T) {
	t.Parallel()
	s := serve(t)
	for what, spoil := range map[string]func(){
		"empty":   func() { write(t, s.certFile, nil) },
		"garbage": func() { write(t, s.keyFile, []byte("-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n")) },
		"gone":    func() { _ = os.Remove(s.keyFile) },
	} {
		spoil()
		if serial, _ := s.serial(t); serial != 1 {
			t.Errorf("%s: certificate %d", what, serial)
		}
	}
	if strings.Contains(s.logged.String(), "AAAA") {
		t.Errorf("the key was logged: %s", s.logged)
	}
	if _, err := Open(s.certFile, s.keyFile, slog.Default()); err == nil || !strings.Contains(err.Error(), "tls.cert_file") {
		t.Errorf("a bad pair was opened at the start: %v", err)
	}
}

func TestOldProtocolsAreRefused(t *testing.T) {
	t.Parallel()
	s := serve(t)
	for version, accepted := range map[uint16]bool{tls.VersionTLS11: false, tls.VersionTLS12: true, tls.VersionTLS13: true} {
		dialer := &tls.Dialer{Config: &tls.Config{InsecureSkipVerify: true, MinVersion: tls.VersionTLS10, MaxVersion: version}} //nolint:gosec // on purpose
		conn, err := dialer.DialContext(t.Context(), "tcp", s.server.Listener.Addr().String())
		if err == nil {
			_ = conn.Close()
		}
		if (err == nil) != accepted {
			t.Errorf("%s: %v", tls.VersionName(version), err)
		}
	}
}
