package ratelimit_test

import (
	"context"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/redis/go-redis/v9"
	"pgregory.net/rapid"

	"sallyport/api/ratelimit"
	"sallyport/domain"
	"sallyport/internal/redisdev/redistest"
)

// counter is what both implementations offer.
type counter interface {
	Take(ctx context.Context, a ratelimit.Ask) (bool, []ratelimit.Counter, error)
	Give(ctx context.Context, a ratelimit.Ask) ([]ratelimit.Counter, error)
	Look(ctx context.Context, a ratelimit.Ask) ([]ratelimit.Counter, error)
	Reset(ctx context.Context, user string, windows []ratelimit.Window) error
}

// onEach runs a test of the contract on every implementation.
func onEach(t *testing.T, test func(t *testing.T, c counter)) {
	t.Parallel()
	t.Run("memory", func(t *testing.T) { t.Parallel(); test(t, ratelimit.NewMemory()) })
	client, ok := connect(t)
	if !ok {
		t.Log("there is no redis-server on this machine: the contract is only checked in memory")
		return
	}
	t.Run("redis", func(t *testing.T) { test(t, ratelimit.NewPatientRedis(client)) })
}

func connect(t *testing.T) (*redis.Client, bool) {
	t.Helper()
	url, ok := redistest.URL(t)
	if !ok {
		return nil, false
	}
	options, err := redis.ParseURL(url)
	if err != nil {
		t.Fatal(err)
	}
	// Not by Connect: a test must not fail because the machine is busy.
	client := redis.NewClient(options)
	t.Cleanup(func() { _ = client.Close() })
	return client, true
}

// noon is in the middle of every window.
var noon = time.Date(2026, 3, 15, 12, 30, 30, 0, time.UTC)

func at(after time.Duration, n int, l domain.Limits, types ...ratelimit.OfType) ratelimit.Ask {
	return ratelimit.Ask{User: "u1", At: noon.Add(after), N: n, Limits: l, Types: types}
}

func taken(t *testing.T, c counter, a ratelimit.Ask) bool {
	t.Helper()
	allowed, _, err := c.Take(t.Context(), a)
	if err != nil {
		t.Fatal(err)
	}
	return allowed
}

// takes takes one request after another and returns how many were allowed.
func takes(t *testing.T, c counter, a ratelimit.Ask) (allowed int) {
	t.Helper()
	for taken(t, c, a) {
		if allowed++; allowed > 1000 {
			t.Fatal("it never ends")
		}
	}
	return allowed
}

func TestTheMostThatAWindowAllows(t *testing.T) {
	onEach(t, func(t *testing.T, c counter) {
		for limit, want := range map[int]int{1: 1, 5: 5, 9: 9, 10: 11, 19: 20, 30: 33, 100: 110} {
			a := at(0, 1, domain.Limits{Minute: limit})
			a.User = string(rune('a' + limit))
			if got := takes(t, c, a); got != want {
				t.Errorf("of a limit of %d, %d were allowed, want %d", limit, got, want)
			}
		}
		if !taken(t, c, at(0, 1000, domain.Limits{})) {
			t.Error("no limit is a limit")
		}
	})
}

func TestGraceEndsAfterFiveMinutes(t *testing.T) {
	onEach(t, func(t *testing.T, c counter) {
		l := domain.Limits{Hour: 100}
		if !taken(t, c, at(0, 100, l)) || !taken(t, c, at(6*time.Minute, 1, l)) { // the first excess
			t.Fatal("the limit and its first excess are refused")
		}
		for after, want := range map[time.Duration]bool{6 * time.Minute: true, 11*time.Minute - time.Millisecond: true} {
			if got := taken(t, c, at(after, 1, l)); got != want {
				t.Errorf("after %v: %v", after, got)
			}
		}
		if taken(t, c, at(11*time.Minute, 1, l)) {
			t.Error("five minutes after the first excess it is still allowed")
		}
		if !taken(t, c, at(30*time.Minute, 100, l)) {
			t.Error("the next hour does not begin anew")
		}
	})
}

func TestWindowsBeginAnew(t *testing.T) {
	onEach(t, func(t *testing.T, c counter) {
		for _, step := range []struct {
			end time.Duration
			l   domain.Limits
		}{{30 * time.Second, domain.Limits{Minute: 5}}, {29*time.Minute + 30*time.Second, domain.Limits{Hour: 5}},
			{11*time.Hour + 29*time.Minute + 30*time.Second, domain.Limits{Day: 5}},
			{(16*24+11)*time.Hour + 29*time.Minute + 30*time.Second, domain.Limits{Month: 5}}} {
			if err := c.Reset(t.Context(), "u1", ratelimit.Windows[:]); err != nil {
				t.Fatal(err)
			}
			if got := takes(t, c, at(0, 1, step.l)); got != 5 {
				t.Errorf("%+v: %d", step.l, got)
			}
			if taken(t, c, at(step.end-time.Millisecond, 1, step.l)) {
				t.Errorf("%+v: allowed before the window ended", step.l)
			}
			if got := takes(t, c, at(step.end, 1, step.l)); got != 5 {
				t.Errorf("%+v: in the next window %d", step.l, got)
			}
		}
	})
}

func TestAllOrNoneIsCounted(t *testing.T) {
	onEach(t, func(t *testing.T, c counter) {
		l := domain.Limits{Minute: 20, Hour: 10}
		typ := ratelimit.OfType{Name: "airport", N: 3, Limits: domain.Limits{Day: 5}}
		counts := func() (all []int64) {
			t.Helper()
			counters, err := c.Look(t.Context(), at(0, 0, l, typ))
			if err != nil {
				t.Fatal(err)
			}
			for _, c := range counters {
				all = append(all, c.Count)
			}
			return all
		}
		if !taken(t, c, at(0, 9, l, typ)) {
			t.Fatal("refused")
		}
		if d := cmp.Diff([]int64{9, 9, 9, 9, 3}, counts()); d != "" {
			t.Error(d)
		}
		if taken(t, c, at(0, 3, l)) || taken(t, c, at(0, 1, l, typ)) { // the hour; the type's day
			t.Error("what exceeds one window is allowed")
		}
		if d := cmp.Diff([]int64{9, 9, 9, 9, 3}, counts()); d != "" {
			t.Errorf("what was refused is counted: %s", d)
		}
		if got := takes(t, c, at(0, 1, l)); got != 2 {
			t.Errorf("%d more are allowed, want 2", got)
		}
	})
}

func TestGivingBack(t *testing.T) {
	onEach(t, func(t *testing.T, c counter) {
		l := domain.Limits{Minute: 10}
		a := at(0, 1, l)
		for range 3 {
			if got := takes(t, c, a); got == 0 {
				t.Fatal("nothing is allowed")
			}
			for range 11 {
				if _, err := c.Give(t.Context(), a); err != nil {
					t.Fatal(err)
				}
			}
		}
		if _, err := c.Give(t.Context(), a); err != nil {
			t.Fatal(err)
		}
		if got := takes(t, c, a); got != 11 {
			t.Errorf("after giving back more than was taken, %d are allowed", got)
		}
		later := at(time.Minute, 1, l)
		if !taken(t, c, later) {
			t.Fatal("refused")
		}
		got, err := c.Give(t.Context(), a) // of the minute before
		if err != nil || got[0].Count != 1 || got[1].Count != 11 {
			t.Errorf("giving back of an earlier minute: %+v, %v", got, err)
		}
	})
}

func TestGivingBackEndsARefusal(t *testing.T) {
	onEach(t, func(t *testing.T, c counter) {
		wide, narrow := at(0, 1, domain.Limits{Day: 5}), at(0, 1, domain.Limits{Day: 1})
		if n := takes(t, c, wide); n != 5 {
			t.Fatalf("%d are allowed, want 5", n)
		}
		if _, err := c.Give(t.Context(), wide); err != nil {
			t.Fatal(err)
		}
		if got, err := c.Look(t.Context(), narrow); err != nil || got[ratelimit.Day].Refused {
			t.Errorf("%+v, %v: of what was refused nothing is left", got[ratelimit.Day], err)
		}
	})
}

func TestReset(t *testing.T) {
	onEach(t, func(t *testing.T, c counter) {
		l := domain.Limits{Minute: 10, Day: 20}
		typ := ratelimit.OfType{Name: "airport", N: 1, Limits: domain.Limits{Minute: 1, Day: 1}}
		takes(t, c, at(0, 1, l, typ))
		for _, step := range []struct {
			windows []ratelimit.Window
			want    []int64
		}{{[]ratelimit.Window{ratelimit.Minute}, []int64{0, 1, 1, 1, 0, 1}}, {ratelimit.Windows[:], make([]int64, 6)}} {
			if err := c.Reset(t.Context(), "u1", step.windows); err != nil {
				t.Fatal(err)
			}
			got, err := c.Look(t.Context(), at(0, 1, l, typ))
			if err != nil {
				t.Fatal(err)
			}
			for i, want := range step.want {
				if got[i].Count != want {
					t.Errorf("after resetting %v: %+v, want %v", step.windows, got, step.want)
					break
				}
			}
		}
		if err := c.Reset(t.Context(), "nobody", ratelimit.Windows[:]); err != nil {
			t.Error(err)
		}
	})
}

func TestManyAtOnce(t *testing.T) {
	onEach(t, func(t *testing.T, c counter) {
		var together sync.WaitGroup
		allowed := make([]bool, 100)
		for i := range allowed {
			together.Go(func() { allowed[i] = taken(t, c, at(0, 1, domain.Limits{Hour: 50})) })
		}
		together.Wait()
		n := 0
		for _, yes := range allowed {
			if yes {
				n++
			}
		}
		if n != 55 {
			t.Errorf("%d of 100 at once are allowed, want 55", n)
		}
	})
}

// TestBothAgree: whatever is asked, in Redis and in memory it becomes the same.
func TestBothAgree(t *testing.T) {
	t.Parallel()
	client, ok := connect(t)
	if !ok {
		t.Log("there is no redis-server on this machine")
		return
	}
	limit := rapid.SampledFrom([]int{0, 1, 2, 5, 10, 20, 100})
	limits := rapid.Custom(func(r *rapid.T) domain.Limits {
		return domain.Limits{Minute: limit.Draw(r, "minute"), Hour: limit.Draw(r, "hour"), Day: limit.Draw(r, "day"), Month: limit.Draw(r, "month")}
	})
	rapid.Check(t, func(r *rapid.T) {
		if err := client.FlushAll(t.Context()).Err(); err != nil {
			t.Fatal(err)
		}
		both := []counter{ratelimit.NewMemory(), ratelimit.NewPatientRedis(client)}
		now := noon
		for range rapid.IntRange(1, 30).Draw(r, "calls") {
			// Mostly on, sometimes back: the clocks of two processes differ.
			now = now.Add(time.Duration(rapid.SampledFrom([]int{0, 1, 1000, 20_000, 299_999, 300_000, -5_000, 3_600_000, 90_000_000}).Draw(r, "later")) * time.Millisecond)
			a := ratelimit.Ask{User: "u1", At: now, N: rapid.SampledFrom([]int{1, 1, 1, 2, 7}).Draw(r, "n"), Limits: limits.Draw(r, "limits")}
			if rapid.Bool().Draw(r, "typed") {
				a.Types = []ratelimit.OfType{{Name: "airport", N: a.N, Limits: limits.Draw(r, "of the type")}}
			}
			act := rapid.SampledFrom([]string{"take", "take", "take", "give", "look", "reset"}).Draw(r, "act")
			var allowed [2]bool
			var counters [2][]ratelimit.Counter
			for i, c := range both {
				var err error
				switch act {
				case "take":
					allowed[i], counters[i], err = c.Take(t.Context(), a)
				case "give":
					counters[i], err = c.Give(t.Context(), a)
				case "look":
					counters[i], err = c.Look(t.Context(), a)
				default:
					err = c.Reset(t.Context(), "u1", []ratelimit.Window{ratelimit.Hour})
				}
				if err != nil {
					r.Fatal(err)
				}
			}
			if allowed[0] != allowed[1] {
				r.Fatalf("%s %+v: in memory %v, in Redis %v", act, a, allowed[0], allowed[1])
			}
			if d := cmp.Diff(counters[0], counters[1]); d != "" {
				r.Fatalf("%s %+v: in memory and in Redis:\n%s", act, a, d)
			}
		}
	})
}

// TestTogetherIsOneAfterAnother: calls alike that are counted as one hear what
// they would have heard in their turn.
func TestTogetherIsOneAfterAnother(t *testing.T) {
	t.Parallel()
	client, ok := connect(t)
	if !ok {
		t.Log("there is no redis-server on this machine")
		return
	}
	limits := rapid.Custom(func(r *rapid.T) domain.Limits { // whose grace holds a few calls
		return domain.Limits{Hour: rapid.SampledFrom([]int{0, 10, 20}).Draw(r, "hour"), Month: rapid.SampledFrom([]int{0, 20, 40}).Draw(r, "month")}
	})
	rapid.Check(t, func(r *rapid.T) {
		if err := client.FlushAll(t.Context()).Err(); err != nil {
			t.Fatal(err)
		}
		memory, shared, now := ratelimit.NewMemory(), ratelimit.NewPatientRedis(client), noon
		for range rapid.IntRange(1, 4).Draw(r, "trips") {
			now = now.Add(time.Duration(rapid.SampledFrom([]int{0, 1000, 300_000}).Draw(r, "later")) * time.Millisecond)
			a := ratelimit.Ask{User: "u1", At: now, N: rapid.IntRange(1, 2).Draw(r, "n"), Limits: limits.Draw(r, "limits")}
			if rapid.Bool().Draw(r, "typed") {
				a.Types = []ratelimit.OfType{{Name: "airport", N: a.N, Limits: limits.Draw(r, "of the type")}}
			}
			group := slices.Repeat([]ratelimit.Ask{a}, rapid.IntRange(1, 30).Draw(r, "calls"))
			got, err := shared.TakeTogether(t.Context(), group)
			if err != nil {
				r.Fatal(err)
			}
			want := make([]ratelimit.Outcome, len(group))
			for i, a := range group {
				if want[i].Allowed, want[i].Counters, err = memory.Take(t.Context(), a); err != nil {
					r.Fatal(err)
				}
			}
			if d := cmp.Diff(want, got); d != "" {
				r.Fatalf("%d calls alike, in turn and together:\n%s", len(group), d)
			}
		}
	})
}

// Of calls that share a trip and ask for different things none pays for another.
func TestStrangersShareATrip(t *testing.T) {
	t.Parallel()
	client, ok := connect(t)
	if !ok {
		t.Log("there is no redis-server on this machine")
		return
	}
	few, many := at(0, 1, domain.Limits{Hour: 2}), at(0, 1, domain.Limits{Hour: 100})
	few.User, many.User = "few", "many"
	later := many
	later.At = later.At.Add(time.Hour)
	got, err := ratelimit.NewPatientRedis(client).TakeTogether(t.Context(), []ratelimit.Ask{few, many, few, later, few, many})
	if err != nil {
		t.Fatal(err)
	}
	var hours []int64
	var allowed []bool
	for _, o := range got {
		hours, allowed = append(hours, o.Counters[ratelimit.Hour].Count), append(allowed, o.Allowed)
	}
	if want := []int64{1, 1, 2, 1, 2, 2}; !slices.Equal(hours, want) {
		t.Errorf("counts %v, want %v", hours, want)
	}
	if want := []bool{true, true, true, true, false, true}; !slices.Equal(allowed, want) {
		t.Errorf("allowed %v, want %v", allowed, want)
	}
}
