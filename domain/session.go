package domain

// SessionOpened begins a session: somebody logged in.
type SessionOpened struct {
	User      string `json:"user"`
	IP        string `json:"ip"`
	UserAgent string `json:"user_agent"` // what the client called itself
	Method    string `json:"method"`
}

// SessionReuseDetected says that a spent refresh token was shown again: the
// session has a second holder. It is closed by it.
type SessionReuseDetected struct {
	IP        string `json:"ip"`
	UserAgent string `json:"user_agent"`
}

// SessionClosed ends a session. One that nobody ends expires, without an event.
type SessionClosed struct {
	Reason string `json:"reason"`
}

// ByPassword says that a session was opened with a password.
const ByPassword = "password"

// Why a session was closed.
const (
	ClosedByLogout         = "logout"
	ClosedByReuse          = "reuse"
	ClosedByPasswordChange = "password-change"
)

// EventType implements [Fact].
func (SessionOpened) EventType() string { return "session.opened" }

// EventType implements [Fact].
func (SessionReuseDetected) EventType() string { return "session.reuse_detected" }

// EventType implements [Fact].
func (SessionClosed) EventType() string { return "session.closed" }

// SessionStream returns the stream of one session.
func SessionStream(id string) string { return "session-" + id }

// OpenSession is a [SessionOpened] whose text fits an event.
func OpenSession(user, ip, agent, method string) SessionOpened {
	return SessionOpened{User: user, IP: heard(ip, maxAddress), UserAgent: heard(agent, maxAgent), Method: method}
}

// Session is a session as its stream tells. The zero value is one whose
// beginning was not recorded.
type Session struct{ closed bool }

// Apply returns the session after a fact.
func (s Session) Apply(f Fact) Session {
	if _, ok := f.(SessionClosed); ok {
		s.closed = true
	}
	return s
}

// Close returns the facts that ending the session leads to; none if it has ended.
func (s Session) Close(reason string) []Fact {
	if s.closed {
		return nil
	}
	return []Fact{SessionClosed{Reason: reason}}
}

// DetectReuse returns the facts that showing a spent token leads to.
func (s Session) DetectReuse(ip, agent string) []Fact {
	if s.closed {
		return nil
	}
	return []Fact{SessionReuseDetected{IP: heard(ip, maxAddress), UserAgent: heard(agent, maxAgent)}, SessionClosed{Reason: ClosedByReuse}}
}
