// Command pgteststop stops the PostgreSQL server that tests share and removes its files, unless tests are using it.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"sallyport/internal/pgdev/pgtest"
)

func main() {
	ctx, cancel := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer cancel()
	inUse, err := pgtest.Stop(ctx)
	switch {
	case err != nil:
		fmt.Fprintln(os.Stderr, "stop the shared postgresql of the tests:", err)
		os.Exit(1) //nolint:gocritic // nothing is left to cancel
	case inUse:
		fmt.Fprintln(os.Stderr, "the shared postgresql is in use by other tests and goes on")
	}
}
