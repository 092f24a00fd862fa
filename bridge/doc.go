// Package bridge carries a site's log to its peers and theirs to it, as files
// that people carry.
//
//	log ─▶ plan (a row) ─▶ outbox/.tmp ─▶ re-read, rename ─▶ outbox/   ··▶ courier
//	courier ··▶ inbox/ ─▶ staging/ ─▶ verified ─▶ applied ─▶ receipts/, archive/YYYY/MM/
//	                         │           └──▶ held in staging/ until the gap closes
//	                         └──▶ quarantine/<id>/ with reason.json
//
// # Promised
//
//   - A published bundle is complete: it was written, synced, read back and
//     re-hashed under another name before it got its own.
//   - Making a bundle again gives the same content and the same id: its range,
//     what it withholds and its salt are committed before the file is begun.
//   - Every event of a peer is stored exactly once, in the peer's order,
//     however files are lost, doubled or permuted, and wherever the program
//     dies: the cursor moves in the transaction that stores the events.
//   - Nothing of a bundle is applied before all of it was read and found good.
//   - A link heals by itself: what is missing or arrived damaged is asked for and
//     made again, a lost last bundle shows by a beacon, a restored receiver gets
//     again what it lost. See bridge/link, which decides all of it.
//   - One program writes for a peer at a time. One that slept until another took
//     its place records nothing when it wakes up.
//   - Nothing is signed with a key that a peer has not shown to know, unless a
//     person said so, and nothing is believed by a key that was given up.
//   - A site whose database comes from an old backup finds out by itself, by the
//     head file that is synced before anything leaves, and is read-only as a whole
//     until its lost events are home. Of what peers give back, only what this
//     site's own signature proves is taken.
//
// # When something fails
//
// A file that cannot be believed goes to quarantine with the reason and never
// blocks anything. A bundle that a trusted peer signed and that still breaks a
// rule stops the link, loudly, until people look; so does a peer's proof that
// this site's own log lost events. A stopped link still tells what it has.
//
// # Not promised
//
// When a file arrives. A clock decides nothing here.
package bridge
