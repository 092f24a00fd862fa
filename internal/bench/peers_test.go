package bench

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
)

// What never comes is missed and what comes again is doubled; the reader goes
// on until the writers have ended.
func TestFollow(t *testing.T) {
	t.Parallel()
	pages := [][]string{{"a", "b"}, nil, {"b", "d"}, {"e"}}
	var written atomic.Int64
	written.Store(5)
	writing := make(chan error, 1)
	asked := 0
	f, err := follow(t.Context(), func(context.Context) ([]string, error) {
		if asked++; asked <= len(pages) {
			return pages[asked-1], nil
		}
		if asked == len(pages)+1 {
			writing <- nil
		}
		return nil, nil
	}, &written, writing)
	if want := (given{Written: 5, Read: 5, Distinct: 4}); err != nil || f != want {
		t.Errorf("got %+v, %v, want %+v", f, err, want)
	}
	writing <- errors.ErrUnsupported
	if _, err := follow(t.Context(), func(context.Context) ([]string, error) { return nil, nil }, &written, writing); !errors.Is(err, errors.ErrUnsupported) {
		t.Errorf("got %v", err)
	}
}
