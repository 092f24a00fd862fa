package api

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"sallyport/bridge"
	"sallyport/domain"
)

// auditExport gives a range of this site's own log as one file. It is made before
// it is sent, since its beginning tells of its end; one is made at a time, so that
// the disk has room for it.
func (s *server) auditExport(ctx context.Context, c *call) (answer, error) {
	values, err := onlyQuery(c, "from", "to")
	if err != nil {
		return answer{}, err
	}
	w := bridge.AuditWish{Operator: domain.UserStream(c.user.ID)}
	for name, position := range map[string]*int64{"from": &w.From, "to": &w.To} {
		if *position, err = numberOf(values, name); err != nil {
			return answer{}, err
		}
		if values.Has(name) && *position == 0 {
			return answer{}, badQuery(name, domain.FieldRange, "must be 1 or more")
		}
	}
	if !s.exporting.CompareAndSwap(false, true) {
		return answer{}, errExporting
	}
	defer s.exporting.Store(false)
	parts, err := s.Bridge.PlanAudit(ctx, w)
	switch {
	case errors.Is(err, bridge.ErrAuditRange):
		return answer{}, badQuery("from", domain.FieldRange, "or to is wrong: "+strings.TrimPrefix(err.Error(), bridge.ErrAuditRange.Error()+": "))
	case err != nil:
		return answer{}, err
	case len(parts) > 1:
		return answer{}, badQuery("to", domain.FieldRange, fmt.Sprintf("reaches further than one file does: ask for from=%d&to=%d, then for what comes behind", parts[0].From(), parts[0].To()))
	}
	if err := s.looked(ctx, c); err != nil {
		return answer{}, err
	}
	f, err := parts[0].Open(ctx)
	for _, part := range []string{"Range", "If-Range", "If-Match", "If-None-Match", "If-Modified-Since", "If-Unmodified-Since"} {
		c.Header.Del(part) // nobody has a piece of a file that was made just now
	}
	return answer{file: f}, err
}

var errExporting = &problem{Status: http.StatusConflict, code: "under-way",
	Detail: "a range of the log is being exported already: ask again when that has ended"}
