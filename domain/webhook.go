package domain

import (
	"cmp"
	"net/url"
	"slices"
	"strconv"
)

// Notice is the type of a message that a webhook gets.
type Notice string

// The notices. They name the request and say where to fetch; an answer itself
// is not part of them.
const (
	NoticeAnswered Notice = "request.answered"
	NoticeFailed   Notice = "request.failed"
)

// Notices lists all types, in the order in which they are shown.
func Notices() []Notice { return []Notice{NoticeAnswered, NoticeFailed} }

// WebhookRegistered says where a user wants to be told of answers. The secret
// that signs the messages is derived from a key of the site and is not part of
// any event.
type WebhookRegistered struct {
	User   string   `json:"user"`
	URL    string   `json:"url"`
	Events []Notice `json:"events"` // at least one, each once
}

// WebhookRemoved ends a webhook.
type WebhookRemoved struct {
	Reason string `json:"reason"`
}

// WebhookFailed says that a webhook was switched off because its messages could
// not be delivered.
type WebhookFailed struct {
	Reason string `json:"reason"`
	Failed int    `json:"failed"` // messages in a row that were given up
}

// EventType implements [Fact].
func (WebhookRegistered) EventType() string { return "webhook.registered" }

// EventType implements [Fact].
func (WebhookRemoved) EventType() string { return "webhook.removed" }

// EventType implements [Fact].
func (WebhookFailed) EventType() string { return "webhook.failed" }

// WebhookStream returns the stream of one webhook.
func WebhookStream(id string) string { return "webhook-" + id }

// MaxWebhooks is how many webhooks a user may have at a time.
const MaxWebhooks = 10

const maxWebhookURL = 2048

// Webhook is the state that the rules about webhooks need.
type Webhook struct {
	user  string // empty: it was never registered
	ended bool   // removed; nothing is told any more, and never will be
	off   bool
}

// RegisterWebhook is the command to make a webhook.
type RegisterWebhook struct {
	User   string
	URL    string
	Events []Notice // nil: all
	Have   int      // webhooks that the user has already
}

// RemoveWebhook is the command to end one.
type RemoveWebhook struct {
	User   string // who asks
	Reason string
}

// SwitchOffWebhook is the command of the one who delivers.
type SwitchOffWebhook struct {
	Reason string
	Failed int
}

// Decide returns the facts that a command leads to. Another user's webhook is
// not there. To remove or switch off twice leads to none.
func (w Webhook) Decide(command any) ([]Fact, error) {
	switch c := command.(type) {
	case RegisterWebhook:
		return w.register(c)
	case RemoveWebhook:
		if w.user == "" || w.user != c.User || w.ended {
			return nil, refuse(NotFound, "not-found", "you have no such webhook: see GET /webhooks; nothing was changed")
		}
		return []Fact{WebhookRemoved{Reason: c.Reason}}, nil
	case SwitchOffWebhook:
		if w.user == "" || w.ended || w.off {
			return nil, nil
		}
		return []Fact{WebhookFailed{Reason: heard(c.Reason, maxWhat), Failed: c.Failed}}, nil
	}
	return nil, refuse(Invalid, "unknown-command", "%T is no command about webhooks", command)
}

func (w Webhook) register(c RegisterWebhook) ([]Fact, error) {
	if w.user != "" {
		return nil, refuse(Conflict, "webhook-exists", "a webhook of this id exists already; nothing was stored")
	}
	if c.Events == nil {
		c.Events = Notices()
	}
	var f fieldErrors
	f.webhookURL("/url", c.URL)
	f.require(len(c.Events) > 0, "/events", FieldTooFew, "must name at least one of %v", Notices())
	for _, e := range c.Events {
		f.require(slices.Contains(Notices(), e), "/events", FieldNotOneOf, "may only name %v", Notices())
	}
	sorted := slices.Sorted(slices.Values(c.Events))
	f.require(len(slices.Compact(sorted)) == len(c.Events), "/events", FieldTwice, "names one twice")
	if err := f.err("webhook"); err != nil {
		return nil, err
	}
	if c.Have >= MaxWebhooks {
		return nil, refuse(Conflict, "too-many-webhooks", "you have %d webhooks, which is the most: delete one first; nothing was stored", c.Have)
	}
	return []Fact{WebhookRegistered{User: c.User, URL: c.URL, Events: c.Events}}, nil
}

// webhookURL takes an absolute http or https URL without a password, which would
// show in logs, and without a fragment, which nobody sends.
func (f *fieldErrors) webhookURL(pointer, text string) {
	f.require(len(text) <= maxWebhookURL, pointer, FieldTooLarge, "must be at most %d bytes", maxWebhookURL)
	u, err := url.Parse(text)
	ok := err == nil && (u.Scheme == "https" || u.Scheme == "http") && u.Hostname() != "" && u.Opaque == ""
	f.require(ok, pointer, FieldURL, "must be a URL such as https://example.org/hook")
	if ok {
		f.require(u.User == nil, pointer, FieldURL, "must not hold a name or password")
		f.require(u.Fragment == "", pointer, FieldURL, "must not hold a fragment")
		port, err := strconv.ParseUint(cmp.Or(u.Port(), "443"), 10, 16)
		f.require(err == nil && port > 0, pointer, FieldURL, "must have a port of 1 to 65535, or none")
	}
}

// Apply returns the state after a fact.
func (w Webhook) Apply(f Fact) Webhook {
	switch f := f.(type) {
	case WebhookRegistered:
		w.user = f.User
	case WebhookRemoved:
		w.ended = true
	case WebhookFailed:
		w.off = true
	}
	return w
}
