// Package simulate drives links through faults: an operator and media that
// lose, double, reorder, damage, delay, replay and mix, sites that crash between
// any two steps and are restored from backups. Then the faults stop, and all
// must converge.
//
//	seed ─▶ Generate ─▶ []Action ─▶ Run ─▶ nil, or what was broken
//	                       ▲          │
//	                       └─ Shrink ─┘   the shortest schedule that still breaks it
//
// What decides is package link, the same code that the bridge runs, not a copy.
// [Memory] puts it between logs and folders that are slices, so that a hundred
// thousand schedules take a minute; the bridge's tests put the whole bridge,
// with PostgreSQL and files, into the same schedules.
//
// # Checked at every step
//
//   - What a site holds of a peer's log is a prefix of that log: nothing lost,
//     nothing twice, nothing out of order.
//   - What was acknowledged is there.
//
// # Checked at the end
//
//   - Within [Rounds] rounds of a fair courier every cursor is at the last event
//     that crosses, and the sender knows it.
//   - Then nothing more is written: no beacon answers another for ever.
//   - A site whose log lost events that a peer had applied is stopped on that link.
package simulate
