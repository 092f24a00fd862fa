//go:build !linux

package media

import (
	"errors"
	"math"
	"os"
)

// machine is a system that this program cannot ask about devices.
type machine struct{}

var thisMachine machine

func (machine) serial(uint64) (Serial, bool) { return Serial{}, false }

// free cannot tell here: a full medium is then noticed while writing.
func free(*os.File) (bytes, block int64, err error) { return math.MaxInt64, 1, nil }

func dropCache(*os.File) error { return errors.New("this system cannot be told to forget a file") }
