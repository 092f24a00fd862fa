package boot

import (
	"context"
	"errors"
	"fmt"
	"os"

	"sallyport/bridge"
	"sallyport/projections"
)

// Recovered is what a recovery brought home, and what people must see to.
type Recovered struct {
	bridge.Recovered
	// Unconfigured are the request types that nobody can answer: how was never
	// carried to anybody, so that it was lost with the log.
	Unconfigured []string `json:"unconfigured"`
}

// Recover brings a restored site's lost events home and founds its log anew; see
// [bridge.Bridge.Recover]. It writes the new site card. Close the site after it.
func (s *Site) Recover(ctx context.Context, without []string, actor string) (Recovered, error) {
	var r Recovered
	var err error
	if r.Recovered, err = s.Bridge.Recover(ctx, without, actor); err != nil {
		return r, err
	}
	if err := s.Config.writeCard(r.Card); err != nil {
		return r, err
	}
	if s.isResponse() {
		r.Unconfigured, err = s.unconfigured(ctx)
	}
	return r, err
}

func (s *Site) unconfigured(ctx context.Context) ([]string, error) {
	types, err := s.Reader.RequestTypes(ctx, false)
	if err != nil {
		return nil, err
	}
	var names []string
	for _, t := range types {
		if _, err := s.Reader.ResponderConfig(ctx, t.Name); errors.Is(err, projections.ErrNotFound) {
			names = append(names, t.Name)
		} else if err != nil {
			return nil, err
		}
	}
	return names, nil
}

func (c Config) writeCard(card bridge.Card) error {
	if err := os.WriteFile(c.CardPath(), card.Encode(), 0o644); err != nil { //nolint:gosec // a card is public
		return fmt.Errorf("write the site card: %w; `sallyport link card` shows it", err)
	}
	return nil
}
