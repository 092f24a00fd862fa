package responsecache

import "sync/atomic"

// Stats is what people are shown of a cache.
type Stats struct {
	Backend    string // redis or memory
	Keys       int64  // all that the server holds
	Answers    int64  // of those, the answers
	Results    int64  // what the same place keeps of sources' answers, on a response site
	UsedMemory string // for people, such as 1.51M
	Clients    int64  // connected to the server; 0 in memory
	// HitRatio is the part of this process's look-ups that found an answer,
	// since it began: 0 to 1.
	HitRatio float64
}

// asked counts the look-ups of one process.
type asked struct{ hits, misses atomic.Int64 }

func (a *asked) count(hit bool) {
	if hit {
		a.hits.Add(1)
	} else {
		a.misses.Add(1)
	}
}

func (a *asked) ratio() float64 {
	hits, misses := a.hits.Load(), a.misses.Load()
	if hits+misses == 0 {
		return 0
	}
	return float64(hits) / float64(hits+misses)
}
