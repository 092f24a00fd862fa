package api

import (
	"context"
	"net/http"
	"strconv"
	"strings"
	"time"

	"sallyport/domain"
)

// maxWait bounds how long a call may ask to be held.
const maxWait = time.Minute

// preferredWait is how long the caller would wait for a change (RFC 7240,
// section 4.3), cut to what is offered; 0: not at all. What cannot be read is
// passed over, as a preference is.
func preferredWait(c *call) time.Duration {
	for _, line := range c.Header["Prefer"] {
		for preference := range strings.SplitSeq(line, ",") {
			first, _, _ := strings.Cut(preference, ";") // parameters have no meaning here
			name, value, _ := strings.Cut(first, "=")
			if !strings.EqualFold(strings.TrimSpace(name), "wait") {
				continue
			}
			n, err := strconv.ParseUint(strings.Trim(strings.TrimSpace(value), `"`), 10, 31)
			if err != nil {
				return 0
			}
			return min(time.Duration(n)*time.Second, maxWait)
		}
	}
	return 0
}

// view is what a held call would be answered with now.
type view struct {
	answer
	status domain.Status
	pos    int64 // where the request waits to cross
}

// settled says that there is nothing to wait for: an answer, or none ever; what
// failed only changes if its owner wants it to.
func (v view) settled() bool {
	switch v.status {
	case domain.StatusAnswered, domain.StatusFailed, domain.StatusCancelled:
		return true
	}
	return false
}

// held answers with what look gives, once enough says so, or when the time is
// over that the caller would wait. Whoever has the answer's tag already, and
// finds it changed, does not wait.
func (s *server) held(ctx context.Context, c *call, id string, look func(context.Context) (view, error), enough func(first, now view) bool) (answer, error) {
	wait := preferredWait(c)
	if wait == 0 {
		v, err := look(ctx)
		return v.answer, err
	}
	w, ok := s.room.Join(ctx, c.user.ID, id)
	if !ok { // too many wait: this one is answered at once, without Preference-Applied
		v, err := look(ctx)
		return v.answer, err
	}
	defer w.Leave()
	first, err := look(ctx)
	news := first.etag != "" && len(c.Header["If-None-Match"]) > 0 && first.statusCode() != http.StatusNotModified
	if err != nil || first.settled() || news {
		return first.applied(wait), err
	}
	w.At(first.pos)
	over := time.NewTimer(wait)
	defer over.Stop()
	for {
		last := false
		select {
		case <-w.C:
		case <-over.C:
			last = true
		case <-s.draining:
			last = true
		case <-ctx.Done():
			return answer{}, context.Cause(ctx)
		}
		now, err := look(ctx)
		if err != nil || last || now.settled() || enough(first, now) {
			return now.applied(wait), err
		}
		w.At(now.pos)
	}
}

func (v view) applied(wait time.Duration) answer {
	v.answer.waited = wait
	return v.answer
}
