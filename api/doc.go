// Package api serves a site's HTTP API. api.md of the design is its contract;
// [routes] is the list of all paths and who may call them.
//
//	request ─▶ id ─▶ path, method ─▶ right site? ─▶ who asks? ─▶ may they? ─▶ decode ─▶ handler
//	                      │               │             │            │           │          │
//	                      └── problem ◀───┴─────────────┴────────────┴───────────┴──────────┘
//
// # Promised
//
//   - A handler is a function from a decoded call to an answer or an error.
//     Decoding, checks, status, headers and logging happen in one place for all.
//   - Every refusal is a problem document (RFC 9457). Its `type` is
//     `urn:sallyport:problem:<code>` and stable; `errors` names each wrong part
//     by JSON Pointer, or by query parameter; `trace_id` is the X-Request-Id.
//   - JSON is read strictly: one value, UTF-8, no name twice, no unknown field,
//     names as they are spelt, at most 1 MiB. What is refused wrote nothing.
//   - A bundle's file goes up and down as it is, whole or not at all, with a
//     time of its own that only those who may carry get, see bounds.
//   - Who asks is looked up at every call, so that a change of a user acts on
//     the next one.
//
// # When something fails
//
// A database or a queue that cannot take the call is 503 with Retry-After. A
// cache that does not answer is as if it were empty. What nobody foresaw is
// 500, is logged with its cause, and tells the caller nothing but the trace_id.
package api
