package bench

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"strconv"
	"time"
)

// target is an HTTP endpoint and what to ask it. The client is written by
// hand: net/http's would cost as much as the server that is measured.
type target struct {
	address  string
	requests [][]byte // as they go over the wire, with Content-Length; each caller asks them in turn
	status   int      // what the answers must be
	header   string   // what an answer's header must hold, if anything
}

// stuck is when a caller gives up: nothing measured here takes that long.
const stuck = 30 * time.Second

// join connects one caller, whose connection is kept alive.
func (t target) join(ctx context.Context) (member, error) {
	conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", t.address)
	if err != nil {
		return member{}, err
	}
	in := bufio.NewReader(conn)
	want := []byte(strconv.Itoa(t.status))
	next := rand.IntN(len(t.requests)) //nolint:gosec // so that not all begin with the same
	ask := func() error {
		next = (next + 1) % len(t.requests)
		if err := conn.SetDeadline(time.Now().Add(stuck)); err != nil {
			return err
		}
		if _, err := conn.Write(t.requests[next]); err != nil {
			return err
		}
		return t.answer(in, want)
	}
	return member{ask: ask, leave: conn.Close}, nil
}

var (
	contentLength = []byte("Content-Length: ")
	lineEnd       = []byte("\r\n")
)

// answer reads one answer (RFC 9112) of a server that tells its length.
func (t target) answer(in *bufio.Reader, want []byte) error {
	line, err := in.ReadSlice('\n')
	if err != nil {
		return fmt.Errorf("read an answer: %w", err)
	}
	if len(line) < 12 || !bytes.Equal(line[9:12], want) {
		return fmt.Errorf("an answer begins %q, want status %s", bytes.TrimSpace(line), want)
	}
	length, found := 0, t.header == ""
	for {
		line, err := in.ReadSlice('\n')
		if err != nil {
			return fmt.Errorf("read an answer: %w", err)
		}
		if bytes.Equal(line, lineEnd) {
			break
		}
		if rest, ok := bytes.CutPrefix(line, contentLength); ok {
			if length, err = strconv.Atoi(string(bytes.TrimSpace(rest))); err != nil {
				return fmt.Errorf("read an answer: %w", err)
			}
		}
		found = found || string(bytes.TrimSpace(line)) == t.header
	}
	if !found {
		return fmt.Errorf("an answer lacks %q", t.header)
	}
	_, err = in.Discard(length)
	return err
}

// wire returns a request as it goes over the wire.
func wire(method, path, address, token string, body []byte) []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, "%s %s HTTP/1.1\r\nHost: %s\r\nAuthorization: Bearer %s\r\n", method, path, address, token)
	if body != nil {
		fmt.Fprintf(&b, "Content-Type: application/json\r\nContent-Length: %d\r\n", len(body))
	}
	b.WriteString("\r\n")
	b.Write(body)
	return b.Bytes()
}
