// Package domain holds the rules of sallyport: which events exist, which
// stream each belongs to, which of them may cross to which peer, and what a
// command may lead to.
//
//	command ──▶ Decide(state, command) ──▶ facts ──▶ the log
//	                  ▲                       │
//	                  └──── Apply(state) ◀────┘
//
// Everything here is pure: no clock, no randomness, no database, nothing but
// the standard library. Equal input gives equal output on both sites, which
// is what lets two networks that never touch agree. What only a library can
// decide (whether parameters satisfy a JSON Schema) is decided before and
// handed in with the command.
//
// A refused command returns an *Error whose Code is stable and whose text may
// be shown to the person who asked; it never leaves a trace in the log.
package domain
