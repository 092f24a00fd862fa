package domain

import "strings"

// CheckOwnPassword says what is wrong with the password that a user wants
// instead of the old one, beyond what [CheckPassword] says.
func CheckOwnPassword(username, old, wanted string) error {
	var f fieldErrors
	for _, wrong := range CheckPassword(wanted) {
		f = append(f, FieldError{Pointer: "/new", Detail: wrong.Detail})
	}
	f.require(!strings.EqualFold(wanted, username), "/new", "must not be the username")
	f.require(wanted != old, "/new", "must not be the old one")
	return f.err("password")
}
