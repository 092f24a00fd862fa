// Package sqlresponder answers a request by one statement on a PostgreSQL
// source.
//
//	params {"iata":"AMS"} ──┐
//	                        ├─▶ begin read only · statement_timeout · SELECT · rollback
//	select … @iata::text ───┘              (one trip on the source's own small pool)
//
// Values are bound, never pasted: the statement of a type is fixed text, its
// parameters stand in it as @name. A parameter that a request leaves out binds
// NULL; one that the statement does not name is not sent.
//
// # Walls against writing
//
// The login should have no right to write; a superuser is refused outright.
// Every session and every transaction is read-only, and the statement runs as
// a sub-select, where PostgreSQL admits nothing that changes data.
//
// # Values
//
// PostgreSQL's own to_json encodes each row as an object in the order of the
// columns: numbers exactly, times in ISO 8601 and UTC, bytea as \x hex. The
// statement's own ORDER BY is the order of the rows.
//
// # When something fails
//
// See the table in failure.go: a source that is away, too busy or too slow is
// worth another attempt, everything else is final. What PostgreSQL said never
// reaches the one who asked; its SQLSTATE goes to this site's log.
package sqlresponder
