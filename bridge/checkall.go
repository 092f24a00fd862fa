package bridge

import (
	"iter"
	"runtime"
	"slices"
	"sync"

	"sallyport/bridge/bundle"
	"sallyport/domain"
)

// checked is a line of a bundle and, unless it is a withheld run, the event
// and the fact that it holds.
type checked struct {
	bundle.Line
	event domain.Event
	fact  domain.Fact
	err   error
}

// So many lines, or so many bytes of them, are checked at a time. It bounds
// what is in memory beside the frame that is being read.
const (
	checkLines = 1024
	checkBytes = 1 << 20
)

// all checks lines on all processors and gives them in their order. It ends
// with the first line that is bad, after all that come before it, and its error.
func (c Checker) all(lines iter.Seq2[bundle.Line, error]) iter.Seq2[checked, error] {
	return func(yield func(checked, error) bool) {
		var batch []checked
		size := 0
		flush := func() bool {
			c.checkTogether(batch)
			for _, l := range batch {
				if !yield(l, l.err) || l.err != nil {
					return false
				}
			}
			clear(batch) // a line keeps its frame in memory
			batch, size = batch[:0], 0
			return true
		}
		for line, err := range lines {
			if err != nil {
				if flush() {
					yield(checked{}, err)
				}
				return
			}
			batch, size = append(batch, checked{Line: line}), size+len(line.Raw)
			if (len(batch) == checkLines || size >= checkBytes) && !flush() {
				return
			}
		}
		flush()
	}
}

func (c Checker) checkTogether(batch []checked) {
	share := len(batch)/runtime.GOMAXPROCS(0) + 1
	var parts sync.WaitGroup
	for part := range slices.Chunk(batch, share) {
		parts.Go(func() {
			for i := range part {
				part[i].check(c)
			}
		})
	}
	parts.Wait()
}

func (l *checked) check(c Checker) {
	if l.Withheld == nil {
		l.event, l.fact, l.err = c.Check(l.Line)
		l.err = atLine(l.err, l.Number)
	}
}
