package domain

import "fmt"

// ErrorKind is the class of a refusal; each class maps to one HTTP status and
// one exit code, in one place of each.
type ErrorKind int

// The classes of refusals.
const (
	Invalid   ErrorKind = iota + 1 // the command is malformed or out of range
	Forbidden                      // the one who asks may not
	NotFound                       // what it speaks of does not exist, or is not theirs to see
	Conflict                       // the present state does not allow it
)

// Error is a command that the rules refuse. Its text may be shown to whoever
// gave the command.
type Error struct {
	Kind   ErrorKind
	Code   string // stable, for programs, such as `username-taken`
	Detail string // for people
	Fields []FieldError
}

// FieldError names one wrong part of a command.
type FieldError struct {
	Pointer string // JSON Pointer (RFC 6901) into the command's body
	Detail  string
}

func (e *Error) Error() string { return e.Detail }

func refuse(kind ErrorKind, code, format string, args ...any) *Error {
	return &Error{Kind: kind, Code: code, Detail: fmt.Sprintf(format, args...)}
}

// fieldErrors gathers what is wrong with a command, so that a person hears of
// everything at once.
type fieldErrors []FieldError

func (f *fieldErrors) require(ok bool, pointer, format string, args ...any) {
	if !ok {
		*f = append(*f, FieldError{Pointer: pointer, Detail: fmt.Sprintf(format, args...)})
	}
}

func (f fieldErrors) err(what string) error {
	if len(f) == 0 {
		return nil
	}
	return &Error{Kind: Invalid, Code: "invalid-" + what, Fields: f,
		Detail: fmt.Sprintf("the %s is not valid: %s %s", what, f[0].Pointer, f[0].Detail)}
}
