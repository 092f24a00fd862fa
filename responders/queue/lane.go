package queue

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/riverqueue/river"

	"sallyport/domain"
)

// SourceKey names what is asked: a kind of responder and one of its sources.
func SourceKey(kind domain.ResponderKind, source string) string { return string(kind) + "/" + source }

// lane leads to one source: so many questions are asked of it at once, and so
// many more wait at hand. When a source is slow, what comes on top is moved to
// a queue of its own, where it waits without keeping others from theirs.
//
//	queue "answers" ──▶ at hand ──▶ asked
//	                      │ too many, and nothing moves
//	                      └──▶ queue "answers-sql-flights" ──▶ asked
type lane struct {
	queue   string        // of its own; empty: it has none
	slots   chan struct{} // holds one element a question that is being asked
	share   int32         // how many may wait at hand
	waiting atomic.Int32
	slow    atomic.Bool // what was over the share has waited in vain
}

// patience is how long what is over a lane's share waits at hand before the
// source counts as slow.
const patience = 250 * time.Millisecond

func newLane(queue string, limit int) *lane {
	return &lane{queue: queue, slots: make(chan struct{}, limit), share: int32((jobsPerWorker - 1) * limit)} //nolint:gosec // a limit is at most 1,000
}

// lanes are those of one process. A source that has none shares the common one.
type lanes struct {
	of     map[string]*lane // by source key
	common *lane
}

func newLanes(c Config) lanes {
	l := lanes{of: map[string]*lane{}, common: newLane("", c.Workers)}
	for _, key := range slices.Sorted(maps.Keys(c.Concurrency)) {
		l.of[key] = newLane(laneQueue(key), c.Concurrency[key])
	}
	return l
}

func (l lanes) to(c domain.ResponderConfigured) *lane {
	if own, ok := l.of[SourceKey(c.Kind, c.Source)]; ok {
		return own
	}
	return l.common
}

// queues are those that this process works on. In the first there is room for
// all shares and for what goes on at once.
func (l lanes) queues() map[string]river.QueueConfig {
	all := map[string]river.QueueConfig{}
	room := jobsPerWorker * cap(l.common.slots)
	for _, own := range l.of {
		all[own.queue] = river.QueueConfig{MaxWorkers: jobsPerWorker * cap(own.slots)}
		room += jobsPerWorker * cap(own.slots)
	}
	all[queueName] = river.QueueConfig{MaxWorkers: min(room, maxAtHand)}
	return all
}

// names of all queues, for who frees and moves jobs.
func (l lanes) names() []string { return slices.Collect(maps.Keys(l.queues())) }

var riverName = regexp.MustCompile(`^[a-z0-9]+(-[a-z0-9]+)*$`)

// laneQueue names a lane's queue so that people know it, if a name can.
func laneQueue(key string) string {
	name := queueName + "-" + strings.ReplaceAll(key, "/", "-")
	if len(name) <= 64 && riverName.MatchString(name) {
		return name
	}
	sum := sha256.Sum256([]byte(key))
	return queueName + "-" + hex.EncodeToString(sum[:8])
}

// free takes a turn if there is one.
func (l *lane) free() (turn bool) {
	select {
	case l.slots <- struct{}{}:
		return true
	default:
		return false
	}
}

// enter waits for a turn. False means that the job is to be moved to the
// lane's own queue; it has no turn then.
func (l *lane) enter(ctx context.Context, from string) (turn bool, err error) {
	over := l.waiting.Add(1) > l.share && l.queue != "" && from != l.queue
	defer func() {
		if l.waiting.Add(-1) <= l.share/2 {
			l.slow.Store(false)
		}
	}()
	if over && l.slow.Load() {
		return false, nil
	}
	var enough <-chan time.Time
	if over {
		timer := time.NewTimer(patience)
		defer timer.Stop()
		enough = timer.C
	}
	select {
	case l.slots <- struct{}{}:
		return true, nil
	case <-enough:
		l.slow.Store(true)
		return false, nil
	case <-ctx.Done():
		return false, ctx.Err()
	}
}

func (l *lane) leave() { <-l.slots }

// moveOver puts a job into the lane's own queue, where it is next by its
// priority; that counts as no attempt.
func (w *worker) moveOver(ctx context.Context, job *river.Job[answer], l *lane) error {
	if _, err := w.Pool.Exec(ctx, `UPDATE river_job SET queue = $3 WHERE id = $1 AND attempt = $2 AND state = 'running'`, job.ID, job.Attempt, l.queue); err != nil {
		return fmt.Errorf("move a job to the queue of its source: %w", err)
	}
	return river.JobSnooze(0) // the library gives it back as it is
}

// returnStrays brings back jobs from the queues of sources that the
// configuration no longer names.
const returnStrays = `UPDATE river_job SET queue = $1 WHERE queue LIKE $1 || '-%' AND queue <> ALL ($2)
	AND state IN ('available', 'scheduled', 'retryable')`
