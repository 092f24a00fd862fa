package userfile_test

import (
	"reflect"
	"slices"
	"strings"
	"testing"

	"sallyport/domain"
	"sallyport/internal/userfile"
)

const hash = "$2b$12$abcdefghijklmnopqrstuuDDDDDDDDDDDDDDDDDDDDDDDDDDDDDDD"

var want = []userfile.User{
	{Line: 2, Username: "ann", Email: "ann@example.org", FullName: "Ann, the \"first\"", Role: domain.RoleAdmin, Profile: "premium", Active: true,
		Credential: domain.Credential{Algorithm: "bcrypt", Hash: hash}},
	{Line: 3, Username: "bob", Email: "bob@example.org", Role: domain.RoleUser, Profile: "free",
		Credential: domain.Credential{Algorithm: "argon2id", Hash: "$argon2id$x"}},
}

func TestBothFormats(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		csv  bool
		text string
	}{
		"CSV": {true, "\ufeffid,username,email,full_name,hashed_password,role,is_active,profile_type\r\n" +
			`1,ANN,ann@example.org,"Ann, the ""first""",` + hash + ",superuser,t,gold\r\n2,bob,bob@example.org,,$argon2id$x,,False,\r\n"},
		"JSON lines": {false, "\n" + `{"id":1,"username":"ANN","email":"ann@example.org","full_name":"Ann, the \"first\"","hashed_password":"` + hash +
			`","role":"superuser","is_active":true,"profile_type":"gold"}` + "\n" +
			`{"username":"bob","email":"bob@example.org","full_name":null,"hashed_password":"$argon2id$x","is_active":0,"id":[1,{}]}` + "\n"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f, err := userfile.Read(strings.NewReader(c.text), userfile.Config{CSV: c.csv, LowerCase: true,
				Roles: map[string]string{"superuser": "admin"}, Profiles: map[string]string{"gold": "premium"}})
			if err != nil || len(f.Problems) > 0 || !slices.Equal(f.Ignored, []string{"id"}) || !reflect.DeepEqual(f.Users, want) {
				t.Errorf("%v\nread %+v\nwant %+v", err, f, want)
			}
		})
	}
}

// A line that cannot be read does not hide those behind it.
func TestEveryBadLineIsTold(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		csv   bool
		text  string
		lines []int
		read  int
	}{
		"CSV":  {true, "username,email,hashed_password,is_active\na,b,c,d\na,b\nx,y,z,1\n\"a\"b,c,d,1\n", []int{2, 3, 5}, 1},
		"JSON": {false, "{\"username\":\"x\"}\n[]\nnull\n{\"username\":1,\"username\":2}\n{\"username\":[]}\n{\"is_active\":\"maybe\"}\n\xff\n{}\n", []int{2, 3, 4, 5, 6, 7}, 2},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f, err := userfile.Read(strings.NewReader(c.text), userfile.Config{CSV: c.csv})
			if err != nil {
				t.Fatal(err)
			}
			var lines []int
			for _, p := range f.Problems {
				lines = append(lines, p.Line)
			}
			if !slices.Equal(lines, c.lines) || len(f.Users) != c.read {
				t.Errorf("problems %+v, users %+v", f.Problems, f.Users)
			}
		})
	}
}

func TestWhatIsNoSuchFile(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		csv  bool
		text string
	}{
		"empty": {true, ""}, "no names": {true, "a,b,c\n"}, "a name twice": {true, "username,username,email,hashed_password\n"},
		"one long line": {false, strings.Repeat(" ", 70<<10)},
	} {
		if _, err := userfile.Read(strings.NewReader(c.text), userfile.Config{CSV: c.csv}); err == nil {
			t.Errorf("%s was read", name)
		}
	}
}

func FuzzRead(f *testing.F) {
	f.Add(true, "username,email,hashed_password\na,b,c\n")
	f.Add(false, `{"username":"a"}`)
	f.Fuzz(func(t *testing.T, csv bool, text string) {
		file, err := userfile.Read(strings.NewReader(text), userfile.Config{CSV: csv})
		if err == nil && len(file.Users)+len(file.Problems) > 1+strings.Count(text, "\n") {
			t.Errorf("%d users and problems in %q", len(file.Users)+len(file.Problems), text)
		}
	})
}
