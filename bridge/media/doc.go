// Package media puts a site's bundles onto media that people carry, and takes
// the bundles on such a medium into the inbox.
//
//	outbox/ ─▶ room for all? ─▶ temporary name ─▶ sync ─▶ cache dropped ─▶ read back ─▶ own name   (Write)
//	medium  ─▶ only what is a file ─▶ hidden name in inbox/ ─▶ sync ─▶ own name                    (Read)
//
// # Promised
//
//   - What has a bundle's name on a medium after [Write] was read back from it,
//     compared with what was read from the outbox, and verified as a bundle
//     that this site signed for that peer.
//   - [Write] takes nothing from the outbox and [Read] nothing from the medium.
//   - Both can be ended anywhere and run again: what is there already is not
//     copied again, and what a run left half written is removed by the next.
//   - [Read] believes nothing: no link, pipe or device is followed, no size is
//     believed, no name leads outside, and what it copies is judged by the
//     import alone.
//   - A medium belongs to one direction, a [Pool], from its first use on; using
//     it for another is refused or warned about.
//
// # When something fails
//
// The error names the file. A medium that is full, was pulled, or gives back
// other bytes than it was given costs the medium, never a bundle: the outbox
// has it until its peer has acknowledged it.
//
// # Not promised
//
// Where the machine cannot drop its cache of a file, the reading back may be
// of memory; the result says so. What runs at the same time on one medium is
// the caller's to keep apart.
package media
