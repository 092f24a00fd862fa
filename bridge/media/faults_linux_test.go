package media_test

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"

	"sallyport/bridge/media"
)

// faultEnv names the fault that a process of its own lives with.
const faultEnv = "SALLYPORT_TEST_MEDIA_FAULT"

// faults are what the kernel does to a process. Each runs in its own, which
// ends with it.
var faults = map[string]func(*testing.T, site, []string){
	"a full medium":            fullMedium,
	"short write":              shortWrite,
	"fsync fails":              failingSync,
	"the cache is not dropped": cacheStays,
}

// TestFaults starts this test again, once a fault.
func TestFaults(t *testing.T) {
	t.Parallel()
	for name := range faults {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestInjected$", "-test.v")
			cmd.Env = append(os.Environ(), faultEnv+"="+name)
			cmd.SysProcAttr = ownMounts()
			out, err := cmd.CombinedOutput()
			if os.Geteuid() != 0 && (errors.Is(err, syscall.EPERM) || bytes.Contains(out, []byte(mayNotMount))) {
				t.Skip(mayNotMount)
			}
			if err != nil || !bytes.Contains(out, []byte("--- PASS: TestInjected")) {
				t.Errorf("%v\n%s", err, out)
			}
		})
	}
}

// ownMounts lets a process mount what nobody else sees and what ends with it.
func ownMounts() *syscall.SysProcAttr {
	a := &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNS}
	if os.Geteuid() != 0 {
		a.Cloneflags |= syscall.CLONE_NEWUSER
		a.UidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getuid(), Size: 1}}
		a.GidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getgid(), Size: 1}}
	}
	return a
}

func TestInjected(t *testing.T) {
	inject, ok := faults[os.Getenv(faultEnv)]
	if !ok {
		return // it is TestFaults that starts it
	}
	s := newSite(t)
	names := s.exported(t, 3)
	inject(t, s, names)
	s.medium = t.TempDir() // another one
	if os.Getenv(faultEnv) != "fsync fails" && os.Getenv(faultEnv) != "short write" {
		if w := s.write(t, names...); len(w.Files) != 3 {
			t.Errorf("with another medium: %+v", w)
		}
	}
}

const mayNotMount = "this user may not mount, not even for itself"

func mounted(t *testing.T, dir, options string) {
	t.Helper()
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		t.Fatalf("%s: %v", mayNotMount, err)
	}
	check(t, unix.Mount("tmpfs", dir, "tmpfs", 0, options))
	t.Cleanup(func() { _ = unix.Unmount(dir, unix.MNT_DETACH) })
}

func fullMedium(t *testing.T, s site, names []string) {
	mounted(t, s.medium, "size=128k")
	put(t, s.medium, "photo", make([]byte, 60<<10))
	_, err := media.Write(t.Context(), s.config(names...))
	var full *media.FullError
	if !errors.As(err, &full) || full.Needed <= full.Free || full.Free != 68<<10 {
		t.Fatalf("%v", err)
	}
	if got := list(t, s.medium); !slices.Equal(got, []string{"photo"}) {
		t.Errorf("the medium has %q", got)
	}
	check(t, os.Remove(filepath.Join(s.medium, "photo")))
	w := s.write(t, names...)
	if !slices.Equal(states(w), []string{media.Copied, media.Copied, media.Copied}) {
		t.Errorf("%+v", w)
	}
	put(t, s.medium, "photo", make([]byte, 128<<10-used(t, s.medium)))
	if w := s.write(t, names...); w.Files[0].State != media.Present { // what is there needs no room
		t.Errorf("%+v", w)
	}
}

// used leaves a page for the file for people, which is made anew.
func used(t *testing.T, dir string) int {
	t.Helper()
	var st unix.Statfs_t
	check(t, unix.Statfs(dir, &st))
	return int(int64(st.Blocks-st.Bavail)*st.Bsize) + 2*int(st.Bsize)
}

// refusal checks how a fault of the medium is told and what it leaves.
func refusal(t *testing.T, s site, names []string, cause error) {
	t.Helper()
	before := get(t, s.outbox, names[0])
	_, err := media.Write(t.Context(), s.config(names...))
	if !errors.Is(err, cause) || !strings.Contains(err.Error(), s.medium) || !strings.Contains(err.Error(), "nothing was lost") {
		t.Errorf("%v, want %v", err, cause)
	}
	for _, n := range list(t, s.medium) {
		if strings.HasPrefix(n, "sp1_") {
			t.Errorf("%s has its name and was not proven", n)
		}
	}
	if !bytes.Equal(get(t, s.outbox, names[0]), before) {
		t.Error("the outbox was touched")
	}
}

// A file may not grow beyond 1,000 bytes: the write of a bundle ends early.
func shortWrite(t *testing.T, s site, names []string) {
	signal.Ignore(syscall.SIGXFSZ)
	check(t, unix.Setrlimit(unix.RLIMIT_FSIZE, &unix.Rlimit{Cur: 1000, Max: 1000}))
	refusal(t, s, names, syscall.EFBIG)
}

// A medium that was pulled, or is worn out, fails when it is synced.
func failingSync(t *testing.T, s site, names []string) {
	failing(t, unix.SYS_FSYNC, unix.EIO)
	refusal(t, s, names, unix.EIO)
	if _, err := media.Read(t.Context(), s.reading()); err != nil {
		t.Errorf("with nothing to bring: %v", err)
	}
	put(t, s.medium, names[0], get(t, s.outbox, names[0]))
	if _, err := media.Read(t.Context(), s.reading()); !errors.Is(err, unix.EIO) || len(list(t, s.inbox)) > 0 {
		t.Errorf("%v, the inbox has %q", err, list(t, s.inbox))
	}
}

// failing makes a system call fail from now on, for good, in all threads.
func failing(t *testing.T, call uint32, errno unix.Errno) {
	t.Helper()
	const numberOfCall = 0 // where the filter finds it
	code := []unix.SockFilter{
		{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS, K: numberOfCall},
		{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, Jt: 0, Jf: 1, K: call},
		{Code: unix.BPF_RET | unix.BPF_K, K: unix.SECCOMP_RET_ERRNO | uint32(errno)},
		{Code: unix.BPF_RET | unix.BPF_K, K: unix.SECCOMP_RET_ALLOW},
	}
	filter := unix.SockFprog{Len: uint16(len(code)), Filter: &code[0]}
	check(t, unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
	_, _, e := unix.Syscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER, unix.SECCOMP_FILTER_FLAG_TSYNC, uintptr(unsafe.Pointer(&filter)))
	if e != 0 {
		t.Fatal(e)
	}
}

// Where files live in memory alone, the result says that nothing was read back
// from a medium.
func cacheStays(t *testing.T, s site, names []string) {
	mounted(t, s.medium, "size=1m")
	w := s.write(t, names...)
	if w.CacheDropped || len(w.Warnings) != 1 || !strings.Contains(w.Warnings[0], "memory") {
		t.Errorf("%+v", w)
	}
}
