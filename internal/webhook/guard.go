package webhook

import (
	"fmt"
	"net/url"
	"time"
)

const attemptTimeout = 15 * time.Second

// checkURL refuses a URL whose host is an address that would never be called, or
// stands for one.
func (w *Webhooks) checkURL(text string) error {
	u, err := url.Parse(text)
	if err != nil {
		return fmt.Errorf("read a webhook's URL: %w", err) // the domain refuses it before
	}
	return w.guard.CheckGiven(u.Hostname())
}
