package api

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"
)

// bounds are what one call of an endpoint may take. The zero value stands for
// a body of 1 MiB and the times of [Server].
type bounds struct {
	body int64
	time time.Duration // from the moment that the caller is known to be allowed
}

// workBounds are for what moves files on this site, and waits for a turn that
// is under way.
var workBounds = bounds{time: 10 * time.Minute}

// askBounds are for what asks a source, which may take its time.
var askBounds = bounds{time: 45 * time.Second}

// streamBounds are for what is read from the log while it is sent.
var streamBounds = transferBounds(0)

// transferBounds are for a whole bundle on a slow line: 256 MiB in an hour are
// 75 kB a second.
func transferBounds(body int64) bounds { return bounds{body: body, time: time.Hour} }

// open sets the bounds for a call that passed all checks, and the time of its
// context. Nobody else gets more than the usual ones.
func (b bounds) open(ctx context.Context, w http.ResponseWriter, c *call) (context.Context, context.CancelFunc, error) {
	limit := b.body
	if limit == 0 {
		limit = maxBody
	}
	c.Body = http.MaxBytesReader(w, c.Body, limit)
	if b.time == 0 {
		return ctx, func() {}, nil
	}
	// The connection's own deadlines would end the call earlier; that of reading
	// does it even after the body has come. Writing goes on after the work.
	conn, end := http.NewResponseController(w), time.Now().Add(b.time)
	err := errors.Join(conn.SetReadDeadline(end.Add(writeTimeout)), conn.SetWriteDeadline(end.Add(writeTimeout)))
	if err != nil && !errors.Is(err, http.ErrNotSupported) { // without a connection there are no deadlines
		return nil, nil, fmt.Errorf("give the call more time: %w", err)
	}
	ctx, cancel := context.WithDeadline(c.Context(), end)
	return ctx, cancel, nil
}
