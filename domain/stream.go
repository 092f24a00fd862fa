package domain

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"regexp"
	"strings"
)

// A stream is named `<prefix>-<key>` and has exactly one writing site, so
// that two sites can never conflict. These functions are the only place that
// spells a stream's name.

// UserStream returns the stream of one user.
func UserStream(id string) string { return "user-" + id }

// UsernameStream returns the stream whose first event reserves a username.
func UsernameStream(name string) string { return "username-" + name }

// EmailStream returns the stream that reserves an email address. The address
// itself stays out of the name: streams are listed to people who may not see it.
func EmailStream(email string) string {
	return "email-" + digest(strings.ToLower(email))
}

// ProfileStream returns the stream of one profile.
func ProfileStream(name string) string { return "profile-" + name }

// RequestTypeStream returns the stream of one request type.
func RequestTypeStream(name string) string { return "requesttype-" + name }

// ResponderConfigStream returns the stream that says how a request type is
// answered. It never leaves the response site.
func ResponderConfigStream(requestType string) string { return "responderconfig-" + requestType }

// SettingStream returns the stream of one setting. It is the only kind of
// stream of which a peer may hold some events and not others.
func SettingStream(key string) string { return "setting-" + key }

// RequestStream returns the stream of one request.
func RequestStream(id string) string { return "request-" + id }

// ResponseStream returns the stream of the answer to the request of the same id.
func ResponseStream(id string) string { return "response-" + id }

// RequestNameStream returns the stream that reserves a request's name for its user.
func RequestNameStream(user, name string) string {
	return "requestname-" + digest(user+"\n"+name)
}

// RequestKeyStream returns the stream of a user's idempotency key. The key
// itself stays out of the name.
func RequestKeyStream(user, key string) string {
	return "requestkey-" + digest(user+"\n"+key)
}

// SiteStream returns the stream in which a site speaks about itself.
func SiteStream(name string) string { return "site-" + name }

// BundleOutStream returns the stream of one bundle written for a peer.
func BundleOutStream(peer, epoch string, seq int64) string {
	return fmt.Sprintf("bundle-out-%s-%s-%d", peer, epoch[:8], seq)
}

// BundleInStream returns the stream of one bundle received from a peer.
func BundleInStream(peer, epoch string, seq int64) string {
	return fmt.Sprintf("bundle-in-%s-%s-%d", peer, epoch[:8], seq)
}

// RequestOf returns the request's id for a `request-` or `response-` stream,
// and false for any other.
func RequestOf(stream string) (id string, ok bool) {
	if id, ok = strings.CutPrefix(stream, "request-"); ok {
		return id, true
	}
	return strings.CutPrefix(stream, "response-")
}

// MaxStreamLength bounds a stream's name in bytes.
const MaxStreamLength = 200

var siteName = regexp.MustCompile(`^[a-z0-9-]{1,32}$`)

// ValidSiteName reports whether s may name a site: lower-case letters, digits
// and dashes, 1 to 32 of them.
func ValidSiteName(s string) bool { return siteName.MatchString(s) }

// ValidStream reports whether s has the form of a stream's name:
// `^[a-z]+(-[a-z]+)?-[A-Za-z0-9._-]+$` and at most [MaxStreamLength] bytes. It is
// asked at every append, and so not by the pattern; what may stand in a key may
// stand in a second word as well.
func ValidStream(s string) bool {
	if len(s) > MaxStreamLength {
		return false
	}
	word, key, cut := strings.Cut(s, "-")
	return cut && word != "" && key != "" && only(word, isLower) && only(key, isKey)
}

// only reports whether all bytes of s are of a kind.
func only(s string, is func(byte) bool) bool {
	for i := range len(s) {
		if !is(s[i]) {
			return false
		}
	}
	return true
}

func isLower(c byte) bool { return c >= 'a' && c <= 'z' }

func isDigit(c byte) bool { return c >= '0' && c <= '9' }

func isKey(c byte) bool {
	return isLower(c) || isDigit(c) || c >= 'A' && c <= 'Z' || c == '.' || c == '_' || c == '-'
}

func digest(s string) string {
	sum := sha256.Sum256([]byte(s))
	return hex.EncodeToString(sum[:16])
}

// QuarantineStream returns the stream of one refused file.
func QuarantineStream(id string) string { return "bundle-in-quarantine-" + id }

// CustodyStream returns the stream that tells who had one medium in hand. Each
// site has its own about the same medium; it stays at home.
func CustodyStream(medium string) string { return "custody-" + medium }
