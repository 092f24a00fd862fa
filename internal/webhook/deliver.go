package webhook

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"time"

	"github.com/riverqueue/river"

	"sallyport/domain"
	"sallyport/projections"
)

// delivery is the job to tell one webhook of one event.
type delivery struct {
	Webhook string  `json:"webhook" river:"unique"`
	Event   string  `json:"event" river:"unique"` // its id is the message's
	Seq     int64   `json:"seq"`
	Message message `json:"message"`
}

// Kind implements river.JobArgs.
func (delivery) Kind() string { return "webhook_delivery" }

// InsertOpts implements river.JobArgsWithInsertOpts: a reactor may handle an
// event twice.
func (delivery) InsertOpts() river.InsertOpts {
	return river.InsertOpts{Queue: queueName, UniqueOpts: river.UniqueOpts{ByArgs: true}}
}

type worker struct {
	river.WorkerDefaults[delivery]
	*Webhooks
}

// NextRetry implements river.Worker. A tenth of chance keeps what failed
// together from coming back together.
func (w *worker) NextRetry(job *river.Job[delivery]) time.Time {
	wait := w.config.Backoff[min(job.Attempt, len(w.config.Backoff))-1]
	return time.Now().Add(wait + rand.N(wait/10+1)) //nolint:gosec // no secret
}

// Work implements river.Worker: it makes one attempt.
func (w *worker) Work(ctx context.Context, job *river.Job[delivery]) error {
	d := job.Args
	hook, err := w.config.Reader.Webhook(ctx, d.Webhook)
	if errors.Is(err, projections.ErrNotFound) || err == nil && hook.State != projections.WebhookActive {
		return river.JobCancel(errors.New("the webhook is removed or off"))
	}
	if err != nil {
		return err
	}
	secret, err := w.config.Key.Secret(hook.ID)
	if err != nil {
		return err
	}
	status, err := post(ctx, w.client, hook.URL, d.Event, secret, d.Message, time.Now())
	if ctx.Err() != nil {
		return ctx.Err() // being stopped: the library gives the job back
	}
	switch {
	case err == nil && status/100 == 2:
		return w.delivered(ctx, hook.ID)
	case err == nil && status == http.StatusGone: // "stop sending", says the standard
		return errors.Join(w.switchOff(ctx, hook.ID, "its server answered 410: gone", 0), river.JobCancel(errors.New("gone")))
	case err == nil:
		err = fmt.Errorf("its server answered %d", status)
	}
	if note := w.failed(ctx, hook.ID, err); note != nil {
		return note
	}
	if job.Attempt >= job.MaxAttempts {
		return errors.Join(err, w.giveUp(ctx, d, err))
	}
	return err
}

const (
	markDelivered = `INSERT INTO webhook_deliveries (webhook, delivered_at) VALUES ($1, clock_timestamp())
		ON CONFLICT (webhook) DO UPDATE SET delivered_at = clock_timestamp(), given_up = 0`
	markFailed = `INSERT INTO webhook_deliveries (webhook, failed_at, error) VALUES ($1, clock_timestamp(), $2)
		ON CONFLICT (webhook) DO UPDATE SET failed_at = clock_timestamp(), error = excluded.error`
	markGivenUp = `UPDATE webhook_deliveries SET given_up = given_up + 1 WHERE webhook = $1 RETURNING given_up`
)

func (w *Webhooks) delivered(ctx context.Context, id string) error {
	if _, err := w.config.Pool.Exec(ctx, markDelivered, id); err != nil {
		return fmt.Errorf("note a delivery: %w", err)
	}
	return nil
}

func (w *Webhooks) failed(ctx context.Context, id string, failure error) error {
	if _, err := w.config.Pool.Exec(ctx, markFailed, id, failure.Error()); err != nil {
		return fmt.Errorf("note a failed delivery: %w", err)
	}
	return nil
}

// giveUp puts a message into the poison queue, and switches its webhook off
// after too many in a row.
func (w *Webhooks) giveUp(ctx context.Context, d delivery, failure error) error {
	if err := w.poison.Put(ctx, reactorName, d.Seq, d.Webhook, failure.Error()); err != nil {
		return err
	}
	w.config.Logger.WarnContext(ctx, "a message to a webhook was given up and is in the poison queue",
		slog.String("webhook", d.Webhook), slog.String("event", d.Event), slog.String("error", failure.Error()))
	var inARow int
	if err := w.config.Pool.QueryRow(ctx, markGivenUp, d.Webhook).Scan(&inARow); err != nil {
		return fmt.Errorf("note that a message was given up: %w", err)
	}
	if inARow < offAfter {
		return nil
	}
	return w.switchOff(ctx, d.Webhook, failure.Error(), inARow)
}

func (w *Webhooks) switchOff(ctx context.Context, id, why string, failed int) error {
	_, err := w.change(ctx, "site:"+w.config.Log.Site(), "", id, domain.SwitchOffWebhook{Reason: why, Failed: failed})
	return err
}
