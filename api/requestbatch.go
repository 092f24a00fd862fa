package api

import (
	"context"
	"net/http"

	"sallyport/internal/commands"
	"sallyport/projections"
)

type newBatch struct {
	Items []newRequest `json:"items"`
}

type batchShape struct {
	Items []requestShape `json:"items"`
	// Positions are those of the first and the last request: the log holds
	// nothing else between them.
	Positions positionRange `json:"positions"`
}

type positionRange struct {
	First int64 `json:"first"`
	Last  int64 `json:"last"`
}

// submitBatch stores several requests, all or none.
func (s *server) submitBatch(ctx context.Context, c *call, in newBatch) (answer, error) {
	key, err := idempotencyKey(c)
	if err != nil {
		return answer{}, err
	}
	link, err := s.Crossing(ctx)
	if err != nil {
		return answer{}, err
	}
	meter := s.meter(c)
	batch := commands.NewBatch{User: c.user.ID, Key: key, Admit: meter.admit}
	for _, item := range in.Items {
		batch.Items = append(batch.Items, commands.NewRequest{Type: item.Type, Params: item.Params, Name: item.Name, Priority: item.Priority})
	}
	stored, err := s.Commands.SubmitRequests(ctx, c.by(), batch)
	meter.settle(ctx, stored.Replayed, err)
	if err != nil {
		return answer{}, err
	}
	requests, err := s.requestsOf(ctx, stored)
	if err != nil {
		return answer{}, err
	}
	out := batchShape{Items: []requestShape{}}
	for _, q := range requests {
		out.Items = append(out.Items, firstShape(q, link))
	}
	if n := len(requests); n > 0 {
		out.Positions = positionRange{First: requests[0].Seq, Last: requests[n-1].Seq}
	}
	return answer{status: http.StatusAccepted, position: out.Positions.Last, replay: stored.Replayed, value: out}, nil
}

// requestsOf are the requests of a batch as they were stored.
func (s *server) requestsOf(ctx context.Context, b commands.StoredBatch) ([]projections.Request, error) {
	var requests []projections.Request
	if !b.Replayed {
		for i, f := range b.Requests {
			requests = append(requests, submitted(f, b.Items[i]))
		}
		return requests, nil
	}
	ids := make([]string, len(b.Items))
	for i, item := range b.Items {
		ids[i] = item.ID
	}
	return s.Reader.RequestsOf(ctx, ids)
}
