package domain_test

import (
	"strings"
	"testing"

	"sallyport/domain"
)

func webhook() domain.RegisterWebhook {
	return domain.RegisterWebhook{User: aliceID, URL: "https://example.org/hook", Events: []domain.Notice{domain.NoticeFailed}}
}

func TestRegisterWebhook(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		spoil func(*domain.RegisterWebhook)
		wrong string
	}{
		"all right":         {func(*domain.RegisterWebhook) {}, ""},
		"all notices":       {func(c *domain.RegisterWebhook) { c.Events = nil }, ""},
		"plain http":        {func(c *domain.RegisterWebhook) { c.URL = "http://10.0.0.7:8080/a?b=c" }, ""},
		"another scheme":    {func(c *domain.RegisterWebhook) { c.URL = "file:///etc/passwd" }, "/url"},
		"no host":           {func(c *domain.RegisterWebhook) { c.URL = "https:///hook" }, "/url"},
		"relative":          {func(c *domain.RegisterWebhook) { c.URL = "/hook" }, "/url"},
		"with a password":   {func(c *domain.RegisterWebhook) { c.URL = "https://a:b@example.org/" }, "/url"},
		"with a fragment":   {func(c *domain.RegisterWebhook) { c.URL = "https://example.org/#a" }, "/url"},
		"too long":          {func(c *domain.RegisterWebhook) { c.URL = "https://example.org/" + strings.Repeat("a", 2048) }, "/url"},
		"with a line feed":  {func(c *domain.RegisterWebhook) { c.URL = "https://example.org/\nx" }, "/url"},
		"no notice":         {func(c *domain.RegisterWebhook) { c.Events = []domain.Notice{} }, "/events"},
		"an unknown notice": {func(c *domain.RegisterWebhook) { c.Events = []domain.Notice{"user.registered"} }, "/events"},
		"one notice twice":  {func(c *domain.RegisterWebhook) { c.Events = []domain.Notice{domain.NoticeFailed, domain.NoticeFailed} }, "/events"},
	} {
		command := webhook()
		c.spoil(&command)
		facts, err := domain.Webhook{}.Decide(command)
		if c.wrong == "" {
			if err != nil || len(facts) != 1 || len(facts[0].(domain.WebhookRegistered).Events) == 0 {
				t.Errorf("%s: %v, %v", name, facts, err)
			}
			continue
		}
		if got := pointers(refusal(t, err, domain.Invalid, "invalid-webhook")); got[0] != c.wrong {
			t.Errorf("%s: %v", name, got)
		}
	}
	full := webhook()
	full.Have = domain.MaxWebhooks
	_, err := domain.Webhook{}.Decide(full)
	refusal(t, err, domain.Conflict, "too-many-webhooks")
}

// A webhook is made once, is its owner's, and ends once.
func TestTheLifeOfAWebhook(t *testing.T) {
	t.Parallel()
	var w domain.Webhook
	step := func(command any, want ...string) {
		t.Helper()
		facts, err := w.Decide(command)
		if err != nil || len(facts) != len(want) {
			t.Fatalf("%+v: %v, %v", command, facts, err)
		}
		for i, f := range facts {
			if f.EventType() != want[i] {
				t.Errorf("%+v: %s, want %s", command, f.EventType(), want[i])
			}
			w = w.Apply(f)
		}
	}
	_, err := w.Decide(domain.RemoveWebhook{User: aliceID})
	refusal(t, err, domain.NotFound, "not-found")
	step(domain.SwitchOffWebhook{Reason: "nobody there"})
	step(webhook(), "webhook.registered")
	_, err = w.Decide(webhook())
	refusal(t, err, domain.Conflict, "webhook-exists")
	_, err = w.Decide(domain.RemoveWebhook{User: "another"})
	refusal(t, err, domain.NotFound, "not-found")
	step(domain.SwitchOffWebhook{Reason: "500\nServer Error", Failed: 5}, "webhook.failed")
	step(domain.SwitchOffWebhook{Reason: "again", Failed: 5})
	step(domain.RemoveWebhook{User: aliceID}, "webhook.removed")
	_, err = w.Decide(domain.RemoveWebhook{User: aliceID})
	refusal(t, err, domain.NotFound, "not-found")
	step(domain.SwitchOffWebhook{Reason: "late"})
}
