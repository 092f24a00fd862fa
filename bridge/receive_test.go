package bridge

import (
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
)

// One upload at a time is begun or published, whatever programs work on the
// folders: each call locks anew, as another program would.
func TestOnePublishesAtATime(t *testing.T) {
	t.Parallel()
	folders, err := OpenFolders(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer folders.Close()
	var inside, most atomic.Int64
	var wg sync.WaitGroup
	for range 20 {
		wg.Go(func() {
			for range 20 {
				err := folders.publishing(func() error {
					if n := inside.Add(1); n > most.Load() {
						most.Store(n)
					}
					runtime.Gosched()
					inside.Add(-1)
					return nil
				})
				if err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	if most.Load() != 1 {
		t.Errorf("%d were inside at once", most.Load())
	}
}
