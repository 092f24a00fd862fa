package domain

import (
	"encoding/json"
	"slices"
	"strings"
)

// Role says what a site does: ask or answer.
type Role string

// The two roles of a site.
const (
	RequestSite  Role = "request"
	ResponseSite Role = "response"
)

// Valid reports whether r is one of the two roles.
func (r Role) Valid() bool { return r == RequestSite || r == ResponseSite }

// Crossing says to which peers an event may be carried.
type Crossing int

const (
	// Stays means that the event never leaves its site: it is withheld.
	Stays Crossing = iota
	// ToRequestSites goes from the response site to every request site.
	ToRequestSites
	// ToRequestSitesIfPublic goes from the response site to every request site if
	// the fact itself says that it is public, see [Kind.Shows].
	ToRequestSitesIfPublic
	// ToAsker goes from the response site to the site that asked, and no other.
	ToAsker
	// ToResponseSite goes from a request site to its response site.
	ToResponseSite
	// ToEveryPeer goes both ways.
	ToEveryPeer
)

// Kind is the catalogue's row for one event type: where it lives, which
// version is written, where it may go. This table is the only place that
// says so; export withholds by it and import refuses by it.
type Kind struct {
	Type     string
	Stream   string // the prefix of its streams, without the dash
	Schema   int    // the version written now; those below are read too, see [Upcast]
	Crossing Crossing
	// Secret marks data that must leave its site only encrypted: it holds what
	// helps to guess a password.
	Secret bool

	decode func(json.RawMessage) (Fact, error)
}

var catalogue = []Kind{
	{"user.registered", "user", 1, ToRequestSites, true, decode[UserRegistered]},
	{"user.profile_changed", "user", 1, ToRequestSites, false, decode[UserProfileChanged]},
	{"user.role_changed", "user", 1, ToRequestSites, false, decode[UserRoleChanged]},
	{"user.password_changed", "user", 1, ToRequestSites, true, decode[UserPasswordChanged]},
	{"user.limits_overridden", "user", 1, ToRequestSites, false, decode[LimitsOverridden]},
	{"user.limits_cleared", "user", 1, ToRequestSites, false, decode[LimitsCleared]},
	{"user.access_granted", "user", 2, ToRequestSites, false, decode[AccessGranted]},
	{"user.access_blocked", "user", 1, ToRequestSites, false, decode[AccessBlocked]},
	{"user.access_cleared", "user", 1, ToRequestSites, false, decode[AccessCleared]},
	{"user.deactivated", "user", 1, ToRequestSites, false, decode[UserDeactivated]},
	{"user.reactivated", "user", 1, ToRequestSites, false, decode[UserReactivated]},
	{"username.claimed", "username", 1, ToRequestSites, false, decode[UsernameClaimed]},
	{"email.claimed", "email", 1, Stays, false, decode[EmailClaimed]},
	{"email.released", "email", 1, Stays, false, decode[EmailReleased]},
	{"profile.defined", "profile", 1, ToRequestSites, false, decode[ProfileDefined]},
	{"profile.changed", "profile", 1, ToRequestSites, false, decode[ProfileChanged]},
	{"profile.retired", "profile", 1, ToRequestSites, false, decode[ProfileRetired]},
	{"requesttype.defined", "requesttype", 1, ToRequestSites, false, decode[RequestTypeDefined]},
	{"requesttype.changed", "requesttype", 1, ToRequestSites, false, decode[RequestTypeChanged]},
	{"requesttype.retired", "requesttype", 1, ToRequestSites, false, decode[RequestTypeRetired]},
	{"responder.configured", "responderconfig", 1, Stays, false, decode[ResponderConfigured]},
	{"responder.disabled", "responderconfig", 1, Stays, false, decode[ResponderDisabled]},
	{"setting.changed", "setting", 1, ToRequestSitesIfPublic, false, decode[SettingChanged]},
	{"setting.removed", "setting", 1, ToRequestSitesIfPublic, false, decode[SettingRemoved]},
	{"request.submitted", "request", 1, ToResponseSite, false, decode[RequestSubmitted]},
	{"request.cancelled", "request", 1, ToResponseSite, false, decode[RequestCancelled]},
	{"request.retried", "request", 1, ToResponseSite, false, decode[RequestRetried]},
	{"requestname.claimed", "requestname", 1, Stays, false, decode[RequestNameClaimed]},
	{"requestkey.claimed", "requestkey", 1, Stays, false, decode[RequestKeyClaimed]},
	{"response.started", "response", 1, ToAsker, false, decode[ResponseStarted]},
	{"response.retry_scheduled", "response", 1, ToAsker, false, decode[ResponseRetryScheduled]},
	{"response.recorded", "response", 1, ToAsker, false, decodeRecorded},
	{"response.failed", "response", 1, ToAsker, false, decode[ResponseFailed]},
	{"response.withdrawn", "response", 1, ToAsker, false, decode[ResponseWithdrawn]},
	{"response.retried", "response", 1, ToAsker, false, decode[ResponseRetried]},
	{"work.opened", "work", 1, Stays, false, decode[WorkOpened]},
	{"work.claimed", "work", 1, Stays, false, decode[WorkClaimed]},
	{"work.released", "work", 1, Stays, false, decode[WorkReleased]},
	{"work.closed", "work", 1, Stays, false, decode[WorkClosed]},
	{"site.founded", "site", 1, ToEveryPeer, false, decode[SiteFounded]},
	{"site.refounded", "site", 1, ToEveryPeer, false, decode[SiteRefounded]},
	{"site.peer_added", "site", 1, ToEveryPeer, false, decode[PeerAdded]},
	{"site.peer_removed", "site", 1, ToEveryPeer, false, decode[PeerRemoved]},
	{"site.link_stopped", "site", 1, ToEveryPeer, false, decode[LinkStopped]},
	{"site.link_resumed", "site", 1, ToEveryPeer, false, decode[LinkResumed]},
	{"site.position_withheld", "site", 1, ToEveryPeer, false, decode[PositionWithheld]},
	{"site.key_rotated", "site", 1, ToEveryPeer, false, decode[KeyRotated]},
	{"site.peer_key_revoked", "site", 1, ToEveryPeer, false, decode[PeerKeyRevoked]},
	{"retention.applied", "site", 1, ToEveryPeer, false, decode[RetentionApplied]},
	{"bundle.exported", "bundle-out", 1, Stays, false, decode[BundleExported]},
	{"bundle.imported", "bundle-in", 1, Stays, false, decode[BundleImported]},
	{"bundle.quarantined", "bundle-in", 1, Stays, false, decode[BundleQuarantined]},
	{"bundle.acknowledged", "bundle-out", 1, Stays, false, decode[BundleAcknowledged]},
	{"quarantine.released", "bundle-in", 1, Stays, false, decode[QuarantineReleased]},
	{"bundle.rejected", "bundle-in", 1, Stays, false, decode[BundleRejected]},
	{"webhook.registered", "webhook", 1, Stays, false, decode[WebhookRegistered]},
	{"webhook.removed", "webhook", 1, Stays, false, decode[WebhookRemoved]},
	{"webhook.failed", "webhook", 1, Stays, false, decode[WebhookFailed]},
	{"media.written", "custody", 1, Stays, false, decode[MediaWritten]},
	{"media.read", "custody", 1, Stays, false, decode[MediaRead]},
	{"audit.viewed", "audit", 1, Stays, false, decode[AuditViewed]},
	{"login.refused", "audit", 1, Stays, false, decode[LoginRefused]},
	{"admin.acted", "audit", 1, Stays, false, decode[AdminActed]},
	{"session.opened", "session", 1, Stays, false, decode[SessionOpened]},
	{"session.reuse_detected", "session", 1, Stays, false, decode[SessionReuseDetected]},
	{"session.closed", "session", 1, Stays, false, decode[SessionClosed]},
	{"apikey.issued", "apikey", 1, Stays, true, decode[APIKeyIssued]},
	{"apikey.revoked", "apikey", 1, Stays, false, decode[APIKeyRevoked]},
}

var kinds = func() map[string]Kind {
	m := make(map[string]Kind, len(catalogue))
	for _, k := range catalogue {
		m[k.Type] = k
	}
	return m
}()

// Catalogue returns a copy of the table of all event types that this program
// writes and reads.
func Catalogue() []Kind { return slices.Clone(catalogue) }

// KindOf returns the catalogue's row for an event type.
func KindOf(eventType string) (Kind, bool) {
	k, ok := kinds[eventType]
	return k, ok
}

// MayLeave reports whether an event of this kind may go from a site of the
// given role to a peer at all. For [ToAsker] the caller must also see that
// the peer is the one who asked, and for [ToRequestSitesIfPublic] ask Shows.
func (k Kind) MayLeave(from Role) bool {
	switch k.Crossing {
	case ToRequestSites, ToAsker, ToRequestSitesIfPublic:
		return from == ResponseSite
	case ToResponseSite:
		return from == RequestSite
	case ToEveryPeer:
		return true
	default:
		return false
	}
}

// Shows reports whether a fact of this kind may be known to other sites, as far
// as it depends on what the fact says. Export asks it beside MayLeave, import
// beside MayArrive.
func (k Kind) Shows(f Fact) bool {
	if k.Crossing != ToRequestSitesIfPublic {
		return true
	}
	says, ok := f.(interface{ public() bool })
	return ok && says.public()
}

// MayArrive reports whether an imported event of this kind, written to the
// given stream by a site of the given role and name, obeys the direction
// table: the right stream for its type, a type that role may write, and a
// `site-` stream only about its sender.
func (k Kind) MayArrive(stream, from string, role Role) bool {
	return k.MayLeave(role) && k.MayBeIn(stream, from)
}

// MayBeIn reports whether a site writes events of this kind to the given stream:
// the right one for its type, and a `site-` stream only about itself.
func (k Kind) MayBeIn(stream, site string) bool {
	if !strings.HasPrefix(stream, k.Stream+"-") {
		return false
	}
	return k.Stream != "site" || stream == SiteStream(site)
}
