package bench

import (
	"context"
	"net/http"

	"github.com/google/uuid"
)

// clients is how many callers the HTTP figures have.
const clients = 64

func newID() string { return uuid.Must(uuid.NewV7()).String() }

// post measures POST /requests on the whole stack.
func (r *rig) post(ctx context.Context) (measure, error) {
	token, err := r.site.logIn(ctx)
	if err != nil {
		return nil, err
	}
	t := target{address: r.site.address, status: http.StatusAccepted,
		requests: [][]byte{wire(http.MethodPost, "/requests", r.site.address, token, []byte(question))}}
	return func(ctx context.Context) (float64, error) { return r.crowd(clients).rate(ctx, t.join) }, r.settle(ctx, siteDatabase)
}

// postTo measures the same request against a bare server.
func (r *rig) postTo(ctx context.Context, do func(context.Context) error) (measure, error) {
	b, err := r.serveBare(ctx, do)
	if err != nil {
		return nil, err
	}
	t := target{address: b.address, status: http.StatusAccepted,
		requests: [][]byte{wire(http.MethodPost, "/requests", b.address, "none", []byte(question))}}
	return func(ctx context.Context) (float64, error) { return r.crowd(clients).rate(ctx, t.join) }, nil
}

func postAgainstBare(ctx context.Context, r *rig) (c contest, err error) {
	c.limitName = "bare net/http server, one INSERT and commit a request, 64 connections"
	if c.subject, err = r.post(ctx); err != nil {
		return c, err
	}
	c.limit, err = r.postTo(ctx, r.insertOne())
	return c, err
}

func postAgainstPgbench(ctx context.Context, r *rig) (c contest, err error) {
	if c.subject, err = r.post(ctx); err != nil {
		return c, err
	}
	c.limit, c.limitName, err = r.pgbench()
	return c, err
}

func postAgainstRowLock(ctx context.Context, r *rig) (c contest, err error) {
	c.limitName = "bare net/http server, one transaction with its own head lock a request, 16 connections"
	if c.subject, err = r.post(ctx); err != nil {
		return c, err
	}
	c.limit, err = r.postTo(ctx, r.site.appendOne)
	return c, err
}

// appendBy measures appends by so many goroutines at once.
func appendBy(callers int) func(context.Context, *rig) (contest, error) {
	return func(ctx context.Context, r *rig) (c contest, err error) {
		join := func(ctx context.Context) (member, error) {
			return member{ask: func() error {
				_, err := r.site.Log.Append(ctx, r.site.request())
				return err
			}}, nil
		}
		c.subject = func(ctx context.Context) (float64, error) { return r.crowd(callers).rate(ctx, join) }
		if c.limit, c.limitName, err = r.pgbench(); err != nil {
			return c, err
		}
		return c, r.settle(ctx, siteDatabase)
	}
}

func getAgainstRedis(ctx context.Context, r *rig) (contest, error) {
	if r.redis == nil {
		return contest{limitName: "not measured: there is no redis-server on this machine"}, nil
	}
	token, err := r.site.logIn(ctx)
	if err != nil {
		return contest{}, err
	}
	id, err := r.site.cacheAnswer(ctx)
	if err != nil {
		return contest{}, err
	}
	t := target{address: r.site.address, status: http.StatusOK, header: "X-Cache: hit",
		requests: [][]byte{wire(http.MethodGet, "/requests/"+id+"/response", r.site.address, token, nil)}}
	c := contest{subject: func(ctx context.Context) (float64, error) { return r.crowd(clients).rate(ctx, t.join) }}
	c.limit, c.limitName = r.redisGet(id)
	return c, nil
}
