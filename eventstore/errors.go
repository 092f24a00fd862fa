package eventstore

import (
	"errors"
	"fmt"
)

var (
	// ErrOverloaded is returned at once when the queue of appends is full.
	// Nothing was stored; try again in a moment.
	ErrOverloaded = errors.New("too many appends are waiting; nothing was stored, try again in a moment")
	// ErrUnknown is returned when the answer to a commit was lost and the
	// database stayed away too long to read back what became of it.
	ErrUnknown = errors.New("the database went away during the commit: it is not known whether the events were stored; look before trying again")
	// ErrClosed is returned by an append to a log that is being closed.
	ErrClosed = errors.New("the log is closed; nothing was stored")
	// ErrNested is returned by Append inside an AppendTx: it would wait for
	// the head that its own caller holds, unseen by the database.
	ErrNested = errors.New("append inside a transaction that holds the log's head; use AppendTx")
	// ErrRefounded is returned by a program that opened the log before it was
	// founded anew. Nothing was stored; start the program again.
	ErrRefounded = errors.New("the log was founded anew since this program opened it; nothing was stored: start it again")
	// ErrNotFounded is returned for a database that holds no log yet.
	ErrNotFounded = errors.New("this database holds no log yet: run `sallyport init`")
)

// UnknownError is [ErrUnknown] for one append. [Store.Stored] tells later what
// became of it; an append that brought its ID may also be made again.
type UnknownError struct {
	ID    string // of its first event
	Cause error  // why the answer is missing
}

func (e *UnknownError) Error() string {
	return fmt.Sprintf("%v: event %s (%v)", ErrUnknown, e.ID, e.Cause)
}

// Unwrap returns [ErrUnknown] and the cause.
func (e *UnknownError) Unwrap() []error { return []error{ErrUnknown, e.Cause} }

// IDTakenError says that another event has the id that an append brought.
// Nothing of that append was stored.
type IDTakenError struct {
	ID  string
	Seq int64 // of the other event
}

func (e *IDTakenError) Error() string {
	return fmt.Sprintf("the id %s is that of another event, seq %d; nothing was stored: an id names one append", e.ID, e.Seq)
}

// ConflictError says that a stream is not at the version that an append
// expected. Nothing of that append was stored.
type ConflictError struct {
	Stream   string
	Expected Version
	Actual   int64 // 0: the stream does not exist
}

func (e *ConflictError) Error() string {
	return fmt.Sprintf("stream %s is at version %d, expected %s; nothing was stored", e.Stream, e.Actual, e.Expected)
}

// LineError refuses an event that its receivers would have to refuse, such as
// one whose text holds U+0000. It is refused every time.
type LineError struct {
	Type, Stream string
	Cause        error // quotes nothing of the event
}

func (e *LineError) Error() string {
	return fmt.Sprintf("%s for stream %s is refused, nothing was stored: %v", e.Type, e.Stream, e.Cause)
}

// Unwrap returns the cause.
func (e *LineError) Unwrap() error { return e.Cause }

// GapError says that the log itself is damaged: a position is missing. Every
// reader that meets the hole fails with it, and Config.Damaged is told.
type GapError struct {
	Want, Got int64
}

func (e *GapError) Error() string {
	return fmt.Sprintf("the log has a hole: want seq %d, found %d; run `sallyport audit verify`", e.Want, e.Got)
}

// Hole makes the error of a hole and tells of it: where one was expected,
// another was found.
func (s *Store) Hole(want, got int64) *GapError {
	e := &GapError{Want: want, Got: got}
	if s.damaged != nil {
		s.damaged(e)
	}
	return e
}
