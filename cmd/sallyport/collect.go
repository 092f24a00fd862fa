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
