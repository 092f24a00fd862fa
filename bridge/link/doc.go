// Package link is the state machine of one link between two sites, as one end
// sees it: what to do with a bundle that arrives, what an acknowledgement
// changes, what is due, and what to say. It is pure: it knows no clock, no
// database, no file and no randomness. The bridge drives it with a row of its
// database and with files; bridge/simulate drives it with nothing but memory,
// through faults that no operator could make in a lifetime.
//
//	                     a manifest was verified
//	                               │
//	                      Hear ────┤ takes over ack, seen and head; alarms
//	                               ▼
//	bundle of data ──▶ Judge ──▶ Apply      next in order, or the rest of it
//	                        ├──▶ Hold       its predecessor is missing
//	                        ├──▶ Duplicate  all of it is known already
//	                        └──▶ Fork       it contradicts what is known
//
//	at every turn:  Again ──▶ numbers to make again, under the same ids
//	                (what crosses and is in no bundle yet: the bridge's plan)
//	                BeaconDue ─▶ a manifest without events, when nothing else went
//	of each made:   NextAck ──▶ the number and what it tells;  Tell, once published
//
// # Promised
//
//   - Once faults end and what lies in the outboxes is carried, both cursors reach
//     the last event that crosses, and both ends know it, within six rounds. Then
//     nothing is due any more: a beacon is never answered for its own sake.
//   - No file, however old, doubled or late, makes an end forget what it knew.
//   - A receiver that was restored says so by a new incarnation and gets again
//     what it lost. A sender that was restored and lost events is told, and stops.
//
// # Not promised
//
// When anything happens. That a number is made only once more: a file that is
// overtaken on its way is made again, and then known already.
package link
