package sqlresponder

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"sallyport/domain"
)

// StatementError says why a statement cannot answer a request type. It is for
// the administrator who wrote the statement and may quote it.
type StatementError struct {
	Detail string
}

func (e *StatementError) Error() string { return "the statement " + e.Detail }

// Check tries a configuration at its source before it is recorded, without
// running it: one statement, whose rows have columns of different names, that
// PostgreSQL accepts as a sub-select, with no @name but those of names (the
// properties of the request type's schema). It returns a [*StatementError] or,
// when the source cannot be asked now, a [*responders.Failure].
func (r *Responder) Check(ctx context.Context, c domain.ResponderConfigured, names []string) error {
	pool, ok := r.sources[c.Source]
	if !ok {
		return errUnknownSource.By(nil)
	}
	ctx, cancel := context.WithTimeout(ctx, connectTimeout+grace)
	defer cancel()
	plain, err := checkNames(ctx, bare(c.Statement), names)
	if err != nil {
		return err
	}
	if err := prepare(ctx, pool, plain, wrap(plain, 1)); err != nil {
		return checkError(ctx, err)
	}
	return nil
}

// checkNames replaces the @names by $1, $2, … and refuses those not given.
func checkNames(ctx context.Context, statement string, names []string) (string, error) {
	if statement == "" {
		return "", &StatementError{"is empty"}
	}
	known := make(pgx.NamedArgs, len(names))
	for _, n := range names {
		known[n] = n
	}
	plain, args, err := known.RewriteQuery(ctx, nil, statement, nil)
	if err != nil {
		return "", &StatementError{"cannot be read: " + err.Error()}
	}
	for _, a := range args {
		if a == nil {
			return "", &StatementError{fmt.Sprintf("uses a parameter that the schema does not have; it has: %s", strings.Join(names, ", "))}
		}
	}
	return plain, nil
}

// prepare lets the source parse the statement by itself, which shows its
// columns and that it is only one, and then as it will be run.
func prepare(ctx context.Context, pool *pgxpool.Pool, plain, wrapped string) error {
	conn, err := pool.Acquire(ctx)
	if err != nil {
		return err
	}
	defer conn.Release()
	desc, err := conn.Conn().Prepare(ctx, "", plain)
	if err != nil {
		return err
	}
	if err := checkColumns(desc.Fields); err != nil {
		return err
	}
	_, err = conn.Conn().Prepare(ctx, "", wrapped)
	return err
}

func checkColumns(columns []pgconn.FieldDescription) error {
	if len(columns) == 0 {
		return &StatementError{"returns no rows: only a SELECT can answer a request"}
	}
	seen := make(map[string]bool, len(columns))
	for _, c := range columns {
		if seen[c.Name] {
			return &StatementError{fmt.Sprintf("has two columns named %q: give one another name with AS", c.Name)}
		}
		seen[c.Name] = true
	}
	return nil
}

func checkError(ctx context.Context, err error) error {
	var wrong *StatementError
	var refused *pgconn.PgError
	switch {
	case errors.As(err, &wrong):
		return wrong
	case errors.As(err, &refused) && !bySQLState(refused.Code).Retryable:
		return &StatementError{fmt.Sprintf("is refused by the source: %s (SQLSTATE %s)", refused.Message, refused.Code)}
	default:
		return failure(ctx, err)
	}
}
