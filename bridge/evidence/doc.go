// Package evidence reads evidence format 1 (docs/evidence-format.md): one file
// that shows, on a machine with nothing but it and the cards of the sites, what
// was asked and what was answered.
//
//	line of the request ─▶ digest ─▶ digest ─▶ … ─▶ chain value ◀─ signed by a site
//	     shown whole       what else the log held, unseen         in a manifest
//
// A chain value depends on every line before it, so a line from which hashes
// lead to a value that somebody signed is the line that was in the log then.
//
// # Promised
//
//   - [Check] believes no key but those it is given, and nothing in the file that
//     no signature covers: one byte changed anywhere is refused.
//   - Each event comes with how well it is shown, see [Proof].
//   - What it proves by shares nothing with the log: lines, chains and signatures
//     are read by bridge/bundle. What makes evidence is elsewhere.
//
// # Not promised
//
// That there were no other events of the request after the file was made, or
// that the site which made it shows all it has: only what is shown is proved.
package evidence
