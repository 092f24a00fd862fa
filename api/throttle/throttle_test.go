package throttle

import (
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

func TestOnlyFailuresCost(t *testing.T) {
	t.Parallel()
	th, now := New(Config{Burst: 3, Every: 10 * time.Second}), time.Unix(1_000_000, 0)
	for range 100 {
		if wait := th.Outcome("alice", false, now); wait != 0 {
			t.Fatal("a right password was slowed down")
		}
	}
	for range 3 {
		if th.Blocked("alice", now) != 0 || th.Outcome("alice", true, now) != 0 {
			t.Fatal("blocked within the allowance")
		}
	}
	if wait := th.Blocked("alice", now); wait < 9*time.Second || wait > 10*time.Second {
		t.Errorf("after the allowance: wait %v, want about 10s", wait)
	}
	if th.Outcome("alice", false, now) == 0 {
		t.Error("a blocked key was told that its guess is right")
	}
	if th.Blocked("bob", now) != 0 {
		t.Error("one key's failures blocked another")
	}
	if wait := th.Blocked("alice", now.Add(11*time.Second)); wait != 0 {
		t.Errorf("after ten seconds: still %v", wait)
	}
}

func TestGuessesSideBySide(t *testing.T) {
	t.Parallel()
	th, now := New(Config{Burst: 5, Every: time.Hour}), time.Unix(1_000_000, 0)
	var told atomic.Int32
	var wg sync.WaitGroup
	for range 200 {
		wg.Go(func() {
			if th.Outcome("alice", true, now) == 0 {
				told.Add(1)
			}
		})
	}
	wg.Wait()
	if told.Load() != 5 {
		t.Errorf("%d guesses were judged, want 5", told.Load())
	}
}

func TestKeysAreBounded(t *testing.T) {
	t.Parallel()
	th, now := New(Config{Burst: 1, Every: time.Hour, Keys: 100}), time.Unix(1_000_000, 0)
	for i := range 1000 {
		th.Outcome(strconv.Itoa(i), true, now)
	}
	if n := len(th.keys); n > 100 {
		t.Errorf("%d keys are remembered, want at most 100", n)
	}
}
