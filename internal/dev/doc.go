// Package dev runs both sites on one machine with everything they need, for a
// first look, for development and for tests that drive the program from
// outside.
//
//	DATA/field/   postgres/ redis/ keys/ outbox/ inbox/ … sallyport.yaml
//	   │  outbox ──▶ courier ──▶ inbox
//	DATA/core/    postgres/ redis/ keys/ outbox/ inbox/ … sallyport.yaml
//
// Each site has its own PostgreSQL cluster and its own Redis; they share
// nothing but this process and, with carry auto, the courier in it. State stays
// in DATA: a second start goes on from it, also after the first was killed. A
// site's sallyport.yaml is written anew at each start but for `responders`, to
// which sources, searches and services of one's own may be added.
// Everything listens on loopback or on Unix sockets.
package dev
