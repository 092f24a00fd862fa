package resultcache

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"

	"sallyport/responders"
)

// Who goes away takes no answer along, even the one who came first.
func TestWhoGoesAwayTakesNoAnswerAlong(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var f flights
		let, asked := make(chan struct{}), 0
		ask := func(ctx context.Context) (responders.Answer, error) {
			asked++
			select {
			case <-ctx.Done():
				return responders.Answer{}, ctx.Err()
			case <-let:
				return responders.Answer{Count: 7}, nil
			}
		}
		first, leave := context.WithCancel(t.Context())
		go func() {
			if _, alone, err := f.do(first, "key", ask); !errors.Is(err, context.Canceled) || !alone {
				t.Errorf("who went away: alone %t, %v", alone, err)
			}
		}()
		synctest.Wait()
		go func() {
			if a, alone, err := f.do(t.Context(), "key", ask); err != nil || alone || a.Count != 7 {
				t.Errorf("who stayed: %+v, alone %t, %v", a, alone, err)
			}
		}()
		synctest.Wait()
		leave()
		synctest.Wait()
		close(let)
		synctest.Wait()
		if asked != 1 || len(f.all) != 0 {
			t.Errorf("asked %d times, %d in flight", asked, len(f.all))
		}
	})
}
