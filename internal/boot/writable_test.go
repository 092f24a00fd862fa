package boot

import (
	"context"
	"errors"
	"log/slog"
	"testing"

	"sallyport/domain"
	"sallyport/eventstore/eventstoretest"
)

// Work ends when the site becomes read-only and begins again when it was
// recovered; a failure of the work ends it for good.
func TestNoWorkIsDoneOnAReadOnlySite(t *testing.T) {
	t.Parallel()
	db := eventstoretest.New(t, eventstoretest.Setup{Site: "core", Role: domain.ResponseSite})
	s := &Site{Log: db.Store, Logger: slog.New(slog.DiscardHandler)}
	begun, ended := make(chan struct{}), make(chan struct{})
	failed := errors.New("the source is gone")
	result := make(chan error, 1)
	turns := 0
	go func() {
		result <- s.whileWritable(t.Context(), func(ctx context.Context) error {
			if turns++; turns == 2 {
				return failed
			}
			begun <- struct{}{}
			<-ctx.Done()
			ended <- struct{}{}
			return nil
		})
	}()
	<-begun
	if _, err := db.Store.MakeReadOnly(t.Context(), "it lost events"); err != nil {
		t.Fatal(err)
	}
	<-ended
	select {
	case err := <-result:
		t.Fatalf("it ended while the site was read-only: %v", err)
	default:
	}
	if _, err := db.Owner.Exec(t.Context(), `UPDATE log_head SET read_only = NULL`); err != nil {
		t.Fatal(err)
	}
	if err := <-result; !errors.Is(err, failed) {
		t.Errorf("ended with %v", err)
	}
}
