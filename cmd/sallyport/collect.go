package main

import (
	"os"
	"runtime/debug"
)

// collectLess lets the heap grow to five times what is in use before garbage
// is collected. A site that serves holds few megabytes and makes much garbage:
// by default, collecting takes almost half of the time that an append costs
// this process. Whoever sets GOGC knows better.
func collectLess() {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(400)
	}
}

// readingMemory is what a command gets along with that reads bundles: the
// largest line there is takes half of it.
const readingMemory = 64 << 20

// collectEarly keeps the garbage of a command within bounds that reads files
// which somebody may have made to fill its memory. Whoever sets GOMEMLIMIT knows
// better.
func collectEarly() {
	if os.Getenv("GOMEMLIMIT") == "" {
		debug.SetMemoryLimit(readingMemory)
	}
}
