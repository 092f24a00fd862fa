// Package reactor does what follows from events after they are stored. It is
// a Watermill router on the log itself: there is no second table of messages.
//
//	events ──▶ watermill-sql Subscriber ──▶ router ──▶ warm ──▶ response:{id}
//	             │        ▲                  correlation · give up · retry
//	             ▼        │ seq
//	          reactor_offsets
//
// # Promised
//
//   - Every event of interest is handled at least once, in the order of seq,
//     by one of the site's processes at a time.
//   - Where a reactor has got to is kept with the log: a process that dies is
//     continued by the next one. What is handled twice has no further effect.
//   - Nothing here delays an append: the reactor reads short pages, and holds
//     no lock that anybody else waits for.
//
// # When something fails
//
// A handler is tried again a few times within two seconds. What still fails is
// logged, counted and passed over, so that one event cannot stop those after
// it; an answer that was not cached is read from the read models instead. A
// database that is away is asked again every second.
package reactor
