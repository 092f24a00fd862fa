package console

import (
	"cmp"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"sallyport/domain"
)

const (
	// beat is how often a stream shows that it lives and looks whether its
	// session still does.
	beat = 10 * time.Second
	// streamFor is how long a stream lasts: the browser opens another.
	streamFor = 10 * time.Minute
	// streamWrite bounds one write to who does not read.
	streamWrite = 5 * time.Second
)

// streams are what sessions hear, so that they end when somebody signs out.
type streams struct {
	mu  sync.Mutex
	end map[string]map[chan struct{}]struct{} // by the user's id
}

func (s *streams) add(user string) chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.end == nil {
		s.end = map[string]map[chan struct{}]struct{}{}
	}
	if s.end[user] == nil {
		s.end[user] = map[chan struct{}]struct{}{}
	}
	c := make(chan struct{}, 1)
	s.end[user][c] = struct{}{}
	return c
}

func (s *streams) remove(user string, c chan struct{}) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if delete(s.end[user], c); len(s.end[user]) == 0 {
		delete(s.end, user)
	}
}

// look has a user's streams look now whether their sessions are still good.
func (s *streams) look(user string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for c := range s.end[user] {
		select {
		case c <- struct{}{}:
		default:
		}
	}
}

// live tells a page what changes: `data: request response`. A page says how much
// of the log it was made of, and hears first what was stored since. It looks for
// itself, so nothing is lost when a stream ends and another one begins.
func (k *Console) live(w http.ResponseWriter, r *http.Request) {
	v := k.begin(w, r, &page{key: "live"})
	if err := v.enter(); err != nil { //nolint:contextcheck // a visit has that of its request
		// 204 has a browser not come again by itself.
		w.WriteHeader(http.StatusNoContent)
		return
	}
	since, err := strconv.ParseInt(cmp.Or(r.URL.Query().Get("since"), "0"), 10, 64)
	if k.Changes == nil || err != nil {
		w.WriteHeader(http.StatusNoContent)
		return
	}
	listener, ok := k.Changes.Join(r.Context(), v.user.ID, v.user.Role == domain.RoleUser, since)
	if !ok {
		w.Header().Set("Retry-After", "60")
		w.WriteHeader(http.StatusServiceUnavailable)
		return
	}
	defer listener.Leave()
	look := k.streams.add(v.user.ID)
	defer k.streams.remove(v.user.ID, look)
	w.Header().Set("Content-Type", "text/event-stream")
	w.WriteHeader(http.StatusOK)
	end := time.NewTimer(streamFor)
	defer end.Stop()
	tick := time.NewTicker(beat)
	defer tick.Stop()
	send := func(text string) bool { return v.push(text) }
	for alive := send("retry: 3000\n\n"); alive; {
		select {
		case <-listener.C:
			alive = v.stillGood() && send("data: "+strings.Join(listener.Take(), " ")+"\n\n") //nolint:contextcheck // as above
		case <-tick.C:
			alive = v.stillGood() && send(":\n\n") //nolint:contextcheck // as above
		case <-look:
			alive = v.stillGood() //nolint:contextcheck // as above
		case <-end.C:
			return
		case <-k.draining:
			return
		case <-r.Context().Done():
			return
		}
	}
}

// push sends a part of a stream.
func (v *visit) push(text string) bool {
	conn := http.NewResponseController(v.w)
	if err := conn.SetWriteDeadline(time.Now().Add(streamWrite)); err != nil {
		return false
	}
	if _, err := fmt.Fprint(v.w, text); err != nil {
		return false
	}
	return conn.Flush() == nil
}

// stillGood reports whether the session that opened a stream still is. A stream
// cannot take new tokens to the browser: it ends before it would need them.
func (v *visit) stillGood() bool {
	if v.session.expired(v.console.Now()) {
		return false
	}
	_, err := v.callOnce(http.MethodGet, "/auth/me", nil, nil, nil)
	return err == nil
}
