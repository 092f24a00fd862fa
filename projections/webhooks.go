package projections

import (
	"context"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"sallyport/domain"
	"sallyport/eventstore"
)

// WebhookState says whether a webhook is told of anything.
type WebhookState string

// The states of a webhook.
const (
	WebhookActive  WebhookState = "active"
	WebhookOff     WebhookState = "off" // its messages could not be delivered
	WebhookRemoved WebhookState = "removed"
)

// Webhook is where a user wants to be told of answers. It stays on its site.
type Webhook struct {
	ID        string
	User      string
	URL       string
	Events    []domain.Notice
	State     WebhookState
	Reason    string // of the state; empty while it is active
	CreatedAt time.Time
	Pos       int64
	// How delivering goes, see [Reader.Webhooks].
	DeliveredAt *time.Time // when a message last arrived; nil: none did
	FailedAt    *time.Time // when an attempt last failed; nil: none did
	Error       string     // of that attempt
}

const insertWebhooks = `
	INSERT INTO readmodel.webhooks (id, user_id, url, notices, state, reason, created_at, pos)
	VALUES ($1, $2, $3, $4, 'active', '', $5, $6) ON CONFLICT (id) DO NOTHING`

// The last event of a stream has the largest position, in whatever order they
// are applied; a removed webhook stays removed.
const endWebhooks = `
	UPDATE readmodel.webhooks SET state = $2, reason = $3, pos = $4
	WHERE id = $1 AND pos < $4 AND state <> 'removed'`

// applyWebhooks queues one statement an event: they are rare, and come from
// this site alone, in their order.
func applyWebhooks(b *pgx.Batch, records []eventstore.Record) error {
	for _, r := range records {
		id := strings.TrimPrefix(r.Stream, domain.WebhookStream(""))
		switch f := r.Fact.(type) {
		case domain.WebhookRegistered:
			b.Queue(insertWebhooks, id, text(f.User), text(f.URL), f.Events, r.At, r.Pos)
		case domain.WebhookRemoved:
			b.Queue(endWebhooks, id, WebhookRemoved, text(f.Reason), r.Pos)
		case domain.WebhookFailed:
			b.Queue(endWebhooks, id, WebhookOff, text(f.Reason), r.Pos)
		}
	}
	return nil
}

const selectWebhooks = `SELECT w.id, w.user_id, w.url, w.notices, w.state, w.reason, w.created_at, w.pos,
	d.delivered_at, d.failed_at, coalesce(d.error, '')
	FROM readmodel.webhooks AS w LEFT JOIN webhook_deliveries AS d ON d.webhook = w.id `

func scanWebhook(row pgx.CollectableRow) (Webhook, error) {
	var w Webhook
	err := row.Scan(&w.ID, &w.User, &w.URL, &w.Events, &w.State, &w.Reason, &w.CreatedAt, &w.Pos, &w.DeliveredAt, &w.FailedAt, &w.Error)
	w.CreatedAt = w.CreatedAt.UTC()
	return w, err
}

// Webhook returns one that was not removed, or [ErrNotFound].
func (r *Reader) Webhook(ctx context.Context, id string) (Webhook, error) {
	return one(ctx, r, scanWebhook, selectWebhooks+`WHERE w.id = $1 AND w.state <> 'removed'`, text(id))
}

// Webhooks returns a user's webhooks that were not removed, the oldest first,
// and how delivering to them goes. There are few, see [domain.MaxWebhooks].
func (r *Reader) Webhooks(ctx context.Context, user string) ([]Webhook, error) {
	return many(ctx, r, scanWebhook, selectWebhooks+`WHERE w.user_id = $1 AND w.state <> 'removed' ORDER BY w.created_at, w.id`, text(user))
}
