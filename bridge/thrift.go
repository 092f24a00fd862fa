package bridge

import (
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"sync"
)

// readingRoom is what reading a bundle gets along with, on top of what the
// program uses: the largest line there is and all that is made of it.
const readingRoom = 36 << 20

// thrift bounds the garbage of reading what somebody may have made to fill
// memory: until undo, the heap is collected before it grows to more than
// readingRoom above what is alive, however lazily the program collects otherwise.
// The runtime has one limit a process, so there is one thrift; a lower limit
// stays in force.
func thrift() (undo func()) {
	thrifty.Lock()
	defer thrifty.Unlock()
	if thrifty.readers++; thrifty.readers == 1 {
		thrifty.limit = debug.SetMemoryLimit(-1)
	}
	debug.SetMemoryLimit(min(thrifty.limit, alive()+readingRoom)) // anew for each: more may be alive by now
	return func() {
		thrifty.Lock()
		defer thrifty.Unlock()
		if thrifty.readers--; thrifty.readers == 0 {
			debug.SetMemoryLimit(thrifty.limit)
		}
	}
}

var thrifty struct {
	sync.Mutex
	readers int
	limit   int64 // the program's own
}

// alive is what the runtime would hold without any garbage, as of the last
// collection. One is made first if much came up since.
func alive() int64 {
	m := []metrics.Sample{
		{Name: "/memory/classes/total:bytes"}, {Name: "/gc/heap/live:bytes"}, // what counts
		{Name: "/memory/classes/heap/released:bytes"}, {Name: "/memory/classes/heap/free:bytes"}, // what does not
		{Name: "/memory/classes/heap/unused:bytes"}, {Name: "/memory/classes/heap/objects:bytes"},
	}
	metrics.Read(m)
	if m[5].Value.Uint64() > m[1].Value.Uint64()+readingRoom/2 {
		runtime.GC()
		metrics.Read(m)
	}
	n := int64(m[0].Value.Uint64()) + int64(m[1].Value.Uint64()) //nolint:gosec // memory of this process
	for _, s := range m[2:] {
		n -= int64(s.Value.Uint64()) //nolint:gosec // as above
	}
	return n
}
