// Package bundle reads and writes bundle format 1: one file that carries a
// contiguous range of one site's log to one peer.
//
//	┌──────────────────────────────┬──────────────────────────────────────────┐
//	│ zstd skippable frame         │ payload, to the end of the file          │
//	│ 5b 2a 4d 18 │ len │ manifest │ zstd frame │ zstd frame │ …              │
//	│             (a signed note)  │ (with .age: one age stream of the same)  │
//	└──────────────────────────────┴──────────────────────────────────────────┘
//	                                 decompressed: JSON lines, LF ended
//	                                 {"bundle":…}  the bundle's own line
//	                                 {"pos":41,…}  an event, as stored in the log
//	                                 {"after":41,…} a withheld run
//
// docs/bundle-format.md is the specification; testdata/vectors holds this package,
// and any other that implements it, to it.
//
// It is a codec and nothing more: it knows no folders, no database and no
// policy. Who may send what is the caller's to decide.
//
// # Reading
//
// The order is fixed, and a [File] refuses any other:
//
//	Open ──► VerifySignatures ──► VerifyPayload ──► Lines
//	strict    the caller's          SHA-256 of       decrypt, decode, count, check
//	manifest  trust store           every byte       every line, hash, chain
//
// Nothing is decompressed or decrypted before a trusted signature covers it.
// A loop over Lines that ends without an error has seen every byte of the file,
// and every promise of the manifest was kept; lines handed out before an error
// are well formed but must not be applied. Whatever the file holds, no more is in
// memory than the manifest and about three of the largest frames (16 MiB each).
//
// # Writing
//
// [NewWriter] takes a plan and lines and produces the payload; what it learned
// ([Content]) goes into a [Manifest], which is signed and put before the payload
// by [WriteFile]. The writer runs the reader's own checks: it cannot produce
// what a reader refuses. For the same plan and lines a writer gives the same
// plain bytes and so the same id, always; a plain payload is the same byte for
// byte as long as the zstd encoder is the same version.
//
// # Failures
//
// What is wrong with a bundle is an [*Error] with a [Code], and the frame, line and
// position where these are known. Failures of the caller's reader, writer or
// context are wrapped and have no code: they say nothing about the bundle. Reading
// changes nothing anywhere, so a bundle can always be read or made again.
//
// Not promised: that a file is whole before VerifyPayload said so, that names of
// files tell the truth, or that created_at does.
package bundle
