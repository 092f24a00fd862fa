package commands

import (
	"context"
	"time"

	"sallyport/domain"
	"sallyport/eventstore"
	"sallyport/projections"
)

const (
	// Clearing away holds the log's head, so it goes in steps that nobody notices.
	retentionStep  = 1000
	retentionPause = 100 * time.Millisecond
)

// ApplyRetention clears the read models of requests that were finished longer
// ago than keep, by the time at which this site stored their outcome. answers
// is the site that answers: this one, or a request site's peer. It returns how
// many outcomes it went by. When it ends early, what is cleared away is, and
// the rest is cleared away the next time.
func (c *Commands) ApplyRetention(ctx context.Context, by By, answers string, keep time.Duration) (total int, err error) {
	now := c.now()
	for {
		found, err := c.retainStep(ctx, by, answers, now, now.Add(-keep))
		total += found
		if err != nil || found < retentionStep {
			return total, err
		}
		select {
		case <-ctx.Done():
			return total, ctx.Err()
		case <-time.After(retentionPause):
		}
	}
}

func (c *Commands) retainStep(ctx context.Context, by By, answers string, now, before time.Time) (int, error) {
	through, found, err := projections.Finished(ctx, c.pool, answers, before, retentionStep)
	if err != nil {
		return 0, err
	}
	so, err := projections.Retained(ctx, c.pool, c.log.Site())
	if err != nil {
		return 0, err
	}
	facts, err := so.Decide(domain.ApplyRetention{Before: before, Now: now, Log: answers, Through: through})
	if err != nil || len(facts) == 0 {
		return 0, err
	}
	_, err = c.append(ctx, by, eventstore.Write{Stream: domain.SiteStream(c.log.Site()), Expected: eventstore.Any, Facts: facts})
	return found, err
}
