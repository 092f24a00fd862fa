package bridge

import (
	"context"
	"os"

	"sallyport/bridge/bundle"
)

// growing remembers the inbox files that ended early when they were last
// looked at. People copy files under their final name, so a file that is cut
// off may only be on its way: it is given time until its size stands still.
type growing map[string]int64

// scan is Import for a bridge that looks at the inbox again by itself: what
// still grows is left for the next time.
func (b *Bridge) scan(ctx context.Context, seen growing) (growing, error) {
	still := growing{}
	_, err := b.importing(ctx, func(ctx context.Context) ([]Outcome, error) {
		names, err := b.Folders.list(inboxDir)
		if err != nil {
			return nil, err
		}
		var ready []string
		for _, name := range names {
			size, unfinished := b.unfinished(name)
			if last, known := seen[name]; unfinished && (!known || last != size) {
				still[name] = size
				continue
			}
			ready = append(ready, name)
		}
		return b.stageInbox(ctx, ready)
	})
	return still, err
}

// unfinished reports whether a file ends before the end that it announces.
// What cannot be told counts as finished: staging finds out.
func (b *Bridge) unfinished(name string) (size int64, yes bool) {
	if _, err := bundle.ParseName(name); err != nil {
		return 0, false
	}
	f, err := openRegular(b.Folders.root, inboxDir+"/"+name)
	if err != nil {
		return 0, false
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return 0, false
	}
	return info.Size(), endsEarly(f, info.Size(), b.Limits)
}

func endsEarly(f *os.File, size int64, limits bundle.Limits) bool {
	if size == 0 {
		return true
	}
	b, err := bundle.Open(f, size, limits)
	if err != nil {
		return bundle.CodeOf(err) == bundle.Incomplete
	}
	return size < b.Size()
}
