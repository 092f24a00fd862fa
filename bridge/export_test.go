package bridge

import (
	"context"

	"sallyport/bridge/link"
)

// Scan is one look at the inbox by a bridge that runs.
func (b *Bridge) Scan(ctx context.Context, seen map[string]int64) (map[string]int64, error) {
	return b.scan(ctx, seen)
}

// ExportUnder is an export under a pressure that a test chooses, not a clock.
func (b *Bridge) ExportUnder(ctx context.Context, peer string, p link.Pressure) ([]Exported, error) {
	return b.export(ctx, peer, b.actor(), p)
}

// Locked holds a lock of this program while fn runs.
func (b *Bridge) Locked(ctx context.Context, name string, fn func(context.Context) error) error {
	return b.locked(ctx, name, fn)
}
