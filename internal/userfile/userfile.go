// Package userfile reads the users of another system from a file: CSV with a
// line of names, or JSON objects, one a line. The fields:
//
//	username         lower-case; see LowerCase
//	email
//	full_name        may be left out
//	hashed_password  bcrypt or argon2id
//	role             empty or left out: user
//	is_active        true, false, t, f, 1, 0; empty or left out: true
//	profile_type     empty or left out: free
//
// Others are passed over and told, so that a whole table can be given. Every
// line is read, whatever is wrong with those before.
package userfile

import (
	"bufio"
	"bytes"
	"cmp"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	strict "github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"sallyport/domain"
	"sallyport/internal/password"
)

// Config says how to read. The zero value takes all as it is.
type Config struct {
	CSV bool // else JSON lines
	// LowerCase makes usernames lower-case, which they must be here.
	LowerCase bool
	// Roles and Profiles say what those of the other system are called here.
	Roles, Profiles map[string]string
}

// User is one line.
type User struct {
	Line                      int
	Username, Email, FullName string
	Role                      domain.UserRole
	Profile                   string
	Credential                domain.Credential
	Active                    bool
}

// Problem is why a line could not be read.
type Problem struct {
	Line             int
	Username, Detail string
}

// File is what was read.
type File struct {
	Users    []User
	Problems []Problem
	Ignored  []string // fields that mean nothing here
}

const (
	maxLine  = 64 << 10
	maxUsers = 200_000

	defaultProfile = "free"
)

// fields are those that mean something.
var fields = []string{"username", "email", "full_name", "hashed_password", "role", "is_active", "profile_type"}

// Read reads a file. An error means that it is no such file at all.
func Read(r io.Reader, c Config) (File, error) {
	d := reading{config: c, ignored: map[string]bool{}}
	var err error
	if c.CSV {
		err = d.csv(r)
	} else {
		err = d.json(r)
	}
	d.file.Ignored = slices.Sorted(maps.Keys(d.ignored))
	return d.file, err
}

type reading struct {
	config  Config
	file    File
	ignored map[string]bool
}

func (d *reading) problem(line int, username, format string, args ...any) {
	d.file.Problems = append(d.file.Problems, Problem{Line: line, Username: username, Detail: fmt.Sprintf(format, args...)})
}

var errTooMany = fmt.Errorf("the file has more than %d users: split it", maxUsers)

func (d *reading) csv(r io.Reader) error {
	rows := csv.NewReader(r)
	names, err := rows.Read()
	if err != nil {
		return fmt.Errorf("read the line of names: %w", err)
	}
	names[0] = strings.TrimPrefix(names[0], "\ufeff")
	for i, name := range names {
		if slices.Contains(names[:i], name) {
			return fmt.Errorf("the line of names has %q twice", name)
		}
	}
	for _, must := range []string{"username", "email", "hashed_password"} {
		if !slices.Contains(names, must) {
			return fmt.Errorf("the line of names lacks %s", must)
		}
	}
	rows.FieldsPerRecord = len(names)
	for {
		row, err := rows.Read()
		var wrong *csv.ParseError
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case errors.As(err, &wrong):
			d.problem(wrong.StartLine, "", "cannot be read: %v", wrong.Err)
			continue
		case err != nil:
			return fmt.Errorf("read the file: %w", err)
		}
		line, _ := rows.FieldPos(0)
		values := map[string]string{}
		for i, name := range names {
			values[name] = row[i]
		}
		if err := d.take(line, values); err != nil {
			return err
		}
	}
}

func (d *reading) json(r io.Reader) error {
	lines := bufio.NewScanner(r)
	lines.Buffer(make([]byte, 0, maxLine), maxLine)
	n := 0
	for lines.Scan() {
		n++
		text := bytes.TrimSpace(bytes.TrimPrefix(lines.Bytes(), []byte("\ufeff")))
		if len(text) == 0 {
			continue
		}
		values, err := object(text)
		if err != nil {
			d.problem(n, "", "%v", err)
			continue
		}
		if err := d.take(n, values); err != nil {
			return err
		}
	}
	if errors.Is(lines.Err(), bufio.ErrTooLong) {
		return fmt.Errorf("line %d is longer than %d bytes: is it JSON, one object a line?", n+1, maxLine)
	}
	return lines.Err()
}

// object reads an object of strings, booleans, numbers and nulls as text.
// Other values are of no field that means something.
func object(text []byte) (map[string]string, error) {
	var raw map[string]jsontext.Value
	if err := strict.Unmarshal(text, &raw); err != nil || raw == nil {
		return nil, errors.New("is no JSON object, or has a name twice")
	}
	values := map[string]string{}
	for name, v := range raw {
		switch v.Kind() {
		case 'n':
			values[name] = ""
		case '"':
			var s string
			if err := strict.Unmarshal(v, &s); err != nil {
				return nil, fmt.Errorf("%s is no text", name)
			}
			values[name] = s
		case 't', 'f', '0':
			values[name] = string(v)
		default:
			if slices.Contains(fields, name) {
				return nil, fmt.Errorf("%s must be text", name)
			}
			values[name] = ""
		}
	}
	return values, nil
}

// take makes a user of one line's values.
func (d *reading) take(line int, values map[string]string) error {
	if len(d.file.Users) >= maxUsers {
		return errTooMany
	}
	for name := range values {
		if !slices.Contains(fields, name) {
			d.ignored[name] = true
		}
	}
	u := User{Line: line, Username: values["username"], Email: values["email"], FullName: values["full_name"]}
	if d.config.LowerCase {
		u.Username = strings.ToLower(u.Username)
	}
	role := cmp.Or(values["role"], string(domain.RoleUser))
	u.Role = domain.UserRole(cmp.Or(d.config.Roles[role], role))
	profile := cmp.Or(values["profile_type"], defaultProfile)
	u.Profile = cmp.Or(d.config.Profiles[profile], profile)
	u.Credential = domain.Credential{Algorithm: password.Bcrypt, Hash: values["hashed_password"]}
	if strings.HasPrefix(u.Credential.Hash, "$argon2id$") {
		u.Credential.Algorithm = password.Argon2id
	}
	switch strings.ToLower(values["is_active"]) {
	case "", "true", "t", "1":
		u.Active = true
	case "false", "f", "0":
	default:
		d.problem(line, u.Username, "is_active must be true or false")
		return nil
	}
	d.file.Users = append(d.file.Users, u)
	return nil
}
