package domain

import (
	"encoding/json"
	"fmt"
	"strconv"
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
	Code    string // stable, for programs: one of those below
	Detail  string // for people
	// Least and Most are the bounds that the code speaks of; empty: of none.
	Least, Most json.Number
}

// The codes of what can be wrong with a field.
const (
	FieldRequired   = "required"      // it is missing, or says nothing
	FieldUnknown    = "unknown-field" // nothing takes this name
	FieldUnwanted   = "not-wanted"    // it has no meaning beside the rest, or must not be given here
	FieldNotAllowed = "not-allowed"   // whoever asks may not use it
	FieldOneOfBoth  = "one-of-both"   // of two that exclude each other, exactly one must be given
	FieldType       = "wrong-type"    // another type of value, such as a text for a number
	FieldForm       = "wrong-form"    // the text has not the form that its meaning needs
	FieldName       = "not-a-name"    // no name of a-z 0-9 and what else is allowed in the middle
	FieldEmail      = "not-an-email"
	FieldURL        = "not-a-url"
	FieldTime       = "not-a-time"
	FieldJSON       = "not-json"
	FieldSchema     = "not-a-schema"   // it is no usable JSON Schema
	FieldExamples   = "no-example"     // a schema shows nobody how to ask
	FieldCharacters = "bad-characters" // control characters, or no UTF-8
	FieldRange      = "out-of-range"   // a number or a time beyond Least and Most, if they are said
	FieldTooShort   = "too-short"      // fewer characters than Least
	FieldTooLong    = "too-long"       // more characters than Most
	FieldTooLarge   = "too-large"      // too many bytes
	FieldTooFew     = "too-few"        // fewer items than Least
	FieldTooMany    = "too-many"       // more items than Most
	FieldNotOneOf   = "not-one-of"     // none of the values that there are
	FieldNotFound   = "names-nothing"  // what it names does not exist
	FieldTwice      = "named-twice"    // a list has it twice
	FieldTaken      = "taken"          // somebody or something has it already
	FieldUnchanged  = "unchanged"      // it must be another than it was
	FieldGuessable  = "guessable"      // a password that anybody would try
	FieldRefused    = "refused"        // whoever is to use it refuses it, in the words of Detail
)

// FieldCodes are all of them.
func FieldCodes() []string {
	return []string{FieldRequired, FieldUnknown, FieldUnwanted, FieldNotAllowed, FieldOneOfBoth, FieldType, FieldForm, FieldName, FieldEmail, FieldURL, FieldTime,
		FieldJSON, FieldSchema, FieldExamples, FieldCharacters, FieldRange, FieldTooShort, FieldTooLong, FieldTooLarge, FieldTooFew, FieldTooMany,
		FieldNotOneOf, FieldNotFound, FieldTwice, FieldTaken, FieldUnchanged, FieldGuessable, FieldRefused}
}

func (e *Error) Error() string { return e.Detail }

// Under returns the error as that of a larger command, in whose body this one
// stands at a JSON Pointer.
func (e *Error) Under(pointer string) *Error {
	larger := *e
	larger.Fields = make([]FieldError, len(e.Fields))
	for i, f := range e.Fields {
		f.Pointer = pointer + f.Pointer
		larger.Fields[i] = f
	}
	return &larger
}

func refuse(kind ErrorKind, code, format string, args ...any) *Error {
	return &Error{Kind: kind, Code: code, Detail: fmt.Sprintf(format, args...)}
}

// fieldErrors gathers what is wrong with a command, so that a person hears of
// everything at once.
type fieldErrors []FieldError

func (f *fieldErrors) require(ok bool, pointer, code, format string, args ...any) {
	if !ok {
		*f = append(*f, FieldError{Pointer: pointer, Code: code, Detail: fmt.Sprintf(format, args...)})
	}
}

// within takes a whole number of a range.
func (f *fieldErrors) within(pointer string, n, least, most int) {
	f.bounded(n >= least && n <= most, pointer, FieldRange, least, most, "must be %d to %d")
}

// bounded is require for a code that speaks of bounds; the format is of the two.
func (f *fieldErrors) bounded(ok bool, pointer, code string, least, most int, format string) {
	if !ok {
		*f = append(*f, FieldError{Pointer: pointer, Code: code, Detail: fmt.Sprintf(format, least, most),
			Least: json.Number(strconv.Itoa(least)), Most: json.Number(strconv.Itoa(most))})
	}
}

// text takes printable text of so many characters, and says which of the two
// it is not.
func (f *fieldErrors) text(pointer, s string, least, most int) {
	n := utf8.RuneCountInString(s)
	f.bounded(n >= least, pointer, FieldTooShort, least, most, "must be %d to %d characters of text")
	f.bounded(n <= most, pointer, FieldTooLong, least, most, "must be at most %[2]d characters of text")
	f.require(utf8.ValidString(s), pointer, FieldCharacters, "must be UTF-8")
	control := func(r rune) bool { return r < ' ' || r == 0x7f }
	f.require(!strings.ContainsFunc(s, control), pointer, FieldCharacters, "must not hold control characters, such as line feeds or tabs")
}

// words holds text that somebody is to read: it says something.
func (f *fieldErrors) words(pointer, s string, most int) {
	f.text(pointer, s, 1, most)
	f.require(s == "" || strings.TrimSpace(s) != "", pointer, FieldRequired, "must not be blank")
}

func (f fieldErrors) err(what string) error {
	if len(f) == 0 {
		return nil
	}
	return &Error{Kind: Invalid, Code: "invalid-" + what, Fields: f,
		Detail: "the " + strings.ReplaceAll(what, "-", " ") + " is not valid: " + strings.TrimSpace(f[0].Pointer+" "+f[0].Detail) + "; nothing was stored"}
}
