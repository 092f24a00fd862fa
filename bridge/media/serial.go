package media

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Serial names a medium as a thing that people hold.
type Serial struct {
	Text string `json:"serial"`
	From string `json:"serial_from"` // one of the constants below
}

// Who tells the serial of a medium, the best first.
const (
	ByOperator   = "operator"   // typed, as printed on the medium
	OfDevice     = "device"     // the hardware's own
	OfFileSystem = "filesystem" // the UUID of the file system
	OfMarker     = "medium"     // the medium's id, for want of any other
	OfNothing    = ""           // there is not even a marker
)

// maxSerial bounds a serial, in bytes.
const maxSerial = 200

// CheckSerial reports why a serial cannot be recorded; nil if it can.
func CheckSerial(s string) error {
	bad := func(r rune) bool { return !unicode.IsPrint(r) }
	if len(s) > maxSerial || !utf8.ValidString(s) || strings.ContainsFunc(s, bad) {
		return fmt.Errorf("%q is no serial: up to %d bytes that can be printed", s, maxSerial)
	}
	return nil
}

// serialOf decides what to call a medium. given is what the operator typed,
// marker its id, dir an open folder on it.
func serialOf(given, marker string, dir uint64) Serial {
	if given != "" {
		return Serial{given, ByOperator}
	}
	if s, ok := thisMachine.serial(dir); ok && CheckSerial(s.Text) == nil {
		return s
	}
	if marker != "" {
		return Serial{marker, OfMarker}
	}
	return Serial{}
}
