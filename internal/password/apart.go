package password

import (
	"encoding/gob"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os/exec"
	"runtime/debug"
	"time"
)

// Apart has passwords hashed in processes of their own from now on, one a slot:
// a program that calls [Serve] when it is run with these arguments, the first
// of which is its name. Logger hears what goes wrong with them. Close ends them.
func (h *Hasher) Apart(logger *slog.Logger, program string, args ...string) {
	h.each(func(w *worker) { *w = worker{program: program, args: args, logger: logger} })
}

// Close ends the processes that Apart began. Passwords are hashed in this
// process then.
func (h *Hasher) Close() {
	h.each(func(w *worker) {
		if w.process != nil {
			_ = w.process.end() // what it was started for is done
		}
		*w = worker{}
	})
}

// each does something with every worker while it has nothing to do.
func (h *Hasher) each(do func(*worker)) {
	all := make([]*worker, cap(h.slots))
	for i := range all {
		all[i] = <-h.slots
	}
	for _, w := range all {
		do(w)
		h.slots <- w
	}
}

// worker does one task at a time; the zero value does it in this process.
type worker struct {
	program string
	args    []string
	logger  *slog.Logger
	process *process // nil: not started yet, or not any more
	failing bool     // which was said
}

// do does a task in the worker's process. When that cannot be had it does it
// here, since people are to log in, and tries the other anew the next time.
func (w *worker) do(t task) answer {
	if w.program == "" {
		return t.do()
	}
	a, err := w.ask(t)
	if err == nil {
		w.failing = false
		return a
	}
	if !w.failing {
		w.failing = true
		w.logger.Warn("passwords are hashed in this process until their own can be had again: many logins now delay its other work", "error", err)
	}
	return t.do()
}

func (w *worker) ask(t task) (a answer, err error) {
	if w.process == nil {
		if w.process, err = start(w.program, w.args); err != nil {
			return a, err
		}
	}
	if a, err = w.process.ask(t); err != nil {
		err = errors.Join(err, w.process.end())
		w.process = nil
	}
	return a, err
}

// process is another process at work in Serve.
type process struct {
	cmd     *exec.Cmd
	in      io.Closer
	tasks   *gob.Encoder
	answers *gob.Decoder
}

// start starts one that knows nothing of this process: it has none of the
// environment, in which there may be secrets.
func start(program string, args []string) (*process, error) {
	cmd := &exec.Cmd{Path: program, Args: args, Env: []string{}, SysProcAttr: ownSession()}
	in, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start a process that hashes passwords: %w", err)
	}
	return &process{cmd: cmd, in: in, tasks: gob.NewEncoder(in), answers: gob.NewDecoder(out)}, nil
}

// patience is how long an answer may take; the dearest credential that is
// accepted takes some seconds, and longer at a busy time.
const patience = time.Minute

func (p *process) ask(t task) (a answer, err error) {
	stuck := time.AfterFunc(patience, func() { _ = p.cmd.Process.Kill() }) // and so its answers end
	defer stuck.Stop()
	if err := p.tasks.Encode(t); err != nil {
		return a, fmt.Errorf("ask a process to hash a password: %w", err)
	}
	if err := p.answers.Decode(&a); err != nil {
		return a, fmt.Errorf("wait for a process to hash a password: %w", err)
	}
	return a, nil
}

// end closes what the process reads, by which it ends, and waits for that.
func (p *process) end() error {
	stuck := time.AfterFunc(patience, func() { _ = p.cmd.Process.Kill() })
	defer stuck.Stop()
	_ = p.in.Close() // fails only if the process has gone
	return p.cmd.Wait()
}

// resting is how long a process waits for the next password before it gives
// back the memory that the last ones took.
const resting = time.Second

// Serve hashes what the hasher of another process asks for, until in ends. It
// lets all others on the machine go first.
func Serve(in io.Reader, out io.Writer) error {
	giveWay()
	tasks, answers := gob.NewDecoder(in), gob.NewEncoder(out)
	rest := time.AfterFunc(resting, debug.FreeOSMemory)
	for {
		var t task
		if err := tasks.Decode(&t); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return fmt.Errorf("standard input is not that of a process that `sallyport serve` starts by itself: %w", err)
		}
		rest.Stop()
		if err := answers.Encode(t.do()); err != nil {
			return err
		}
		rest.Reset(resting)
	}
}
