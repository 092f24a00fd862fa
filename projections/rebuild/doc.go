// Package rebuild makes read models anew from the log while the site serves
// and takes writes.
//
//	        readmodel_rebuild            log                    readmodel
//	begin   empty, like the live ones
//	fill    ◀─── events through n ───────┤                      ◀── appends
//	index   after the folds, before what is replayed
//	catch   ◀─── what came meanwhile ────┤                      ◀── appends
//	swap    ┌─ head's lock ─────────────────────────────────────────────┐
//	        │ ◀─ the last few events;  tables change places, in 100 ms  │
//	        └────────────────────────── else: let go, catch up, again ──┘
//	clear   what was replaced is dropped
//
// # Promised
//
//   - The rows are those that the events give: equal to the live ones, unless
//     these were damaged.
//   - Whoever reads sees the old table or the new one, whole. Nobody waits for
//     longer than 100 ms more than without a rebuild.
//   - Killed at any point it leaves the live tables as they are, or as the swap
//     has left them; what it left behind is seen by [Status] and dropped by the
//     next run.
//   - One rebuild runs at a time; a second one is refused.
//   - Its own memory does not grow with the log.
//
// No consequence of an event happens again: reactors have places of their own
// in the log. What stands in the response cache is rewritten by
// [sallyport/projections/reactor.Rewrite], which the caller asks for.
//
// # How
//
// What is small is replayed page by page through the very code that keeps the
// live tables, whose statements are pointed at the other schema. Requests and
// their answers are folded by the database, a window of the log at a time,
// which a test holds against that code. Making and swapping tables is done by
// functions of the database that run as its owner, so that the program needs
// no right to change the schema.
package rebuild
