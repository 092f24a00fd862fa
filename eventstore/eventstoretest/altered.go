package eventstoretest

import (
	"fmt"
	"testing"

	"sallyport/domain"
	"sallyport/eventstore"
)

// altered does to the rows of a log what a superuser can, and has it verified:
// the position is named where the damage begins. Who rewrites all that follows
// as well is found out at the end, by the head, or where a peer has signed.
func altered(t *testing.T, open func(testing.TB) *Site) {
	site := open(t)
	for i := range 4 {
		a := eventstore.Append{Actor: "user-1"}
		for _, name := range []string{"a", "b", "c"} {
			a.Writes = append(a.Writes, eventstore.Write{Stream: domain.UsernameStream(name), Expected: eventstore.Version(i),
				Facts: []domain.Fact{domain.UsernameClaimed{User: fmt.Sprint(i)}}})
		}
		if _, err := site.Store.Append(t.Context(), a); err != nil {
			t.Fatal(err)
		}
	}
	site.exec(t, `ALTER TABLE events DISABLE TRIGGER ALL; CREATE TABLE kept AS TABLE events; CREATE TABLE kept_head AS TABLE log_head`)
	for name, c := range map[string]struct {
		statement string
		position  int64
	}{
		"edited: a byte of a line":        {`UPDATE events SET line = replace(line, '"actor":"user-1"', '"actor":"user-2"') WHERE seq = 5`, 5},
		"edited: a byte of the data":      {`UPDATE events SET line = replace(line, '"user":"1"', '"user":"9"') WHERE seq = 5`, 5},
		"edited: the version of a line":   {`UPDATE events SET line = replace(line, '"schema":1', '"schema":9') WHERE seq = 5`, 5},
		"edited: what is no column":       {`UPDATE events SET line = replace(line, '"cause":""', '"cause":"x"') WHERE seq IN (5, 6)`, 5},
		"edited: a column":                {`UPDATE events SET stream = 'username-x' WHERE seq = 5`, 5},
		"edited: the form of a line":      {`UPDATE events SET line = 'x' WHERE seq = 5`, 5},
		"edited: the names in the data":   {`UPDATE events SET line = replace(line, '"user"', '"admin"') WHERE seq = 5`, 5},
		"edited: the head":                {`UPDATE log_head SET chain = sha256('')`, 13},
		"deleted: a row":                  {`DELETE FROM events WHERE seq = 5`, 5},
		"deleted: the last row":           {`DELETE FROM events WHERE seq = 13`, 13},
		"deleted: and closed up":          {`DELETE FROM events WHERE seq = 5; ` + shifted("seq > 5", -1) + renumbered + moveHead(-1), 12},
		"inserted: behind the head":       {forged(14), 14},
		"inserted: and the head moved":    {forged(14) + moveHead(1), 14},
		"inserted: between others":        {shifted("seq > 5", 1) + forged(6) + moveHead(1), 7}, // its line says 6
		"inserted: and made room":         {shifted("seq > 5", 1) + renumbered + forged(6) + moveHead(1), 14},
		"reordered: lines":                {`UPDATE events e SET line = (SELECT line FROM events WHERE seq = 11 - e.seq) WHERE seq IN (5, 6)`, 5},
		"reordered: rows":                 {exchanged, 5},
		"reordered: rows and their lines": {exchanged + renumbered, 5},
	} {
		site.exec(t, c.statement)
		head, err := site.Store.Head(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if v := verify(t, site, head); v.OK || v.BadPosition != c.position || v.Problem == "" {
			t.Errorf("%s: %+v, want it at %d", name, v, c.position)
		}
		site.exec(t, `DELETE FROM events; INSERT INTO events SELECT * FROM kept ORDER BY seq; DELETE FROM log_head; INSERT INTO log_head SELECT * FROM kept_head`)
	}
	head, err := site.Store.Head(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if v := verify(t, site, head); !v.OK {
		t.Errorf("of a sound log: %+v", v)
	}
}

// shifted moves rows to other places.
func shifted(which string, by int) string {
	return fmt.Sprintf(`UPDATE events SET seq = -seq, pos = -pos WHERE %s; UPDATE events SET seq = %[2]d - seq, pos = %[2]d - pos WHERE seq < 0;`, which, by)
}

// renumbered makes lines say the place at which they are.
const renumbered = `UPDATE events SET line = regexp_replace(line, '"pos":\d+', '"pos":' || pos) WHERE line NOT LIKE '{"pos":' || pos || ',%';`

// forged is a row of nobody that agrees with itself.
func forged(at int) string {
	return fmt.Sprintf(`;INSERT INTO events (seq, origin, pos, id, stream, ver, type, at, actor, corr, line)
		SELECT %[1]d, origin, %[1]d, '%[2]s', 'username-forged', 1, type, at, actor, '%[2]s',
		       regexp_replace(replace(replace(line, id::text, '%[2]s'), stream, 'username-forged'), '"pos":\d+', '"pos":%[1]d')
		FROM events WHERE seq = 2;`, at, "019aa1d4-11f3-7d02-8a47-6f1f5a3b9c0d")
}

func moveHead(by int) string {
	return fmt.Sprintf(`UPDATE log_head SET seq = seq + %[1]d, pos = pos + %[1]d;`, by)
}

// exchanged are two rows that have changed places, but for what their lines say.
const exchanged = `UPDATE events SET seq = -seq, pos = -pos WHERE seq IN (5, 6); UPDATE events SET seq = 11 + seq, pos = 11 + pos WHERE seq < 0;`

func (s *Site) exec(t testing.TB, statements string) {
	t.Helper()
	if _, err := s.Owner.Exec(t.Context(), statements); err != nil {
		t.Fatalf("%s: %v", statements, err)
	}
}
