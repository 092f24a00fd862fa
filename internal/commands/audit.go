package commands

import (
	"context"

	"sallyport/domain"
	"sallyport/eventstore"
)

// Client is where a call came from. The zero value is the command line.
type Client struct {
	IP    string
	Agent string // what the client calls itself
}

// Acted records an act of administration that leaves no other event. Call it
// when all is checked and before anything is done: then there is no act without
// its record, and if the act fails after all, the attempt was made and is told.
func (c *Commands) Acted(ctx context.Context, by By, action, target string, from Client) (Stored, error) {
	return c.append(ctx, by, c.today(domain.Act(action, target, from.IP, from.Agent)))
}

// Viewed records that somebody read what belongs to others. Call it before it
// is shown. What is a path of the API, or a command.
func (c *Commands) Viewed(ctx context.Context, by By, what string) error {
	_, err := c.append(ctx, by, c.today(domain.View(what)))
	return err
}

// LoginsRefused records refusals, see [domain.RefuseLogin]. The site is the
// actor: nobody knows who tried.
func (c *Commands) LoginsRefused(ctx context.Context, refusals []domain.LoginRefused) error {
	facts := make([]domain.Fact, len(refusals))
	for i, r := range refusals {
		facts[i] = r
	}
	_, err := c.append(ctx, By{Actor: "site:" + c.log.Site()}, c.today(facts...))
	return err
}

// today is a write to the day's audit trail.
func (c *Commands) today(facts ...domain.Fact) eventstore.Write {
	return eventstore.Write{Stream: domain.AuditStream(c.now()), Expected: eventstore.Any, Facts: facts}
}
