// Package manual is where people answer: what an analyst does about a request
// that no machine answers.
//
//	queue ── response.started, work.opened ──▶ open ◀── release, or the claim times out ──┐
//	                                            │                                         │
//	                                            └── claim ──▶ claimed ────────────────────┤
//	                                                                                      │
//	  closed ◀── work.closed with response.recorded | response.failed ◀── answer, fail ───┘
//	    ▲
//	    └─ response.withdrawn: cancelled · response.failed: whoever asked may not any
//	       more, or whoever sees to the queue ended it
//
// What has failed and is asked again is opened anew.
//
// # Promised
//
//   - One analyst holds a claim at a time, and only who holds one can answer.
//   - Exactly one outcome is recorded for a try: the answer and the end of the
//     work are stored together, and the versions of both streams let one of
//     those who try at the same moment through. Whoever comes later is told.
//   - Whether the one who asked may have an answer is decided anew when the work
//     is claimed and when it is answered, as the queue does before it hands it over.
//     If not, the request ends there and then, and the analyst is told.
//   - A claim ends by the clock of the site, without an event: nothing has to run
//     for it to end.
//
// # When something fails
//
// A command that is refused or fails has stored nothing and may be repeated. When
// the answer to a commit is lost ([eventstore.ErrUnknown]), looking at the work
// again tells whether it took place.
//
// # Not promised
//
// Work waits as long as nobody does it: there is no time limit but what the one
// who asked sets by cancelling.
package manual
