package domain

import (
	"fmt"
	"strings"
	"unicode/utf8"
)

// ErrorKind is the class of a refusal; each class maps to one HTTP status and
// one exit code, in one place of each.
type ErrorKind int

// The classes of refusals.
const (
	Invalid   ErrorKind = iota + 1 // the command is malformed or out of range
	Forbidden                      // the one who asks may not
	NotFound                       // what it speaks of does not exist, or is not theirs to see
	Conflict                       // the present state does not allow it
	Exhausted                      // a limit is used up; later it will do
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

// Under returns the error as that of a larger command, in whose body this one
// stands at a JSON Pointer.
func (e *Error) Under(pointer string) *Error {
	larger := *e
	larger.Fields = make([]FieldError, len(e.Fields))
	for i, f := range e.Fields {
		larger.Fields[i] = FieldError{Pointer: pointer + f.Pointer, Detail: f.Detail}
	}
	return &larger
}

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

// text takes printable text of so many characters, and says which of the two
// it is not.
func (f *fieldErrors) text(pointer, s string, least, most int) {
	n := utf8.RuneCountInString(s)
	f.require(n >= least, pointer, "must be %d to %d characters of text", least, most)
	f.require(n <= most, pointer, "must be at most %d characters of text", most)
	f.require(utf8.ValidString(s), pointer, "must be UTF-8")
	control := func(r rune) bool { return r < ' ' || r == 0x7f }
	f.require(!strings.ContainsFunc(s, control), pointer, "must not hold control characters, such as line feeds or tabs")
}

// words holds text that somebody is to read: it says something.
func (f *fieldErrors) words(pointer, s string, most int) {
	f.text(pointer, s, 1, most)
	f.require(s == "" || strings.TrimSpace(s) != "", pointer, "must not be blank")
}

func (f fieldErrors) err(what string) error {
	if len(f) == 0 {
		return nil
	}
	return &Error{Kind: Invalid, Code: "invalid-" + what, Fields: f,
		Detail: "the " + strings.ReplaceAll(what, "-", " ") + " is not valid: " + strings.TrimSpace(f[0].Pointer+" "+f[0].Detail) + "; nothing was stored"}
}
