package bundle_test

import (
	"errors"
	"flag"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

var readerAll = flag.Bool("reader-all", false, "let the independent reader judge every vector")

// A reader that shares no code with this package, testdata/reader.sh, judges each
// plain vector as this package does, without an exception: what the specification
// says is enough. It starts many programs a file, so a usual run reads every good
// vector and each fourth bad one; -reader-all reads all.
func TestIndependentReader(t *testing.T) {
	t.Parallel()
	for _, tool := range []string{"bash", "jq", "openssl", "zstd", "xxd", "sha256sum", "iconv", "grep", "sed"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Logf("no program %s here: the vectors are read by this package alone", tool)
			return
		}
	}
	index := readIndex(t)
	read := 0
	for i, v := range index.Vectors {
		if strings.HasPrefix(v.File, "age-") || strings.HasPrefix(v.File, "ok-age") {
			continue // it has no age
		}
		if !*readerAll && v.Code != "" && i%4 != 0 {
			continue
		}
		read++
		t.Run(v.File, func(t *testing.T) {
			t.Parallel()
			said, accepted := runReader(t, v.File, index.Trusted)
			if want := v.Code == ""; accepted != want {
				t.Errorf("accepted %v, want %v: %s", accepted, want, said)
			}
		})
	}
	if read < 50 {
		t.Errorf("only %d vectors were read", read)
	}
}

func runReader(t *testing.T, file string, trusted []string) (said string, accepted bool) {
	t.Helper()
	args := append([]string{"testdata/reader.sh", filepath.Join(vectorDir, file)}, trusted...)
	out, err := exec.CommandContext(t.Context(), "bash", args...).CombinedOutput()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	said = string(out)
	if err != nil && !strings.HasPrefix(said, "reader: ") {
		t.Errorf("broke instead of refusing: %s", said)
	}
	return said, err == nil
}
