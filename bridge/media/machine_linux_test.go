package media

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// tree makes files, and links where the text begins with "->".
func tree(t *testing.T, files map[string]string) (dir string) {
	t.Helper()
	dir = t.TempDir()
	for name, text := range files {
		path := filepath.Join(dir, name)
		err := os.MkdirAll(filepath.Dir(path), 0o700)
		if target, link := strings.CutPrefix(text, "->"); err == nil && link {
			err = os.Symlink(target, path)
		} else if err == nil {
			err = os.WriteFile(path, []byte(text), 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// The trees are as Linux shows a USB stick, an NVMe disk, an SD card and a
// virtual disk.
func TestWhatLinuxTellsOfADevice(t *testing.T) {
	t.Parallel()
	const usb = "sys/devices/pci0000:00/0000:00:14.0/usb1/1-2"
	const disk = usb + "/1-2:1.0/host6/target6:0:0/6:0:0:0/block/sdb"
	link := func(to string) string { return "->../../" + to[len("sys/"):] }
	for name, c := range map[string]struct {
		files map[string]string
		want  Serial
	}{
		"udev knows": {map[string]string{"udev/b8:17": "S:disk/by-id/x\nE:ID_SERIAL=Vendor_4C53\nE:ID_SERIAL_SHORT=4C53\nE:ID_FS_UUID=1234-ABCD\n"},
			Serial{"4C53", OfDevice}},
		"udev knows the file system": {map[string]string{"udev/b8:17": "E:ID_FS_UUID=1234-ABCD\n"}, Serial{"1234-ABCD", OfFileSystem}},
		"a stick without udev": {map[string]string{disk + "/sdb1/partition": "1", "sys/dev/block/8:17": link(disk + "/sdb1"),
			usb + "/serial": "4C53\n", usb + "/idVendor": "0781\n", filepath.Dir(usb) + "/serial": "0000:00:14.0\n"}, Serial{"4C53", OfDevice}},
		"a stick without a serial is not its hub": {map[string]string{disk + "/sdb1/partition": "1", "sys/dev/block/8:17": link(disk + "/sdb1"),
			usb + "/idVendor": "0781\n", filepath.Dir(usb) + "/serial": "0000:00:14.0\n", "udev/b8:17": "E:ID_FS_UUID=12\n"}, Serial{"12", OfFileSystem}},
		"a virtual disk": {map[string]string{"sys/devices/virtual/block/vdb/serial": "disk-7", "sys/dev/block/8:17": link("sys/devices/virtual/block/vdb")},
			Serial{"disk-7", OfDevice}},
		"nothing is known":     {nil, Serial{}},
		"a link that is lost":  {map[string]string{"sys/dev/block/8:17": "->../../devices/gone", "sys/devices/x": ""}, Serial{}},
		"another device's row": {map[string]string{"udev/b8:1": "E:ID_SERIAL_SHORT=other\n"}, Serial{}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := tree(t, c.files)
			m := machine{sys: filepath.Join(dir, "sys"), udev: filepath.Join(dir, "udev"), disks: filepath.Join(dir, "disks")}
			if got, ok := m.serial(unix.Mkdev(8, 17)); got != c.want || ok != (c.want != Serial{}) {
				t.Errorf("%+v %v, want %+v", got, ok, c.want)
			}
		})
	}
}

// The UUID's link leads to a device node; /dev/null stands for one.
func TestTheFileSystemsUUID(t *testing.T) {
	t.Parallel()
	var st unix.Stat_t
	if err := unix.Stat("/dev/null", &st); err != nil {
		t.Fatal(err)
	}
	m := machine{disks: tree(t, map[string]string{"1234-ABCD": "->/dev/null", "FFFF-0000": "->/dev/zero", "lost": "->/nowhere"})}
	if got, _ := m.serial(st.Rdev); got != (Serial{"1234-ABCD", OfFileSystem}) {
		t.Errorf("%+v", got)
	}
}

func TestTheFirstThatTellsASerialWins(t *testing.T) {
	t.Parallel()
	const nowhere = 0 // no device has the number 0:0
	for _, c := range []struct {
		given, marker string
		want          Serial
	}{
		{"blue", "id", Serial{"blue", ByOperator}},
		{"", "id", Serial{"id", OfMarker}},
		{"", "", Serial{"", OfNothing}},
	} {
		if got := serialOf(c.given, c.marker, nowhere); got != c.want {
			t.Errorf("%+v gives %+v", c, got)
		}
	}
}

// A medium that changes what it was given is noticed, by one bit and by length.
func TestReadBackFindsEveryDifference(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	text := []byte("what was read from the outbox")
	want, err := copying{limit: 1 << 20}.hash(t.Context(), bytes.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	prove := func(name string, data []byte) error {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
		f, err := os.Open(path)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		_, err = copying{limit: 1 << 20}.prove(t.Context(), f, want)
		return err
	}
	if err := prove("same", text); err != nil {
		t.Errorf("the same bytes: %v", err)
	}
	for i := range len(text) * 8 {
		other := bytes.Clone(text)
		other[i/8] ^= 1 << (i % 8)
		if err := prove(fmt.Sprint(i), other); err != errReadBack {
			t.Errorf("bit %d: %v", i, err)
		}
	}
	for n := range text {
		if err := prove("short", text[:n]); err != errReadBack {
			t.Errorf("%d bytes: %v", n, err)
		}
	}
	if err := prove("long", append(text, 0)); err != errReadBack {
		t.Errorf("a byte more: %v", err)
	}
}

// A folder on the site's own disk is no medium, and that disk's serial none of it.
func TestTheSitesOwnDiskIsNoMedium(t *testing.T) {
	t.Parallel()
	for dir, want := range map[string]bool{t.TempDir(): true, "/proc": false} {
		medium, folder, device, err := openMedium(dir, t.TempDir())
		if err != nil {
			t.Fatal(err)
		}
		if (device == 0) != want {
			t.Errorf("%s is device %d", dir, device)
		}
		_ = medium.Close()
		_ = folder.Close()
	}
}
