package api

import (
	"testing"
	"time"

	"sallyport/domain"
	"sallyport/projections"
)

// An answer is expected when half of the latest took as long; once that is past,
// when nine of ten did; and then nothing is said any more.
func TestWhenAnAnswerIsExpected(t *testing.T) {
	t.Parallel()
	asked := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	known := projections.RoundTrip{Half: 10 * time.Minute, Most: time.Hour}
	for name, c := range map[string]struct {
		trip   projections.RoundTrip
		status domain.Status
		after  time.Duration // how long ago it was asked
		again  bool
		want   time.Duration // from when it was asked; 0: not told
	}{
		"just asked":              {trip: known, status: domain.StatusPending, want: 10 * time.Minute},
		"half are back":           {trip: known, status: domain.StatusExported, after: 10 * time.Minute, want: time.Hour},
		"nearly all are back":     {trip: known, status: domain.StatusProcessing, after: time.Hour - time.Second, want: time.Hour},
		"all are back":            {trip: known, status: domain.StatusDelivered, after: time.Hour},
		"nothing is known":        {status: domain.StatusExported},
		"only the slow are known": {trip: projections.RoundTrip{Most: time.Hour}, status: domain.StatusExported, want: time.Hour},
		"asked again":             {trip: known, status: domain.StatusExported, again: true},
		"answered":                {trip: known, status: domain.StatusAnswered},
	} {
		q := projections.Request{CreatedAt: asked, Pos: 1, AskedPos: 1}
		if c.again {
			q.AskedPos = 2
		}
		back := Crossing{RoundTrip: c.trip}.expect(q, c.status, asked.Add(c.after)).Back
		switch {
		case c.want == 0 && back == nil:
		case c.want == 0 || back == nil || !time.Time(*back).Equal(asked.Add(c.want)):
			t.Errorf("%s: %v, want %s after it was asked", name, back, c.want)
		}
	}
}
