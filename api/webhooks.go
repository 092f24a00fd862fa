package api

import (
	"context"
	"net/http"
	"slices"
	"strings"

	"sallyport/domain"
	"sallyport/projections"
)

type newWebhook struct {
	URL    string          `json:"url"`
	Events []domain.Notice `json:"events"` // null: all
}

type webhookShape struct {
	ID        string                   `json:"id"`
	URL       string                   `json:"url"`
	Events    []domain.Notice          `json:"events"`
	State     projections.WebhookState `json:"state"` // active or off
	Reason    string                   `json:"reason"`
	CreatedAt domain.Timestamp         `json:"created_at"`
	// How delivering goes; null: it did not happen yet.
	DeliveredAt *domain.Timestamp `json:"delivered_at"`
	FailedAt    *domain.Timestamp `json:"failed_at"`
	Error       *string           `json:"error"` // of the last attempt that failed
	Secret      string            `json:"secret,omitempty"`
}

func shapeOfWebhook(w projections.Webhook) webhookShape {
	shown := webhookShape{ID: w.ID, URL: w.URL, Events: w.Events, State: w.State, Reason: w.Reason, CreatedAt: domain.Timestamp(w.CreatedAt)}
	if w.DeliveredAt != nil {
		at := domain.Timestamp(w.DeliveredAt.UTC())
		shown.DeliveredAt = &at
	}
	if w.FailedAt != nil {
		at := domain.Timestamp(w.FailedAt.UTC())
		shown.FailedAt, shown.Error = &at, &w.Error
	}
	return shown
}

// addWebhook makes a webhook of the one who asks. Its secret is shown this once.
func (s *server) addWebhook(ctx context.Context, c *call, in newWebhook) (answer, error) {
	w, secret, err := s.Webhooks.Register(ctx, c.by().Actor, c.id, domain.RegisterWebhook{User: c.user.ID, URL: in.URL, Events: in.Events})
	if err != nil {
		return answer{}, err
	}
	shown := shapeOfWebhook(w)
	shown.Secret = secret
	return answer{status: http.StatusCreated, location: "/webhooks/" + w.ID, position: w.Pos, value: shown}, nil
}

// listWebhooks shows those of the one who asks. Their ids are in the order of
// their making.
func (s *server) listWebhooks(ctx context.Context, c *call) (answer, error) {
	q, err := parseQuery(c)
	if err != nil {
		return answer{}, err
	}
	found, err := s.Reader.Webhooks(ctx, c.user.ID)
	if err != nil {
		return answer{}, err
	}
	items := make([]webhookShape, len(found))
	for i, w := range found {
		items[i] = shapeOfWebhook(w)
	}
	slices.SortFunc(items, func(a, b webhookShape) int { return strings.Compare(a.ID, b.ID) })
	return listByName(c, q.page, items, func(w webhookShape) string { return w.ID })
}

func (s *server) removeWebhook(ctx context.Context, c *call) (answer, error) {
	id, err := idOf(c)
	if err != nil {
		return answer{}, err
	}
	seq, err := s.Webhooks.Remove(ctx, c.by().Actor, c.id, c.user.ID, id)
	if err != nil {
		return answer{}, err
	}
	return answer{status: http.StatusNoContent, position: seq}, nil
}
