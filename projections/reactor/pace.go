package reactor

import (
	"context"
	"time"

	"github.com/ThreeDotsLabs/watermill"

	"sallyport/eventstore"
)

const (
	// leastPause bounds how often the log is asked while it grows, by those who
	// are not behind: a busy site commits many times in that while, and each look
	// costs it a dozen trips.
	leastPause = 250 * time.Millisecond
	// mostPause bounds how long an idle reactor waits for the log to grow, in
	// case another process stopped in the middle of a page.
	mostPause  = time.Second
	errorPause = time.Second
)

// pace decides when the log is asked again. It implements
// [wsql.BackoffManager] by waiting for the log to grow instead of polling.
type pace struct {
	ctx  context.Context // of the run it belongs to
	log  *eventstore.Store
	read *progress
	seen int64
	last time.Time
}

// HandleError implements [wsql.BackoffManager].
func (p *pace) HandleError(logger watermill.LoggerAdapter, noMsg bool, err error) time.Duration {
	if err != nil {
		if p.ctx.Err() == nil {
			logger.Error("the reactor could not read the log; it tries again", err, watermill.LogFields{"wait": errorPause})
		}
		return errorPause
	}
	if noMsg {
		p.waitForGrowth()
	}
	pause := max(leastPause-time.Since(p.last), 0)
	if behind := p.log.Seen() - p.read.seq; !noMsg && (p.read.cut || behind >= pageEvents) {
		pause = 0 // another page waits
	}
	p.last = time.Now().Add(pause)
	return pause
}

func (p *pace) waitForGrowth() {
	ctx, cancel := context.WithTimeout(p.ctx, mostPause)
	defer cancel()
	if seq, err := p.log.Wait(ctx, p.seen); err == nil {
		p.seen = seq
	}
}
