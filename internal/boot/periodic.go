package boot

import (
	"context"
	"fmt"
	"time"

	"sallyport/bridge"
	"sallyport/internal/commands"
	"sallyport/internal/periodic"
)

// defaultRetention is how long a finished request stays in the read models.
const defaultRetention = 30 * 24 * time.Hour

// periodic is what a process with these parts does once a day: files are
// cleared where the bridge's folders are, read models where workers are.
func (s *Site) periodic(parts Parts) *periodic.Periodic {
	does := map[string]periodic.Do{}
	if parts.Bridge {
		does[periodic.CleanBundles] = s.cleanBundles
	}
	if parts.Workers {
		does[periodic.CleanRequests] = s.cleanRequests
	}
	return periodic.New(s.Pool, does, s.Logger)
}

func (s *Site) cleanBundles(ctx context.Context) (periodic.Outcome, error) {
	out, err := s.Bridge.Prune(ctx, bridge.Prune{OlderThan: s.Bridge.Keep})
	return periodic.Outcome{Code: "bundles-cleared", Figures: map[string]int64{"files": int64(len(out.Removed)), "bytes": out.Bytes},
		Text: fmt.Sprintf("%d files of %d bytes were removed", len(out.Removed), out.Bytes)}, err
}

func (s *Site) cleanRequests(ctx context.Context) (periodic.Outcome, error) {
	keep := defaultRetention
	if given := s.Config.Retention.Requests; given != nil {
		keep = *given
	}
	if keep == 0 {
		return periodic.Outcome{Code: "kept-for-ever", Text: "nothing: finished requests are kept for ever"}, nil
	}
	answers := s.Log.Site()
	if !s.isResponse() {
		links, err := s.Bridge.Crossings(ctx)
		if err != nil {
			return periodic.Outcome{}, err
		}
		if len(links) == 0 {
			return periodic.Outcome{Code: "no-link", Text: "nothing: there is no link to a response site"}, nil
		}
		answers = links[0].Peer
	}
	n, err := s.Commands.ApplyRetention(ctx, commands.By{Actor: "site:" + s.Log.Site()}, answers, keep)
	return periodic.Outcome{Code: "requests-cleared", Figures: map[string]int64{"outcomes": int64(n), "kept_hours": int64(keep / time.Hour)},
		Text: fmt.Sprintf("the read models were cleared of what %d outcomes had finished more than %s before", n, keep)}, err
}
