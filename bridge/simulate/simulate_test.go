package simulate_test

import (
	"flag"
	"os"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"

	"sallyport/bridge/simulate"
)

var (
	first     = flag.Uint64("seed", 1, "the first seed")
	schedules = flag.Int("schedules", 100_000/underRace, "how many schedules in all")
	traceFile = flag.String("trace", "", "a file with a schedule to run instead, as a failure prints it")
	three     = flag.Bool("three", false, "with -trace: between three sites")
)

var plans = map[string]simulate.Plan{
	"two sites":                 {Center: "core", Others: []string{"field"}, Actions: 40},
	"three sites":               {Center: "core", Others: []string{"field", "east"}, Actions: 60},
	"two sites, with restores":  {Center: "core", Others: []string{"field"}, Actions: 50, Restores: true},
	"three sites with restores": {Center: "core", Others: []string{"field", "east"}, Actions: 60, Restores: true},
}

func TestSchedulesConverge(t *testing.T) {
	t.Parallel()
	if *traceFile != "" {
		replay(t)
		return
	}
	for name, p := range plans {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var next atomic.Uint64
			var workers sync.WaitGroup
			for range runtime.GOMAXPROCS(0) {
				workers.Go(func() {
					for i := next.Add(1) - 1; i < uint64(*schedules/len(plans)) && !t.Failed(); i = next.Add(1) - 1 {
						try(t, p, *first+i)
					}
				})
			}
			workers.Wait()
		})
	}
}

func try(t *testing.T, p simulate.Plan, seed uint64) {
	world := func() simulate.World { return simulate.NewMemory(p) }
	actions := p.Generate(seed)
	err := simulate.Run(p, world(), actions)
	if err == nil {
		return
	}
	short := simulate.Shrink(p, world, actions)
	t.Errorf("seed %d: %v\nthe shortest schedule that fails (%v), to be run by -trace FILE:\n%s",
		seed, err, simulate.Run(p, world(), short), simulate.Trace(short))
}

func replay(t *testing.T) {
	text, err := os.ReadFile(*traceFile)
	if err != nil {
		t.Fatal(err)
	}
	actions, err := simulate.ParseTrace(string(text))
	if err != nil {
		t.Fatal(err)
	}
	p := plans["two sites"]
	if *three {
		p = plans["three sites"]
	}
	if err := simulate.Run(p, simulate.NewMemory(p), actions); err != nil {
		t.Error(err)
	}
}
