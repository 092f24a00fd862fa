package api

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"net/http"

	"sallyport/domain"
	"sallyport/projections"
)

// request shows a request of one's own, when it changes if the caller prefers
// to wait.
func (s *server) request(ctx context.Context, c *call) (answer, error) {
	return s.heldRequest(ctx, c, func(q projections.Request, link Crossing) any { return s.shapeOfRequest(q, link) })
}

type statusShape struct {
	ID               string           `json:"id"`
	Status           domain.Status    `json:"status"`
	ExpectedCrossing expectedCrossing `json:"expected_crossing"`
}

// requestStatus shows the part of a request that changes.
func (s *server) requestStatus(ctx context.Context, c *call) (answer, error) {
	return s.heldRequest(ctx, c, func(q projections.Request, link Crossing) any {
		whole := s.shapeOfRequest(q, link)
		return statusShape{ID: whole.ID, Status: whole.Status, ExpectedCrossing: whole.ExpectedCrossing}
	})
}

func (s *server) heldRequest(ctx context.Context, c *call, shape func(projections.Request, Crossing) any) (answer, error) {
	id, err := idOf(c)
	if err != nil {
		return answer{}, err
	}
	look := func(ctx context.Context) (view, error) {
		q, err := s.ownOf(ctx, c, id)
		if err != nil {
			return view{}, err
		}
		link, err := s.Crossing(ctx)
		if err != nil {
			return view{}, err
		}
		v := view{status: q.Crossed(link.ExportedThrough, link.AckedThrough), pos: q.AskedPos}
		v.answer = tagged(c, requestTag(v.status, q.AskedPos), answer{value: shape(q, link)})
		if !v.settled() {
			v.retryAfter = lookAgain(link.ExportEvery)
		}
		return v, nil
	}
	return s.held(ctx, c, id, look, func(first, now view) bool { return first.etag != now.etag })
}

// requestTag names a version of a request. It is weak: when it is likely to cross is
// told anew each time, and makes no other version.
func requestTag(status domain.Status, askedPos int64) string {
	return fmt.Sprintf(`W/"%s-%d"`, status, askedPos)
}

// tagged gives an answer its tag, and takes the body away from whoever has it
// already.
func tagged(c *call, tag string, a answer) answer {
	a.etag = tag
	if known(c.Header["If-None-Match"], tag) {
		a.status, a.value, a.raw, a.rest = http.StatusNotModified, nil, nil, [2][]byte{}
	}
	return a
}

// requestList is a page of requests, with a tag that changes when one of them
// does.
func (s *server) requestList(c *call, found []projections.Request, next string, link Crossing) answer {
	items, h := make([]requestShape, len(found)), sha256.New()
	for i, q := range found {
		items[i] = s.shapeOfRequest(q, link)
		fmt.Fprintln(h, q.ID, items[i].Status, q.AskedPos)
	}
	fmt.Fprintln(h, next)
	return tagged(c, `W/"`+base64.RawURLEncoding.EncodeToString(h.Sum(nil)[:16])+`"`, list(c, items, next))
}
