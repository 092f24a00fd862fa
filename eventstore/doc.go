// Package eventstore keeps a site's log: one table that is only ever inserted
// into, ordered by one row.
//
//	Append ──┐                       ┌────────── one transaction ──────────┐
//	Append ──┼─▶ queue ─▶ writer ──▶ │ lock head · check versions · seq,   │
//	Append ──┘                       │ pos, chain · events · project · head│
//	                                 └──────────────── commit ─────────────┘
//	Mirror, AppendTx ── the caller's transaction ── the same steps
//
// A writer that finds itself alone on the log foresees what it would look up
// and has the database check it, so that the whole transaction is one trip;
// what was not foreseen stores nothing and costs another.
//
// # Promised
//
//   - An append that returned without error is durable, once.
//   - seq (this site's order of storing) and pos (the origin's own order) run
//     from 1 without a hole (pos but for the step to a new [Epoch]), and their order is the order of the commits: who
//     has read up to n and reads `seq > n` misses nothing.
//   - Several streams in one append are written together or not at all, each
//     only if it is at its expected version.
//   - The chain value at pos n depends on every byte of the lines 1 to n.
//   - A log that lost events refuses every append ([ReadOnlyError]) until it got
//     back what others hold of it and was founded anew: see [Epoch].
//   - Whoever waits for the log to grow ([Store.Wait]) is woken by the commit, in
//     any process; polling backs that up.
//   - A commit may tell of a topic ([Tell]), and who hears of it ([Store.Hear]) is
//     called, in any process; whose connection was lost is called when there is one
//     again, for word may have been lost with it.
//   - A reader that meets a hole fails with a [GapError], and people are told.
//   - Inline projections commit with their events: a client reads its own write.
//
// # When something fails
//
// A version conflict or a failing condition rejects its own append alone.
// When the answer to a commit is lost, the writer ends the process of the
// database that was to make it, for the transaction may still lie unread in its
// socket, and reads back whether it took place, so that an error always means
// "not stored"; only when the database stays away too long is the outcome said to
// be unknown ([UnknownError]). Then [Store.Stored] tells it later, and an append
// that brought its ID is made again without being stored twice. A caller who gives
// up hears of what is under way all the same, and of the rest that nothing was
// stored.
//
// All this is held by eventstoretest.Run.
//
// # Not promised
//
// Appends from different callers have no order but that of their commits.
// A clock's time is stored with each event and decides nothing.
package eventstore
