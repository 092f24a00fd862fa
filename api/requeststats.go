package api

import (
	"context"

	"sallyport/domain"
	"sallyport/projections/tally"
)

type statsShape struct {
	Total    int64                   `json:"total"`
	ByStatus map[domain.Status]int64 `json:"by_status"` // every status, 0 or not
	ByType   map[string]int64        `json:"by_type"`
	Items    []countShape            `json:"items"` // by type, then status; none of 0
	// Uncounted is how many positions of the log are not in the counts yet.
	Uncounted int64 `json:"uncounted"`
}

type countShape struct {
	Type   string        `json:"type"`
	Status domain.Status `json:"status"`
	Count  int64         `json:"count"`
}

// requestStats counts the requests of the one who asks.
func (s *server) requestStats(ctx context.Context, c *call) (answer, error) {
	values, err := onlyQuery(c, "from", "to")
	if err != nil {
		return answer{}, err
	}
	f := tally.Filter{User: c.user.ID}
	if f.From, err = timeOf(values, "from"); err != nil {
		return answer{}, err
	}
	if f.To, err = timeOf(values, "to"); err != nil {
		return answer{}, err
	}
	counts, err := s.countRequests(ctx, f)
	return answer{value: counts}, err
}

func (s *server) countRequests(ctx context.Context, f tally.Filter) (statsShape, error) {
	link, err := s.Crossing(ctx)
	if err != nil {
		return statsShape{}, err
	}
	counts, err := s.tally.Requests(ctx, f, link.counted())
	if err != nil {
		return statsShape{}, err
	}
	out := statsShape{Uncounted: counts.Uncounted, ByStatus: map[domain.Status]int64{}, ByType: map[string]int64{}, Items: []countShape{}}
	for _, status := range statuses {
		out.ByStatus[status] = 0
	}
	for _, n := range counts.Requests {
		out.Total += n.Count
		out.ByStatus[n.Status] += n.Count
		out.ByType[n.Type] += n.Count
		out.Items = append(out.Items, countShape(n))
	}
	return out, nil
}
