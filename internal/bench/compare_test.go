package bench

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"
)

// The subject takes turns with the limit, and the first pair does not count.
func TestCompare(t *testing.T) {
	t.Parallel()
	var order []string
	values := map[string][]float64{"subject": {1000, 10, 30, 20}, "limit": {1, 10, 10, 10}}
	next := func(name string) measure {
		i := 0
		return func(context.Context) (float64, error) {
			order = append(order, name)
			i++
			return values[name][i-1], nil
		}
	}
	c := contest{subject: next("subject"), limit: next("limit"), limitName: "the limit"}
	f, err := c.compare(t.Context(), Entry{Name: "x", Unit: "1/s", Target: 1.5}, 3)
	if err != nil {
		t.Fatal(err)
	}
	if want := (Figure{Name: "x", Value: 20, Unit: "1/s", Limit: 10, LimitName: "the limit", Ratio: 2, Target: 1.5, Pairs: 3}); f != want {
		t.Errorf("got %+v, want %+v", f, want)
	}
	if want := strings.Fields("subject limit limit subject subject limit limit subject"); !slices.Equal(order, want) {
		t.Errorf("order %v, want %v", order, want)
	}
}

// What is the same each time is measured once, without a look before.
func TestCompareOnce(t *testing.T) {
	t.Parallel()
	asked := 0
	next := func(context.Context) (float64, error) { asked++; return float64(asked), nil }
	f, err := contest{subject: next, limit: next, once: true}.compare(t.Context(), Entry{Name: "x", Unit: "MiB", Target: 1, AtMost: true}, 5)
	if want := (Figure{Name: "x", Value: 1, Unit: "MiB", Limit: 2, Ratio: 0.5, Target: 1, AtMost: true, Pairs: 1}); err != nil || f != want {
		t.Errorf("got %+v, %v, want %+v", f, err, want)
	}
}

// What was looked at before needs no pair that does not count.
func TestCompareWhatWasLookedAt(t *testing.T) {
	t.Parallel()
	asked := 0.0
	next := func(context.Context) (float64, error) { asked++; return asked, nil }
	f, err := contest{subject: next, limit: next, looked: true}.compare(t.Context(), Entry{Name: "x", Unit: "ms", Target: 1, AtMost: true}, 1)
	if want := (Figure{Name: "x", Value: 1, Unit: "ms", Limit: 2, Ratio: 0.5, Target: 1, AtMost: true, Pairs: 1}); err != nil || f != want || asked != 2 {
		t.Errorf("got %+v of %v measurements, %v, want %+v of two", f, asked, err, want)
	}
}

// The peak is the program's own, and what fails is told.
func TestPeak(t *testing.T) {
	t.Parallel()
	mib, err := peak(t.Context(), "dd", "if=/dev/zero", "of=/dev/null", "bs=100M", "count=10")
	if err != nil || mib < 95 || mib > 120 {
		t.Errorf("a program with a buffer of 100 MiB takes %v MiB, %v", mib, err)
	}
	if _, err := peak(t.Context(), "dd", "if=/nowhere/at/all", "of=/dev/null"); err == nil || !strings.Contains(err.Error(), "/nowhere/at/all") {
		t.Errorf("got %v", err)
	}
}

func TestCompareWithoutALimit(t *testing.T) {
	t.Parallel()
	f, err := contest{limitName: "none here"}.compare(t.Context(), Entry{Name: "x"}, 3)
	if err != nil || f.Pairs != 0 || f.Met() || f.LimitName != "none here" {
		t.Errorf("got %+v, %v", f, err)
	}
}

func TestCompareSaysWhatFailed(t *testing.T) {
	t.Parallel()
	broken := errors.New("broken")
	c := contest{subject: func(context.Context) (float64, error) { return 1, nil },
		limit: func(context.Context) (float64, error) { return 0, broken }}
	if _, err := c.compare(t.Context(), Entry{Name: "x"}, 1); !errors.Is(err, broken) || !strings.Contains(err.Error(), "measure x: the limit") {
		t.Errorf("got %v", err)
	}
}

func TestMedian(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		values []float64
		want   float64
	}{{nil, 0}, {[]float64{3}, 3}, {[]float64{9, 1, 2}, 2}, {[]float64{4, 1, 2, 9}, 3}} {
		if got := median(c.values); got != c.want {
			t.Errorf("median of %v is %v, want %v", c.values, got, c.want)
		}
	}
}

// The caller counts only the answers it was told to expect.
func TestCaller(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Cache", "hit")
		w.WriteHeader(http.StatusAccepted)
		fmt.Fprint(w, r.Header.Get("Authorization"))
	}))
	defer server.Close()
	address := server.Listener.Addr().String()
	for name, c := range map[string]struct {
		status int
		header string
		wrong  string
	}{
		"as expected":  {status: http.StatusAccepted, header: "X-Cache: hit"},
		"other status": {status: http.StatusOK, wrong: "want status 200"},
		"no header":    {status: http.StatusAccepted, header: "X-Cache: miss", wrong: `lacks "X-Cache: miss"`},
	} {
		t.Run(name, func(t *testing.T) {
			to := target{address: address, status: c.status, header: c.header, requests: [][]byte{wire(http.MethodPost, "/x", address, "t", []byte("{}"))}}
			rate, err := crowd{size: 3, measure: 30 * time.Millisecond}.rate(t.Context(), to.join)
			if c.wrong == "" && (err != nil || rate <= 0) || c.wrong != "" && (err == nil || !strings.Contains(err.Error(), c.wrong)) {
				t.Errorf("rate %v, error %v", rate, err)
			}
		})
	}
}

func TestCrowdEndsWithItsContext(t *testing.T) {
	t.Parallel()
	gone := errors.New("gone")
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(gone)
	_, err := crowd{size: 2, measure: time.Hour}.rate(ctx, func(context.Context) (member, error) {
		return member{ask: func() error { return nil }}, nil
	})
	if !errors.Is(err, gone) {
		t.Errorf("got %v", err)
	}
}
