// Package ratelimit counts requests in fixed UTC windows: a minute, an hour, a
// day, a month.
//
//	Take ──▶ Redis: one script, one hash a user ──▶ counted, or refused
//	           │ away, or slower than 250 ms
//	           └──▶ memory of this process, for a second; then Redis is tried again
//
// # What a window says
//
// Of a window's limit L, where 0 means that there is none:
//
//	below 80 %                OK
//	from 80 %                 WARNING
//	from 100 % to ⌊1.1 × L⌋   SOFT_BLOCK: still counted, until five minutes
//	                          after the first excess or the window's end
//	beyond either             EXCEEDED: refused, and not counted
//
// The first excess is the first request beyond L. A call that fits all windows
// is counted in all of them; one that misses a single one is counted nowhere.
//
// # Promised
//
//   - Redis and memory decide the same (a property test holds them together).
//   - A call costs one trip to Redis, which calls at the same time share, and one
//     run of the script, which those share that ask alike. A Redis
//     that hangs costs a quarter of a second, and that once a second; nobody
//     waits for it otherwise.
//   - When Redis goes away, memory goes on from what Redis last told this
//     process; when it is back it is used again within a second.
//   - Limits are given with each call: a change of them acts at once, on what was
//     counted before.
//
// # Not promised
//
// What was counted in memory is not brought to Redis later. Several processes
// without Redis each count for themselves. A Redis that was flushed begins at
// zero.
package ratelimit
