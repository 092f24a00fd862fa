// Package reactor does what follows from events after they are stored. It is
// a Watermill router on the log itself: there is no second table of messages.
//
//	events ──▶ watermill-sql Subscriber ──▶ router ──▶ handler ──▶ response:{id}, webhooks, …
//	             │        ▲                  correlation · give up · retry
//	             ▼        │ seq                            │
//	          reactor_offsets                           poisoned ──▶ a person: requeue or drop
//
// # Promised
//
//   - Every event of interest is handled at least once, in the order of seq,
//     by one of the site's processes at a time. Each handler has its own place.
//   - Where a handler has got to is kept with the log: a process that dies is
//     continued by the next one, and a database that crashes forgets the last
//     places. What is handled twice has no further effect.
//   - A handler that writes to the database alone does so in the transaction
//     that moves its place ([Handler.HandleTx]): its writes take place once.
//   - How far each is behind is told by [Places].
//   - Nothing here delays an append: a handler reads short pages, and holds
//     no lock that anybody else waits for.
//
// # When something fails
//
// A handler is tried again a few times within two seconds. What still fails is
// logged, counted, kept in the poison queue and passed over, so that one event
// cannot stop those after it. There it stays until a person puts it back, which
// calls the handler once more, or drops it. A database that is away is asked
// again every second.
package reactor
