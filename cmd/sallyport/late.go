package main

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"sync"
	"time"

	"sallyport/bridge"
	"sallyport/internal/boot"
)

// lateAfter is how long people wait without a word.
const lateAfter = time.Second

// late is the progress of work that is mostly over at once: it says nothing
// before a second has passed. Several goroutines may add to it.
type late struct {
	mu          sync.Mutex
	g           *progress
	doing       string
	done, total int64
	since       time.Time
	shown       bool
}

func (p *program) late(doing string, total int64) *late {
	return &late{g: p.progress(), doing: doing, total: total, since: time.Now()}
}

func (l *late) add(n int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.done += n
	switch {
	case l.shown:
		l.g.Add(n)
	case time.Since(l.since) >= lateAfter:
		l.shown = true
		l.g.Start(l.doing, l.total)
		l.g.Add(l.done)
	}
}

func (l *late) finish() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.shown {
		l.g.Finish()
	}
}

// sizeOf sums the sizes of files, as far as they can be told.
func sizeOf(paths ...string) (sum int64) {
	for _, path := range paths {
		if info, err := os.Stat(path); err == nil && info.Mode().IsRegular() {
			sum += info.Size()
		}
	}
	return sum
}

// How often each byte of a bundle is read: it is copied, hashed, checked, and
// of a large one read once more while it is applied.
const (
	readByVerify   = 2
	readByRehearse = 2
	readByImport   = 4
)

// importSize is how much there is to read of the files given, or of all that
// lies and waits.
func importSize(s *boot.Site, files []string, dryRun bool) int64 {
	if len(files) == 0 {
		for _, dir := range []string{"inbox", "staging"} {
			found, _ := filepath.Glob(filepath.Join(s.Config.Data, dir, "*sp1_*")) // the pattern is good
			files = append(files, found...)
		}
	}
	if dryRun {
		return readByRehearse * sizeOf(files...)
	}
	return readByImport * sizeOf(files...)
}

// farBehind is how many positions an export must have to go through before
// they are counted first, to know how much there is to do.
const farBehind = 20_000

// exportSize is how many bytes of lines an export would write; 0 if it will be
// over soon.
func exportSize(ctx context.Context, s *boot.Site, links []bridge.Link) (sum int64, err error) {
	head, err := s.Log.Head(ctx)
	if err != nil {
		return 0, err
	}
	for _, l := range links {
		if l.Stopped != "" || head.Pos-l.Out.Through < farBehind {
			continue
		}
		due, err := s.Bridge.Preview(ctx, l.Card.Name)
		if err != nil && !errors.Is(err, bridge.ErrStopped) { // which the export itself will say
			return 0, err
		}
		for _, e := range due {
			sum += e.Bytes
		}
	}
	return sum, nil
}
