package bridge

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"sallyport/bridge/bundle"
	"sallyport/domain"
)

// Handling is one time that somebody had a medium in hand, as the log has it.
type Handling struct {
	Seq        int64                  `json:"seq"`
	At         string                 `json:"at"`
	Act        string                 `json:"act"`      // written or read
	Operator   string                 `json:"operator"` // `user-<id>` or `cli:<os user>`
	Medium     string                 `json:"medium"`   // the id in its marker; empty for one without
	Serial     string                 `json:"serial"`
	SerialFrom string                 `json:"serial_from"`
	Bundles    []domain.CarriedBundle `json:"bundles"`
}

// CustodyFilter says which handlings are listed; empty fields leave all in.
type CustodyFilter struct {
	Page
	Medium string
	file   string
}

// Streams are ordered by their bytes: those of custody are one range of the index.
const selectHandlings = `
	SELECT seq, at, type, line FROM events
	WHERE stream >= $1 AND stream < $2 AND origin = $3 AND ($4::bigint IS NULL OR seq < $4)
	  AND ($5 = '' OR EXISTS (SELECT FROM json_array_elements(line::json -> 'data' -> 'bundles') AS b WHERE b ->> 'file' = $5))
	ORDER BY seq DESC LIMIT $6`

// CustodyPage lists who put bundles onto a medium here, or took them from one,
// the last one first, and the cursor of the next page, which is empty at the
// end. It fails with [ErrCursor].
func (b *Bridge) CustodyPage(ctx context.Context, f CustodyFilter) ([]Handling, string, error) {
	before, err := after[int64](f.Page)
	if err != nil {
		return nil, "", err
	}
	from := domain.CustodyStream(f.Medium)
	to := from + "\x01"
	if f.Medium == "" {
		to = strings.TrimSuffix(from, "-") + "."
	}
	if strings.ContainsRune(from, 0) {
		return []Handling{}, "", nil // no stream has such a name
	}
	rows, err := b.Pool.Query(ctx, selectHandlings, from, to, b.Log.Site(), before, f.file, f.limit()+1)
	if err != nil {
		return nil, "", fmt.Errorf("list who carried media: %w", err)
	}
	found, err := pgx.CollectRows(rows, scanHandling)
	if err != nil {
		return nil, "", fmt.Errorf("list who carried media: %w", err)
	}
	found, next := cut(f.Page, found, func(h Handling) int64 { return h.Seq })
	return orEmpty(found), next, nil
}

func scanHandling(row pgx.CollectableRow) (h Handling, err error) {
	var at time.Time
	var kind, line string
	if err := row.Scan(&h.Seq, &at, &kind, &line); err != nil {
		return h, err
	}
	var event struct {
		Data domain.MediaWritten `json:"data"` // media.read has the same fields
	}
	if err := json.Unmarshal([]byte(line), &event); err != nil {
		return h, fmt.Errorf("seq %d: %w", h.Seq, err)
	}
	d := event.Data
	h.At, h.Act, h.Operator, h.Medium = bundle.FormatTime(at), strings.TrimPrefix(kind, "media."), d.Operator, d.Medium
	h.Serial, h.SerialFrom, h.Bundles = d.Serial, d.SerialFrom, orEmpty(d.Bundles)
	return h, nil
}
