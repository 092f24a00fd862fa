package domain

import "strings"

// CheckOwnPassword says what is wrong with the password that a user wants
// instead of the old one, beyond what [CheckPassword] says.
func CheckOwnPassword(username, old, wanted string) error {
	var f fieldErrors
	for _, wrong := range CheckPassword(wanted) {
		wrong.Pointer = "/new"
		f = append(f, wrong)
	}
	f.require(!strings.EqualFold(wanted, username), "/new", FieldGuessable, "must not be the username")
	f.require(wanted != old, "/new", FieldUnchanged, "must not be the old one")
	return f.err("password")
}
