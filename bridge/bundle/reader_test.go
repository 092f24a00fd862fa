package bundle_test

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

var readerAll = flag.Bool("reader-all", false, "let the independent reader judge every vector, and note that it did")

// judged holds the digest of the reader and of the vectors when it last judged them all.
const judged = "testdata/reader.judged"

// A reader that shares no code with this package, testdata/reader.sh, judges each
// plain vector as this package does, without an exception: what the specification
// says is enough. It starts many programs a file, so a usual run reads every good
// vector and each sixteenth bad one; -reader-all reads all, and must once either
// the reader or a vector changes.
func TestIndependentReader(t *testing.T) {
	t.Parallel()
	for _, tool := range []string{"bash", "jq", "openssl", "zstd", "xxd", "sha256sum", "iconv", "grep", "sed"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Logf("no program %s here: the vectors are read by this package alone", tool)
			return
		}
	}
	index := readIndex(t)
	if *readerAll {
		t.Cleanup(func() { noteJudged(t) }) // once all have run
	}
	read := 0
	for i, v := range index.Vectors {
		if strings.HasPrefix(v.File, "age-") || strings.HasPrefix(v.File, "ok-age") {
			continue // it has no age
		}
		if !*readerAll && v.Code != "" && i%16 != 0 {
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
	if read < 30 {
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

func noteJudged(t *testing.T) {
	t.Helper()
	if t.Failed() {
		return
	}
	if err := os.WriteFile(judged, []byte(readerDigest(t)+"\n"), 0o644); err != nil { //nolint:gosec // it is committed
		t.Fatal(err)
	}
}

// The reader has judged each of these very vectors.
func TestIndependentReaderJudgedAll(t *testing.T) {
	t.Parallel()
	if *readerAll {
		return // the run that judges them all
	}
	noted, err := os.ReadFile(judged)
	if err != nil {
		t.Fatal(err)
	}
	if string(noted) != readerDigest(t)+"\n" {
		t.Error("the reader or a vector has changed: go test -run IndependentReader ./bridge/bundle -reader-all")
	}
}

// readerDigest covers the reader and all that it is held against.
func readerDigest(t *testing.T) string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(vectorDir, "*"))
	if err != nil || len(files) < 100 {
		t.Fatalf("%d vectors, %v", len(files), err)
	}
	h := sha256.New()
	for _, name := range append(files, "testdata/reader.sh") {
		data, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		sum := sha256.Sum256(data)
		h.Write(append(sum[:], name...))
	}
	return hex.EncodeToString(h.Sum(nil))
}
