package bench

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"sallyport/domain"
	"sallyport/eventstore"
)

// bareServer is an HTTP server that does one thing.
type bareServer struct {
	address string
	server  *http.Server
	served  chan error
}

// bareConns is how many connections the bare server has: as many as callers,
// which served it best.
const bareConns = 64

// serveBare starts a server that answers each call with 202 after do is done.
func (r *rig) serveBare(ctx context.Context, do func(ctx context.Context) error) (*bareServer, error) {
	ln, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	handler := func(w http.ResponseWriter, q *http.Request) {
		if _, err := io.Copy(io.Discard, q.Body); err != nil {
			http.Error(w, "the body did not arrive", http.StatusBadRequest)
			return
		}
		if err := do(q.Context()); err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		w.WriteHeader(http.StatusAccepted)
		_, _ = io.WriteString(w, `{"stored":true}`) // a caller that has gone is found by the next read
	}
	b := &bareServer{address: ln.Addr().String(), served: make(chan error, 1),
		server: &http.Server{Handler: http.HandlerFunc(handler), ReadHeaderTimeout: 5 * time.Second}}
	go func() { b.served <- b.server.Serve(ln) }()
	r.limits = append(r.limits, b)
	return b, nil
}

func (b *bareServer) stop() error {
	err := b.server.Close()
	if served := <-b.served; !errors.Is(served, http.ErrServerClosed) {
		err = errors.Join(err, served)
	}
	return err
}

// rowLine is as long as the line of a usual event.
func rowLine() string { return strings.Repeat("0123456789abcdef", 32) }

// insertOne stores one row and commits.
func (r *rig) insertOne() func(ctx context.Context) error {
	line := rowLine()
	return func(ctx context.Context) error {
		_, err := r.bare.Exec(ctx, insertRow, line)
		return err
	}
}

// appendOne stores one event with the log's own statements, in a transaction
// of its own that takes the head's lock for itself: what group commit saves.
func (s *site) appendOne(ctx context.Context) error {
	a := s.request()
	return pgx.BeginFunc(ctx, s.Pool, func(tx pgx.Tx) error {
		_, err := s.Log.AppendTx(ctx, tx, a)
		return err
	})
}

// request is the append that submitting a request makes.
func (s *site) request() eventstore.Append {
	return eventstore.Append{Actor: s.user, Writes: []eventstore.Write{{
		Stream: domain.RequestStream(newID()), Facts: []domain.Fact{s.submitted()}}}}
}
