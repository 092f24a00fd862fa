// Package queue answers requests in the background, each exactly once.
//
//	import ── Enqueue ──▶ job            (the import's own transaction)
//	                       │
//	      worker ◀─────────┘ by priority, then by age
//	        │ 1. decide anew: user, profile, type, parameters, responder
//	        │ 2. ask the responder, within its time limit
//	        │ 3. append response.started, by itself if the answer takes long
//	        └ 4. append response.recorded | response.failed
//	             and complete the job    (one transaction)
//
// What people answer is put before them instead of being asked: response.started
// and work.opened complete the job, no worker waits, and package manual records
// the outcome.
//
// A request that is asked again gets a new job, whose first append takes the
// failure back; one that is cancelled lets its job run next, which finds that
// out and records response.withdrawn. A question that takes long is stopped
// within a second. People who see to the queue may overrule it: a decision is
// stored with what it means for the jobs, and counts as an outcome.
//
// # Promised
//
//   - A request that was imported has a job; none is lost with a process.
//   - Exactly one outcome is recorded for a request, however often a worker
//     dies and however many work on it: the stream's version refuses a second
//     one, and a worker whose job was given to another cannot record at all.
//     A withdrawal is an outcome. After a failure that is taken back there is
//     exactly one more.
//   - The response site decides anew whether the user may ask; it does not
//     trust what came over the line. A refusal is recorded as a failure.
//   - Each source is asked so many questions at once and no more by a process.
//     However many wait for a slow one, they keep no others waiting.
//   - A failure worth another attempt is tried again after a wait that doubles
//     (1, 2, 4 … up to 60 s, with jitter), five attempts in all, and then
//     recorded. Each is told by response.retry_scheduled. A panic in a responder is such a failure.
//
// # When something fails
//
// A worker that dies with its process is noticed by the lock that its session
// held; its jobs are free again within five seconds of anybody's start. Those
// that it only had at hand lose no attempt by that; a request whose responder was
// asked when its process died, five times, is given up. The log being overloaded
// or away costs no attempt.
//
// # Not promised
//
// A responder may be asked more than once. Requests of one user are not
// answered in the order in which they were submitted.
package queue
