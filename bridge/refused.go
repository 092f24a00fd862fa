package bridge

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"sallyport/bridge/bundle"
	"sallyport/domain"
)

// QuarantinedFile is a refused file and what a person decided about it.
type QuarantinedFile struct {
	Reason
	Decided   string  `json:"decided"`    // released or rejected; empty: nobody has decided
	DecidedBy string  `json:"decided_by"` // `user-<id>` or `cli:<os user>`
	DecidedAt *string `json:"decided_at"`
}

// QuarantineFilter says which refused files are listed. The zero value leaves
// in those that nobody has decided about.
type QuarantineFilter struct {
	Page
	Peer string // as the file claims; empty: all
	All  bool   // those decided about too
}

// QuarantinedFiles returns the newest 1,000 refused files that nobody has
// decided about, newest first.
func (b *Bridge) QuarantinedFiles(ctx context.Context) ([]QuarantinedFile, error) {
	all, _, err := b.QuarantinePage(ctx, QuarantineFilter{Page: Page{Limit: MaxPage}})
	return all, err
}

// quarantineKey is a refused file's place in the list.
type quarantineKey struct {
	At time.Time
	ID uuid.UUID
}

type quarantineRow struct {
	QuarantinedFile
	key quarantineKey
}

const quarantineColumns = `SELECT id, file, sha256, peer, code, message, next_step, seq, at, decided, decided_by, decided_at FROM quarantined_files `

// QuarantinePage lists the refused files that f leaves in, newest first, and
// the cursor of the next page, which is empty at the end. Where in a file the
// fault lies is in the message; [Bridge.QuarantinedFile] gives it as numbers.
// It fails with [ErrCursor].
func (b *Bridge) QuarantinePage(ctx context.Context, f QuarantineFilter) ([]QuarantinedFile, string, error) {
	from, err := after[quarantineKey](f.Page)
	if err != nil {
		return nil, "", err
	}
	var at *time.Time
	var id uuid.UUID
	if from != nil {
		at, id = &from.At, from.ID
	}
	rows, err := b.Pool.Query(ctx, quarantineColumns+`
		WHERE ($1 OR decided = '') AND $2 IN ('', peer) AND ($3::timestamptz IS NULL OR (at, id) < ($3, $4))
		ORDER BY at DESC, id DESC LIMIT $5`, f.All, f.Peer, at, id, f.limit()+1)
	if err != nil {
		return nil, "", fmt.Errorf("list the quarantined files: %w", err)
	}
	found, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (quarantineRow, error) { return scanQuarantined(row) })
	if err != nil {
		return nil, "", fmt.Errorf("list the quarantined files: %w", err)
	}
	found, next := cut(f.Page, found, func(r quarantineRow) quarantineKey { return r.key })
	listed := make([]QuarantinedFile, len(found))
	for i, r := range found {
		listed[i] = r.QuarantinedFile
	}
	return listed, next, nil
}

func scanQuarantined(row pgx.Row) (r quarantineRow, err error) {
	var decidedAt *time.Time
	err = row.Scan(&r.key.ID, &r.File, &r.SHA256, &r.Peer, &r.Code, &r.Message, &r.NextStep, &r.Seq, &r.key.At,
		&r.Decided, &r.DecidedBy, &decidedAt)
	r.ID, r.At, r.DecidedAt = r.key.ID.String(), bundle.FormatTime(r.key.At), display(decidedAt)
	return r, err
}

// QuarantinedFile returns what reason.json says of one refused file, and what
// was decided. It fails with a [domain.Error] of kind NotFound.
func (b *Bridge) QuarantinedFile(ctx context.Context, id string) (QuarantinedFile, error) {
	q, err := readQuarantined(ctx, b.Pool, id, "")
	if err != nil {
		return q, err
	}
	data, err := b.Folders.root.ReadFile(quarantineDir + "/" + q.ID + "/" + reasonName)
	if err != nil {
		return q, fmt.Errorf("read why %s was refused: %w", q.ID, err)
	}
	if err := json.Unmarshal(data, &q.Reason); err != nil {
		return q, fmt.Errorf("read why %s was refused: %w", q.ID, err)
	}
	return q, nil
}

// readQuarantined reads one row; lock is empty or FOR UPDATE.
func readQuarantined(ctx context.Context, q querier, id, lock string) (QuarantinedFile, error) {
	parsed, err := uuid.Parse(id)
	if err != nil {
		return QuarantinedFile{}, notQuarantined(id)
	}
	r, err := scanQuarantined(q.QueryRow(ctx, quarantineColumns+`WHERE id = $1 `+lock, parsed))
	if errors.Is(err, pgx.ErrNoRows) {
		return QuarantinedFile{}, notQuarantined(id)
	}
	if err != nil {
		return QuarantinedFile{}, fmt.Errorf("read the quarantined file %s: %w", id, err)
	}
	return r.QuarantinedFile, nil
}

func notQuarantined(id string) error {
	return &domain.Error{Kind: domain.NotFound, Code: "not-found",
		Detail: fmt.Sprintf("no file was refused under the id %.40q: see `sallyport quarantine list --all`", id)}
}
