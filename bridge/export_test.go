package bridge

import "context"

// Scan is one look at the inbox by a bridge that runs.
func (b *Bridge) Scan(ctx context.Context, seen map[string]int64) (map[string]int64, error) {
	return b.scan(ctx, seen)
}
