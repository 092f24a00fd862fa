// Package tlsfiles serves TLS with a certificate and a key that lie in files
// and may be replaced at any time.
//
// # Promised
//
//   - New files are taken at the first handshake a second or more after they
//     were written; nothing is restarted and no connection is cut.
//   - A pair that does not fit together, is cut off or is missing changes
//     nothing: the pair served before stays, and the log says so once. So it does
//     not matter in which order the two files are replaced.
//   - TLS 1.2 and newer, HTTP/2.
package tlsfiles

import (
	"bytes"
	"crypto/sha256"
	"crypto/tls"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"time"
)

// Pair is a certificate with its key. It is safe for concurrent use.
type Pair struct {
	certFile, keyFile string
	logger            *slog.Logger

	mu     sync.Mutex
	served *tls.Certificate
	seen   [sha256.Size]byte // what was last found in the files, good or bad
	looked time.Time
}

// Open reads both files for the first time; then they must be good.
func Open(certFile, keyFile string, logger *slog.Logger) (*Pair, error) {
	p := &Pair{certFile: certFile, keyFile: keyFile, logger: logger, looked: time.Now()}
	cert, seen, err := p.read()
	if err != nil {
		return nil, fmt.Errorf("tls.cert_file and tls.key_file: %w", err)
	}
	p.served, p.seen = cert, seen
	return p, nil
}

func (p *Pair) read() (*tls.Certificate, [sha256.Size]byte, error) {
	var seen [sha256.Size]byte
	cert, err := os.ReadFile(p.certFile)
	if err != nil {
		return nil, seen, err
	}
	key, err := os.ReadFile(p.keyFile)
	if err != nil {
		return nil, seen, err
	}
	seen = sha256.Sum256(bytes.Join([][]byte{cert, key}, []byte{0}))
	pair, err := tls.X509KeyPair(cert, key) // its errors show nothing of the key
	return &pair, seen, err
}

// lookEvery is how often the files are looked at, at most.
const lookEvery = time.Second

// current returns the pair to serve now.
func (p *Pair) current() *tls.Certificate {
	p.mu.Lock()
	defer p.mu.Unlock()
	if time.Since(p.looked) < lookEvery {
		return p.served
	}
	p.looked = time.Now()
	cert, seen, err := p.read()
	if err == nil && seen == p.seen {
		return p.served
	}
	told := seen == p.seen // of this very content, or of files that are not there
	p.seen = seen
	switch {
	case err == nil:
		p.served = cert
		p.logger.Info("a new TLS certificate is served", "file", p.certFile, "not_after", cert.Leaf.NotAfter)
	case !told:
		p.logger.Warn("the TLS files do not fit; the certificate from before is still served", "cert_file", p.certFile, "key_file", p.keyFile, "error", err)
	}
	return p.served
}

// NotAfter is when the certificate expires that is served now.
func (p *Pair) NotAfter() time.Time { return p.current().Leaf.NotAfter }

// Config is for servers of HTTP.
func (p *Pair) Config() *tls.Config {
	return &tls.Config{MinVersion: tls.VersionTLS12, NextProtos: []string{"h2", "http/1.1"},
		GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return p.current(), nil }}
}
