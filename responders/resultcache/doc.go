// Package resultcache lets one answer of a source serve all who ask the same
// within a while: in Redis for all processes of a site, or in the process's own
// memory where there is no Redis.
//
//	question ─▶ key ─▶ there? ──yes──▶ the answer, marked as cached
//	                     │no
//	                     ▼
//	         is somebody asking it already? ──yes──▶ wait for that answer
//	                     │no                          (in this process, or by a lock in Redis)
//	                     ▼
//	               ask the source, keep the answer
//
// # What is the same
//
// A key is the SHA-256 of all that a question holds: type and version, the
// parameters as canonical JSON (RFC 8785, but numbers digit by digit), the
// responder's configuration, and what the user's rights make of it, such as how
// many rows and which indices. What of the site's configuration decides on answers
// is in it too. Nobody is in it: users with equal rights share an answer, and users
// whose rights lead to another question never do. So nothing has to be forgotten
// when a configuration, a type or a right changes: what was kept before is not
// found any more.
//
// # Promised
//
//   - Only answers are kept, never failures, for as long as their configuration
//     says, counted from when they were kept; 0: not at all.
//   - While a question is asked, others that are the same wait for its answer: in
//     this process whatever comes of it, elsewhere as long as who asks is alive,
//     and no longer than the question may take. Then they ask themselves.
//   - A source is asked on as long as anybody waits for it, and stopped when nobody
//     does.
//   - After Clear, nothing that was asked for before is kept.
//   - Redis that is away, slow or full of nonsense costs a second now and then, and
//     never an answer.
//
// # Form
//
// Under `result:<key>` stands a zstd frame with a checksum, of at most 10 MiB
// before and after: a line of JSON, {"count":2,"truncated":false,
// "content_type":"application/json"}, and the result. Under `result-lock:<key>`
// stands who asks, for three seconds that are prolonged.
//
// # Not promised
//
// That an answer is there: it may be evicted at any time.
package resultcache
