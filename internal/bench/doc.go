// Package bench measures how fast this program is on this machine, each time
// against a limit that is measured beside it.
//
//	limit  ▁▁▁███▁▁▁▁▁▁███▁▁▁███▁▁▁▁▁▁███      a pair: subject and limit, one
//	subject   ▁▁▁███▁▁▁███▁▁▁▁▁▁███▁▁▁███      after the other, first by turns
//	                              time ──▶      ratio = median of the pairs' ratios
//
// An absolute figure says more about the machine and its neighbours than about
// the program. A ratio of two things that were measured within seconds of each
// other says what the program adds to what it stands on: the bare database,
// the bare HTTP server, the bare cache.
//
// Run starts a private PostgreSQL, as durable as a real site's, and a private
// Redis if the machine has one; it makes a real site with a real user on them,
// and when it returns all of that has ended and is removed, also after an
// error or a cancelled context.
//
// Where less is better, as for sizes, times and memory, the ratio is to be at
// most its target; the limit may then be a number that was agreed on. Memory is
// the peak of a process of its own: this program, run anew for that one thing.
//
// Not promised: figures that can be compared between machines, or between a
// busy and an idle hour of one machine. Everything, the callers included,
// shares the processors; limits pay for their callers just as subjects do.
package bench
