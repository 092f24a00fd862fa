package main

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

func TestProgressInAFileIsLines(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	g := (&program{stderr: &out}).progress()
	g.Finish()
	g.Start("nothing", 0)
	g.Add(0)
	g.Finish()
	if out.Len() > 0 {
		t.Errorf("nothing to do was worth %q", &out)
	}
	g.Start("copying", 100)
	for range 10 {
		g.Add(10)
	}
	g.Finish()
	want := `{"doing":"copying","done_bytes":0,"total_bytes":100}` + "\n" + `{"doing":"copying","done_bytes":100,"total_bytes":100}` + "\n"
	if out.String() != want {
		t.Errorf("%s", &out)
	}
}

func TestProgressOnATerminalIsABar(t *testing.T) {
	t.Parallel()
	person, program := terminal(t)
	shown := make(chan string)
	go func() {
		all, _ := io.ReadAll(person) // a terminal whose other end is closed ends with an error
		shown <- string(all)
	}()
	g := &progress{to: program}
	g.Start("copying", 1000)
	g.Add(500)
	g.Finish()
	if err := program.Close(); err != nil {
		t.Fatal(err)
	}
	if out := <-shown; !strings.Contains(out, "copying") || !strings.Contains(out, "%") || strings.Contains(out, "{") {
		t.Errorf("%q", out)
	}
}

// terminal gives both ends of a new terminal: a person's and a program's.
func terminal(t *testing.T) (person, program *os.File) {
	t.Helper()
	person, err := os.OpenFile("/dev/ptmx", os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = person.Close() })
	if err := unix.IoctlSetPointerInt(int(person.Fd()), unix.TIOCSPTLCK, 0); err != nil {
		t.Fatal(err)
	}
	n, err := unix.IoctlGetInt(int(person.Fd()), unix.TIOCGPTN)
	if err != nil {
		t.Fatal(err)
	}
	program, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	return person, program
}
