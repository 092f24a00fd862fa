package bench

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"time"

	"sallyport/internal/boot"
)

// wholeRange is how many bytes of lines the target of the bundles' memory
// figures speaks of, wholeLog how many events that of the others; mayTake and
// logMayTake are how many MiB a process may have taken for them.
const (
	wholeRange = 1_000_000_000
	mayTake    = 256
	wholeLog   = 1_000_000
	logMayTake = 128
)

// A figure of memory is the peak of a whole process: this program, run anew
// to do that one thing.
func (r *rig) memory(limitName string, most float64, ready func() (args []string, err error)) (contest, error) {
	if _, err := peakOf(os.Getpid()); err != nil || r.config.Program == "" {
		return contest{limitName: "not measured: only a program on Linux can be asked for its peak"}, nil //nolint:nilerr // this is how it goes on without
	}
	args, err := ready()
	return contest{
		limitName: limitName,
		once:      true,
		subject:   func(ctx context.Context) (float64, error) { return peak(ctx, r.config.Program, args...) },
		limit:     func(context.Context) (float64, error) { return most, nil },
	}, err
}

// memoryOfRange measures on sites whose range takes several bundles.
func (r *rig) memoryOfRange(ctx context.Context, ready func(ctx context.Context, c *crossing) (args []string, err error)) (contest, error) {
	name := fmt.Sprintf("%d MiB for a range of %d MB of lines", mayTake, r.config.Range/1_000_000)
	if r.config.Range < wholeRange {
		name += ", which is less than the 1 GB that is meant"
	}
	return r.memory(name, mayTake, func() ([]string, error) {
		c, err := r.cross(ctx, "range", r.config.Range, large)
		if err != nil {
			return nil, err
		}
		args, err := ready(ctx, c)
		return args, errors.Join(err, r.settle(ctx, c.from.Config.Site, c.to.Config.Site))
	})
}

// memoryOfLog measures a command on the site with the long log.
func (r *rig) memoryOfLog(ctx context.Context, command ...string) (contest, error) {
	name := fmt.Sprintf("%d MiB for a log of %d events", logMayTake, r.config.Events)
	if r.config.Events < wholeLog {
		name += fmt.Sprintf(", which is less than the %d that are meant", wholeLog)
	}
	return r.memory(name, logMayTake, func() ([]string, error) {
		g, err := r.grow(ctx)
		if err != nil {
			return nil, err
		}
		config, err := written(g.many.Config)
		return append(command, "-C", config), err
	})
}

func memoryOfAudit(ctx context.Context, r *rig) (contest, error) {
	return r.memoryOfLog(ctx, "audit", "verify")
}

func memoryOfRebuild(ctx context.Context, r *rig) (contest, error) {
	return r.memoryOfLog(ctx, "projections", "rebuild")
}

func memoryOfExport(ctx context.Context, r *rig) (contest, error) {
	return r.memoryOfRange(ctx, func(ctx context.Context, c *crossing) ([]string, error) {
		peer, err := c.addPeer(ctx)
		if err != nil {
			return nil, err
		}
		config, err := written(c.from.Config)
		return []string{"bundle", "export", peer, "-C", config}, err
	})
}

func memoryOfVerify(ctx context.Context, r *rig) (contest, error) {
	return r.memoryOfRange(ctx, func(ctx context.Context, c *crossing) ([]string, error) {
		files, err := c.toCarry(ctx)
		return append([]string{"bundle", "verify", "--card", c.from.Config.CardPath()}, files...), err
	})
}

func memoryOfImport(ctx context.Context, r *rig) (contest, error) {
	return r.memoryOfRange(ctx, func(ctx context.Context, c *crossing) ([]string, error) {
		files, err := c.toCarry(ctx)
		for _, f := range files {
			err = errors.Join(err, os.Rename(f, filepath.Join(c.to.Config.Data, "inbox", filepath.Base(f))))
		}
		if err != nil {
			return nil, err
		}
		config, err := written(c.to.Config)
		return []string{"bundle", "import", "-C", config}, err
	})
}

// written writes a site's configuration to a file for another process.
func written(c boot.Config) (path string, err error) {
	path = filepath.Join(c.Data, "sallyport.yaml")
	return path, c.WithoutOwner().Write(path)
}

// toCarry returns the bundles for the receiver that lie in the outbox; the
// first who asks has them written.
func (c *crossing) toCarry(ctx context.Context) ([]string, error) {
	if c.due == nil {
		exported, err := c.from.Bridge.Export(ctx, c.to.Config.Site, actor)
		if err != nil {
			return nil, err
		}
		c.due = c.outbox(exported)
	}
	return c.due, nil
}

// asking is how often a running process is asked for its peak. The system
// keeps the peak, so that only a rise in the last of these moments is missed.
const asking = 5 * time.Millisecond

// peak runs a program and returns the most memory that it ever had, in MiB.
// What the system reports of a process that has ended will not do: it counts
// the moment before the program began, when the process was still a part of
// this one.
func peak(ctx context.Context, program string, args ...string) (float64, error) {
	cmd := exec.CommandContext(ctx, program, args...) // #nosec G204 -- this very program
	var said bytes.Buffer
	cmd.Stderr = &said
	if err := cmd.Start(); err != nil {
		return 0, err
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	for most := 0.0; ; {
		select {
		case err := <-ended:
			if err != nil {
				return 0, fmt.Errorf("%s: %w: %.500s", strings.Join(args[:2], " "), err, said.Bytes())
			}
			return most, nil
		case <-time.After(asking):
			if now, err := peakOf(cmd.Process.Pid); err == nil { // else it is ending
				most = now
			}
		}
	}
}

var highWater = regexp.MustCompile(`(?m)^VmHWM:\s*(\d+) kB$`)

// peakOf returns the most memory that a process has had until now, in MiB.
func peakOf(pid int) (float64, error) {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0, err
	}
	found := highWater.FindSubmatch(status)
	if found == nil {
		return 0, errors.New("the system does not say")
	}
	kib, err := strconv.ParseFloat(string(found[1]), 64)
	return kib / 1024, err
}
