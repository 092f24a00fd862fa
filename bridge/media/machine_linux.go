package media

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// machine is where Linux tells about its devices.
type machine struct {
	sys   string // the kernel's tree of devices
	udev  string // what udev found out about each
	disks string // links from UUIDs of file systems to devices
}

var thisMachine = machine{sys: "/sys", udev: "/run/udev/data", disks: "/dev/disk/by-uuid"}

// serial returns what is known of a block device: the serial of the hardware,
// else the UUID of its file system. What is no block device has neither.
func (m machine) serial(dev uint64) (Serial, bool) {
	number := fmt.Sprintf("%d:%d", unix.Major(dev), unix.Minor(dev))
	known := m.properties(number)
	for _, s := range []Serial{
		{known["ID_SERIAL_SHORT"], OfDevice},
		{m.hardware(number), OfDevice},
		{known["ID_FS_UUID"], OfFileSystem},
		{m.fileSystem(dev), OfFileSystem},
	} {
		if s.Text != "" {
			return s, true
		}
	}
	return Serial{}, false
}

// properties reads udev's own record of a device: lines of E:KEY=VALUE.
func (m machine) properties(number string) map[string]string {
	text, err := os.ReadFile(filepath.Join(m.udev, "b"+number))
	if err != nil {
		return nil
	}
	known := map[string]string{}
	for line := range strings.Lines(string(text)) {
		if pair, ok := strings.CutPrefix(strings.TrimSpace(line), "E:"); ok {
			key, value, _ := strings.Cut(pair, "=")
			known[key] = value
		}
	}
	return known
}

// hardware climbs from a partition through its disk to the device that it is
// part of. It ends at a USB device: above that only hubs have serials.
func (m machine) hardware(number string) string {
	top, err := filepath.EvalSymlinks(filepath.Join(m.sys, "devices"))
	if err != nil {
		return ""
	}
	at, err := filepath.EvalSymlinks(filepath.Join(m.sys, "dev/block", number))
	if err != nil {
		return ""
	}
	for ; strings.HasPrefix(at, top+"/"); at = filepath.Dir(at) {
		if text, err := os.ReadFile(filepath.Join(at, "serial")); err == nil {
			if s := strings.TrimSpace(string(text)); s != "" {
				return s
			}
		}
		if _, err := os.Lstat(filepath.Join(at, "idVendor")); err == nil {
			return ""
		}
	}
	return ""
}

func (m machine) fileSystem(dev uint64) string {
	links, err := os.ReadDir(m.disks)
	if err != nil {
		return ""
	}
	for _, l := range links {
		var st unix.Stat_t
		if unix.Stat(filepath.Join(m.disks, l.Name()), &st) == nil && st.Rdev == dev {
			return l.Name()
		}
	}
	return ""
}

// free returns how many bytes this user may still write below dir, and the
// size of the blocks in which files take their room.
func free(dir *os.File) (bytes, block int64, err error) {
	var st unix.Statfs_t
	if err := unix.Fstatfs(int(dir.Fd()), &st); err != nil {
		return 0, 0, fmt.Errorf("ask for the free space: %w", err)
	}
	return int64(st.Bavail) * st.Bsize, st.Bsize, nil
}

var errStillCached = errors.New("its file system keeps files in memory")

// dropCache makes the kernel forget what it holds of a synced file, so that
// the next reading is of the medium. It fails if that is not so.
func dropCache(f *os.File) error {
	fd := int(f.Fd())
	if err := unix.Fadvise(fd, 0, 0, unix.FADV_DONTNEED); err != nil {
		return err
	}
	var left unix.Cachestat_t
	err := unix.Cachestat(uint(fd), &unix.CachestatRange{}, &left, 0)
	if err == nil && left.Cache > 0 {
		return errStillCached
	}
	return nil // a kernel before 6.5 cannot be asked; it was told
}
