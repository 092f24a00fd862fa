package reactor

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"
)

func TestTheEndIsNoError(t *testing.T) {
	t.Parallel()
	var said bytes.Buffer
	stopped := false
	log := slog.New(ending{slog.NewTextHandler(&said, nil), func() bool { return stopped }}).With("site", "field").WithGroup("page")
	log.Error("a fault")
	stopped = true
	log.Error("left in its middle")
	if got := said.String(); !strings.Contains(got, "a fault") || !strings.Contains(got, "site=field") || strings.Contains(got, "middle") {
		t.Errorf("it said %q", got)
	}
}
