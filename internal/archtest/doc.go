// Package archtest holds the shape of the tree by tests: which package may
// import which, how packages may be named and how long a file may be.
//
//	cmd ─▶ internal/boot ─▶ api ─▶ internal/commands ─▶ { bridge  responders  projections } ─▶ eventstore ─▶ domain
//
// It exports nothing and no package imports it.
package archtest
