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

// How a session was opened.
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

// DetectReuse is what showing a spent token leads to.
func DetectReuse(ip, agent string) []Fact {
	return []Fact{SessionReuseDetected{IP: heard(ip, maxAddress), UserAgent: heard(agent, maxAgent)}, SessionClosed{Reason: ClosedByReuse}}
}
