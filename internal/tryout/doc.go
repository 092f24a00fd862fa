// Package tryout finds out how a request type is answered, or would be, before
// people rely on it: for administrators of a response site.
//
//	                       ┌─ Check ─▶ the source, which runs nothing
//	draft or what is there ┤
//	                       └─ Ask ───▶ the source, as a request of one user would ─▶ answer, or failure with its cause
//
// # What it promises
//
//   - Nothing is recorded: no event, no job, no cached answer. Who wants a
//     record that somebody looked makes it before.
//   - What is asked is held to what requests are held to: the rules about who
//     may, the schema, time, rows and bytes.
//   - It takes no turn of the work queue, and asks only a few questions at once:
//     one too many is refused with [ErrBusy].
package tryout
