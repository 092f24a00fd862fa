package domain

import (
	"strings"
	"time"
)

// AuditViewed records that somebody whose role allows it read what belongs to
// others. Who and when is in the envelope.
type AuditViewed struct {
	What string `json:"what"` // a path of the API, or a command
}

// LoginRefused records that logins were refused: at most one event a minute
// for an account and an address, with the number of refusals it stands for.
type LoginRefused struct {
	// Username is what was given, if it has the form of one: people also type
	// their password there. Empty: it has not, or these are too many to tell.
	Username string `json:"username"`
	IP       string `json:"ip"` // empty: of too many addresses to tell
	Reason   string `json:"reason"`
	Count    int    `json:"count"`
	// UserAgent is what the client called itself, at the last of them.
	UserAgent string `json:"user_agent"`
}

// Why a login was refused.
const (
	RefusedUnknownUser   = "unknown-user"
	RefusedInactiveUser  = "inactive-user"
	RefusedWrongPassword = "wrong-password"
	RefusedThrottled     = "throttled"
	RefusedAPIKey        = "wrong-api-key"
	RefusedRefreshToken  = "wrong-refresh-token"
)

// AdminActed records an act of administration that leaves no other event.
type AdminActed struct {
	Action    string `json:"action"`     // such as `cache.clear`
	Target    string `json:"target"`     // what it was done to; empty: all of it
	IP        string `json:"ip"`         // empty: on the site's own machine
	UserAgent string `json:"user_agent"` // what the client called itself
}

// EventType implements [Fact].
func (AuditViewed) EventType() string { return "audit.viewed" }

// EventType implements [Fact].
func (LoginRefused) EventType() string { return "login.refused" }

// EventType implements [Fact].
func (AdminActed) EventType() string { return "admin.acted" }

// AuditStream returns the stream of what was recorded on one day, by UTC.
func AuditStream(day time.Time) string { return "audit-" + day.UTC().Format(time.DateOnly) }

// Bounds of what an event says of a client.
const (
	maxAddress = 64
	maxAgent   = 200
	maxTarget  = 200
	maxWhat    = 500
)

// View is an [AuditViewed] whose text fits an event.
func View(what string) AuditViewed { return AuditViewed{What: heard(what, maxWhat)} }

// RefuseLogin is a [LoginRefused] whose text fits an event and whose username
// is left out unless it has the form of one.
func RefuseLogin(name, ip, reason, agent string, count int) LoginRefused {
	if !username.MatchString(name) {
		name = ""
	}
	return LoginRefused{Username: name, IP: heard(ip, maxAddress), Reason: reason, Count: count, UserAgent: heard(agent, maxAgent)}
}

// Act is an [AdminActed] whose text fits an event.
func Act(action, target, ip, agent string) AdminActed {
	return AdminActed{Action: action, Target: heard(target, maxTarget), IP: heard(ip, maxAddress), UserAgent: heard(agent, maxAgent)}
}

// heard makes text that came from outside fit an event: no control characters,
// not too long.
func heard(s string, most int) string {
	if len(s) > 4*most { // no rune is longer than four bytes
		s = s[:4*most]
	}
	s = strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(s, "\uFFFD"))
	if r := []rune(s); len(r) > most {
		return string(r[:most])
	}
	return s
}
