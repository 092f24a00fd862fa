package password

import (
	"os"
	"strconv"
	"syscall"

	"golang.org/x/sys/unix"
)

// ownSession keeps Ctrl-C, which is for the server, from a process, and lets it
// be ranked by itself where the system shares processors between sessions.
func ownSession() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setsid: true} }

// givenWay is by how much a process that hashes is nicer than what started it:
// on a processor that others want too it gets a tenth.
const givenWay = 10

// giveWay makes this process nicer. Where the system refuses, it is as nice as
// all others.
func giveWay() {
	if sid, err := unix.Getsid(0); err == nil && sid == os.Getpid() {
		// Counts on machines that share processors between sessions (sched(7), autogroup).
		_ = os.WriteFile("/proc/self/autogroup", []byte(strconv.Itoa(givenWay)), 0)
	}
	const most = 20 // the system call tells 20 less the niceness
	own, err := unix.Getpriority(unix.PRIO_PROCESS, 0)
	if err != nil {
		return
	}
	nice := min(19, most-own+givenWay)
	// Niceness belongs to a thread. Those to come have it from the one that
	// starts them, so that all do once none is found that lacks it.
	for changed := true; changed; {
		changed = false
		threads, _ := os.ReadDir("/proc/self/task")
		for _, t := range threads {
			id, _ := strconv.Atoi(t.Name())
			if now, err := unix.Getpriority(unix.PRIO_PROCESS, id); err == nil && most-now < nice {
				changed = unix.Setpriority(unix.PRIO_PROCESS, id, nice) == nil || changed
			}
		}
	}
}
