// Package tally counts a site's requests as they go, by what became of them,
// and measures how long they took.
//
//	events ──▶ Advance: what the requests that a page of the log speaks of were
//	             │       and what they are now: −1 there, +1 here
//	             ▼
//	           request_counts · request_times · requests_counted (the place)
//	             │                                    all in one transaction
//	             ▼
//	           Requests, Series: sums of a few rows
//
// # Promised
//
//   - The rows are a function of the log up to the place, and of how far the
//     link had got then: cut into whatever pages, killed or repeated wherever,
//     they are what counting all requests of that log gives.
//   - What is asked costs the same, however many requests there ever were. Who
//     asks counts what is new first, for a twentieth of a second, so that they are
//     told what they did themselves. What is not counted yet is said ([Counts.Uncounted]).
//   - What the read models have cleared away stays counted: the log is what is
//     counted.
//   - Nothing here delays an append or an import: no lock of theirs is taken,
//     and who counts by itself rests many times as long as it works.
//
// # When something fails
//
// A page that could not be counted has changed nothing and is counted again. Two
// who count at the same time take turns.
//
// # Not promised
//
// Times are known to a fifth: they are told from a histogram whose buckets grow
// by the fourth root of two.
package tally
