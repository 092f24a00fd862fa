package bundle

import (
	"errors"
	"strconv"
	"strings"
)

// Code classes what is wrong with a bundle. The values are the names of the
// command line's exit codes and of the codes in an [Ack]'s rejected list.
type Code string

// The codes. [Gap], [Duplicate] and [Fork] are judgements about a bundle's place
// among others: this package never gives them, callers share its type.
const (
	// Damaged means that the bytes are not what the sender made, or do not keep what its
	// manifest promises. The sender makes the bundle again.
	Damaged Code = "damaged"
	// Incomplete means that the file ends before its end.
	Incomplete Code = "incomplete"
	// Gap means that an earlier bundle is missing.
	Gap Code = "gap"
	// Duplicate means that all of it is known already.
	Duplicate Code = "duplicate"
	// Fork means that it contradicts what is known.
	Fork Code = "fork"
	// Untrusted means that no trusted key of the sender vouches for these bytes.
	Untrusted Code = "untrusted"
	// Refused means that the sender signed something that breaks a rule or a limit.
	// Making it again would not help; people must decide.
	Refused Code = "refused"
	// Upgrade means that a trusted sender uses a newer format than this program knows.
	Upgrade Code = "upgrade"
)

// Error tells what is wrong with a bundle and where.
type Error struct {
	Code Code
	// Frame is the zstd frame, from 1; 0 where no frame is meant.
	Frame int
	// Line is the line of the decompressed payload, from 1 (the bundle's own);
	// 0 where no line is meant.
	Line int
	// Position is the log position the line should have had; 0 if not known.
	Position int64
	// Msg says what happened, in lower case, without the place.
	Msg string
	// Err is the cause, or nil.
	Err error
}

// Error gives code, place, message and cause on one line.
func (e *Error) Error() string {
	var b strings.Builder
	b.WriteString("bundle " + string(e.Code))
	for _, part := range []struct {
		name string
		n    int64
	}{{" frame ", int64(e.Frame)}, {" line ", int64(e.Line)}, {" position ", e.Position}} {
		if part.n > 0 {
			b.WriteString(part.name + strconv.FormatInt(part.n, 10))
		}
	}
	b.WriteString(": " + e.Msg)
	if e.Err != nil {
		b.WriteString(": " + e.Err.Error())
	}
	return b.String()
}

// Unwrap gives the cause.
func (e *Error) Unwrap() error { return e.Err }

// CodeOf gives the code of the first [*Error] in err's chain, "" if there is none.
func CodeOf(err error) Code {
	var e *Error
	if errors.As(err, &e) {
		return e.Code
	}
	return ""
}

func fail(code Code, msg string) *Error { return &Error{Code: code, Msg: msg} }

func failWith(code Code, msg string, err error) *Error {
	return &Error{Code: code, Msg: msg, Err: err}
}
