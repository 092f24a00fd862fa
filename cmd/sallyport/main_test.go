package main

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

// TestMain puts this program on PATH as `sallyport`: scripts run it, and tests
// that kill it start it as a process of its own, with the same race detector.
func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"sallyport": main})
}

func TestScripts(t *testing.T) {
	t.Parallel()
	testscript.Run(t, testscript.Params{Dir: "testdata/script", RequireExplicitExec: true, RequireUniqueNames: true,
		Cmds: map[string]func(*testscript.TestScript, bool, []string){"exits": wantExit}})
}

// wantExit is a command of the scripts: `exits CODE sallyport ARGS…`.
func wantExit(ts *testscript.TestScript, _ bool, args []string) {
	if len(args) < 2 {
		ts.Fatalf("usage: exits CODE COMMAND [ARGS…]")
	}
	err := ts.Exec(args[1], args[2:]...)
	got := "0"
	if err != nil {
		got = strings.TrimPrefix(err.Error(), "exit status ")
	}
	if got != args[0] {
		ts.Fatalf("exit code %s, want %s", got, args[0])
	}
}

// result is what one call of the program printed and returned.
type result struct {
	code           int
	stdout, stderr string
}

// call runs the program in this process.
func call(t *testing.T, args ...string) result {
	t.Helper()
	var stdout bytes.Buffer
	var stderr safeBuffer
	code := run(t.Context(), args, &stdout, &stderr)
	return result{code, stdout.String(), stderr.String()}
}

// must runs the program and decodes the JSON that it prints.
func must[T any](t *testing.T, args ...string) T {
	t.Helper()
	r := call(t, append(args, "-o", "json")...)
	if r.code != 0 {
		t.Fatalf("sallyport %v: exit code %d\n%s", args, r.code, r.stderr)
	}
	var v T
	if err := json.Unmarshal([]byte(r.stdout), &v); err != nil {
		t.Fatalf("sallyport %v does not print JSON: %v\n%s", args, err, r.stdout)
	}
	return v
}

// ready is the line of the dev contract that programs wait for.
type ready struct {
	Ready    bool                 `json:"ready"`
	Sites    map[string]readySite `json:"sites"`
	Accounts []account            `json:"accounts"`
}

type readySite struct {
	URL      string  `json:"url"`
	Config   string  `json:"config"`
	Postgres string  `json:"postgres"`
	Redis    *string `json:"redis"`
}

type account struct {
	Site     string `json:"site"`
	Username string `json:"username"`
	Password string `json:"password"`
	Role     string `json:"role"`
	Profile  string `json:"profile"`
}

func (r ready) account(t *testing.T, username string) account {
	t.Helper()
	for _, a := range r.Accounts {
		if a.Username == username {
			return a
		}
	}
	t.Fatalf("no account %s", username)
	return account{}
}

// devProcess is `sallyport dev` as a process of its own.
type devProcess struct {
	ready
	line   string // the ready line as it was printed
	cmd    *exec.Cmd
	stderr *safeBuffer
	exited chan error
}

// patience bounds each wait for something that must happen; machines that
// build at the same time are slow.
const patience = 3 * time.Minute

// startDev starts dev mode on a data folder and returns once it is ready.
func startDev(t *testing.T, data string, args ...string) *devProcess {
	t.Helper()
	d := &devProcess{stderr: &safeBuffer{}, exited: make(chan error, 1),
		cmd: exec.Command("sallyport", append([]string{"dev", "-o", "json", "--data", data}, args...)...)} //nolint:noctx // ended by finish
	d.cmd.Stderr = d.stderr
	stdout, err := d.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := d.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines := make(chan []byte, 1)
	go func() {
		all, _ := readLine(stdout) // what is cut off does not decode
		lines <- all
		_, _ = io.Copy(io.Discard, stdout)
		d.exited <- d.cmd.Wait()
	}()
	t.Cleanup(func() { d.finish(t) })
	select {
	case line := <-lines:
		d.line = string(line)
		decodeStrictly(t, line, &d.ready)
	case <-time.After(patience):
		t.Fatalf("not ready in %s:\n%s", patience, d.stderr)
	}
	return d
}

// finish ends the process as Ctrl-C does, and says so if it does not end well.
func (d *devProcess) finish(t *testing.T) {
	t.Helper()
	if d.exited == nil {
		return
	}
	_ = d.cmd.Process.Signal(os.Interrupt) // it may have ended
	select {
	case err := <-d.exited:
		if err != nil {
			t.Errorf("dev ended with %v:\n%s", err, d.stderr)
		}
	case <-time.After(patience):
		_ = d.cmd.Process.Kill()
		t.Errorf("dev did not end in %s:\n%s", patience, d.stderr)
	}
	d.exited = nil
	if strings.Contains(d.stderr.String(), "DATA RACE") {
		t.Errorf("a data race:\n%s", d.stderr)
	}
}

// kill ends the process as a power cut does.
func (d *devProcess) kill(t *testing.T) {
	t.Helper()
	if err := d.cmd.Process.Signal(syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	<-d.exited
	d.exited = nil
}

func readLine(r io.Reader) ([]byte, error) {
	var line []byte
	one := make([]byte, 1)
	for {
		if _, err := r.Read(one); err != nil || one[0] == '\n' {
			return line, err
		}
		line = append(line, one[0])
	}
}

func decodeStrictly(t *testing.T, data []byte, into any) {
	t.Helper()
	d := json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields()
	if err := d.Decode(into); err != nil {
		t.Fatalf("%v in %s", err, data)
	}
	if d.More() {
		t.Fatalf("more than one value in %s", data)
	}
}

// eventually asks again until it holds.
func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for !holds() {
		select {
		case <-ctx.Done():
			t.Fatalf("%s did not happen in %s", what, patience)
		case <-tick.C:
		}
	}
}

// safeBuffer is a buffer that several goroutines write and read.
type safeBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *safeBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *safeBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}
