// Package projections keeps the read models and answers questions from them.
//
//	                     ┌──────── one transaction ────────┐
//	Append, Mirror ─────▶│ events · Inline() · log's head  │──▶ commit
//	                     └─────────────────────────────────┘
//	Reader    ◀── tables of the schema readmodel, as committed now
//	Directory ◀── users, profiles and request types, kept in memory
//	Digest    ◀── the same tables, as one hash each
//
// # Promised
//
//   - The rows are a function of the events alone: the same events give equal
//     rows under any interleaving of their origins and however they are cut
//     into batches, and storing an event again changes nothing.
//   - Whoever appended reads their own write, from Reader and from Directory.
//   - Everything here can be thrown away and made again from the log.
//
// # When something fails
//
// An event that cannot be projected fails its append or import, which then
// stores nothing. A query that fails has changed nothing and may be repeated.
//
// # Not promised
//
// Text that PostgreSQL cannot hold (the character NUL, bytes that are no
// UTF-8) stands in a read model with U+FFFD in its place; the log keeps what
// was written. A Directory follows changes made by other processes within a
// second, not at once.
package projections
