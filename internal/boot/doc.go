// Package boot makes a site out of its configuration: it creates one (Init),
// opens one (Open) and runs one (Serve), and is the only place that knows how
// the parts fit together.
//
//	            ┌───────────── api ─────────────┐
//	            │  tokens · commands · readers  │
//	            └──┬──────────────┬──────────┬──┘
//	           directory     response cache  │
//	               │              ▲          │
//	bridge ──▶ eventstore ──▶ reactor        │
//	  │            ▲ inline read models ◀────┘
//	  └─ enqueue ─▶ queue ─▶ sql responder        (response site)
//	               └────────── PostgreSQL ──────────┘
//
// Shutdown goes the other way round: the HTTP server drains, the workers and
// the bridge finish their step, the log's writer stores what is queued, the
// connections close.
package boot
