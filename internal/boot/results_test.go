package boot

import (
	"os"
	"path/filepath"
	"testing"
)

// What was kept is not found any more once a source is asked elsewhere or by
// another login, also when only a file says so.
func TestTheSaltKnowsWhatTheFilesHold(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	in := func(name string) string { return filepath.Join(dir, name) }
	r := Responders{Sources: map[string]Source{"flights": {URLFile: in("url")}},
		Searches: map[string]Search{"books": {CAFile: in("ca"), APIKeyFile: in("key"), PasswordFile: in("password")}},
		Services: map[string]Service{"orders": {CAFile: in("orders-ca"), HeaderFiles: map[string]string{"Authorization": in("token")}}}}
	salt := func() string {
		t.Helper()
		s, err := r.salt()
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	seen := map[string]string{salt(): "nothing"}
	for _, name := range []string{"url", "ca", "key", "password", "orders-ca", "token"} {
		if err := os.WriteFile(in(name), []byte("of before"), 0o600); err != nil {
			t.Fatal(err)
		}
		if same, is := seen[salt()]; is {
			t.Errorf("with %s it is as with %s", name, same)
		}
		seen[salt()] = name
	}
	before := salt()
	if salt() != before {
		t.Error("the same configuration leads to two")
	}
	if err := os.WriteFile(in("url"), []byte("of now"), 0o600); err != nil {
		t.Fatal(err)
	}
	if salt() == before {
		t.Error("another database in the file changes nothing")
	}
}
