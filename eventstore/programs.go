package eventstore

import (
	"context"
	"fmt"
	"strconv"

	"sallyport/domain"
)

// programName is how the connections of a program are called, so that others on the
// same log see which versions of events it reads.
func programName(generation int) string { return "sallyport/" + strconv.Itoa(generation) }

// Programs of before generations had names are of generation 0. All that is
// connected lives, and nothing else does.
const selectOldest = `
	SELECT coalesce(min(coalesce(substring(application_name FROM '^sallyport/([0-9]{1,6})$')::int, 0)), $1)
	FROM pg_stat_activity WHERE datname = current_database() AND application_name ~ '^sallyport(/|$)'`

// OldestProgram returns the generation of the oldest program that is connected to
// the log's database now, see [domain.Generation]; at most this one's.
func (s *Store) OldestProgram(ctx context.Context) (generation int, err error) {
	if err := s.pool.QueryRow(ctx, selectOldest, domain.Generation()).Scan(&generation); err != nil {
		return 0, fmt.Errorf("look which programs work on the log: %w", err)
	}
	return min(generation, domain.Generation()), nil
}
