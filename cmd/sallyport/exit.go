package main

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/spf13/cobra"

	"sallyport/bridge"
	"sallyport/bridge/bundle"
	"sallyport/bridge/media"
	"sallyport/domain"
	"sallyport/eventstore"
	"sallyport/internal/boot"
)

// usageError is a command that was called wrongly.
type usageError struct{ error }

func (e *usageError) Unwrap() error { return e.error }

// configError is a configuration that cannot work.
type configError struct{ error }

func (e *configError) Unwrap() error { return e.error }

// foundDamage is a verification that ran and found something wrong.
type foundDamage struct{ error }

// exits is the one place that says which failure has which exit code. The
// codes are stable: scripts of operators rely on them.
var exits = []struct {
	code    int
	meaning string
	is      func(error) bool
}{
	{0, "all is well", func(err error) bool { return err == nil }},
	{1, "another failure", nil},
	{2, "the command was called wrongly", is[*usageError]},
	{3, "the configuration is wrong", func(err error) bool { return is[*configError](err) || is[*boot.SecretError](err) }},
	{4, "the database cannot be reached, refused, or holds no log", func(err error) bool {
		return is[*pgconn.ConnectError](err) || is[*pgconn.PgError](err) || errors.Is(err, eventstore.ErrNotFounded)
	}},
	{10, "damaged", func(err error) bool { return is[*foundDamage](err) || code(bundle.Damaged)(err) }},
	{11, "incomplete: the file ends early", code(bundle.Incomplete)},
	{12, "gap: a bundle is missing", code(bundle.Gap)},
	{13, "duplicate", code(bundle.Duplicate)},
	{14, "fork: two histories contradict each other", code(bundle.Fork)},
	{15, "untrusted: the signature or the sender is not known here", func(err error) bool {
		return code(bundle.Untrusted)(err) || is[*untrustedCard](err)
	}},
	{16, "refused by policy, or the link is stopped", func(err error) bool {
		return code(bundle.Refused)(err) || is[*domain.Error](err) || errors.Is(err, bridge.ErrStopped) || errors.Is(err, bridge.ErrWithhold) || is[*policyError](err) ||
			is[*eventstore.ReadOnlyError](err) || errors.Is(err, media.ErrPool) || is[*refusedFiles](err)
	}},
	{17, "this program must be upgraded first", func(err error) bool {
		return code(bundle.Upgrade)(err) || is[*domain.UnknownEventError](err)
	}},
}

func is[E error](err error) bool {
	var e E
	return errors.As(err, &e)
}

func code(c bundle.Code) func(error) bool {
	return func(err error) bool { return bundle.CodeOf(err) == c }
}

func exitCode(err error) int {
	for _, e := range exits {
		if e.is != nil && e.is(err) {
			return e.code
		}
	}
	if isUsage(err) {
		return 2
	}
	return 1
}

// isUsage recognises what cobra says without a type of its own.
func isUsage(err error) bool {
	if errors.Is(err, context.Canceled) {
		return false
	}
	for _, begin := range []string{"unknown command", "unknown flag", "accepts ", "requires ", "required flag", "at least one of the flags", "if any flags in the group"} {
		if strings.HasPrefix(err.Error(), begin) {
			return true
		}
	}
	return false
}

func exitCodesTopic() *cobra.Command {
	var b strings.Builder
	b.WriteString("Exit codes are stable:\n\n")
	for _, e := range exits {
		fmt.Fprintf(&b, "  %3d  %s\n", e.code, e.meaning)
	}
	return &cobra.Command{Use: "exit-codes", Short: "What the exit codes mean", Long: b.String()}
}
