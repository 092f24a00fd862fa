package bridge_test

import (
	"testing"
)

// A file that is still being copied is left alone until it is whole; one that
// stays cut off is refused when its size stands still.
func TestAFileThatGrowsIsGivenTime(t *testing.T) {
	t.Parallel()
	for name, cuts := range map[string]func(size int) []int{
		"becomes whole":  func(size int) []int { return []int{0, 5, 100, size - 1, size} },
		"stays cut off":  func(size int) []int { return []int{0, size / 2, size / 2} },
		"never was more": func(int) []int { return []int{0, 0} },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			field, core := pair(t)
			field.submit(t)
			out := field.exportOne(t, "core")
			data := read(t, field, "outbox/"+out.File)
			steps := cuts(len(data))
			var seen map[string]int64
			for i, n := range steps {
				drop(t, core, out.File, data[:n])
				var err error
				if seen, err = core.Scan(t.Context(), seen); err != nil {
					t.Fatal(err)
				}
				last := i == len(steps)-1
				if left := len(core.names(t, "inbox")); (left == 0) != last {
					t.Fatalf("after %d of %d bytes %d files are in the inbox", n, len(data), left)
				}
			}
			whole := steps[len(steps)-1] == len(data)
			if refused := len(core.reasons(t)); (refused == 0) != whole {
				t.Errorf("%d refused", refused)
			}
			if applied := core.link(t, "field").In.Seq == 1; applied != whole {
				t.Errorf("applied: %v", applied)
			}
		})
	}
}
