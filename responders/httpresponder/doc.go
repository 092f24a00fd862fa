// Package httpresponder answers a request by one call of an internal service
// that speaks JSON over HTTP.
//
//	params {"order":"A 1"} ──┐
//	                         ├─▶ GET https://orders.internal/api/orders/A%201 ──▶ JSON ──▶ rows, fields
//	path /orders/{order} ────┘   (addresses that are admitted, no redirect, no proxy)
//
// What a request type asks is fixed but for its parameters, which stand in the
// path, the query and the body as package template promises. Where a service is,
// whom it is believed to be and how to log in there stands in the site's
// configuration alone.
//
// # Walls
//
//   - GET and POST only; the service's login should have no right to write.
//   - An address that is not public is called only in a network that the service's
//     configuration allows; what a name resolves to is looked at when the
//     connection is made.
//   - A redirect is no answer, and nothing that the service says leads anywhere.
//   - An answer of more than 20 MiB, also unpacked, or nested deeper than 48 is
//     refused.
//
// # Result
//
// A JSON pointer leads to the result in the answer. Is it an array, its elements
// are the rows, in their order; null is no rows; anything else is the result as it
// stands. Numbers keep their digits.
//
// # When something fails
//
// See the table in failure.go. A service that asks for patience (429 or 503 with
// Retry-After) is asked once more in the time that the question has left, if that
// is enough; else the queue's own wait follows. What a service said never reaches
// the one who asked, nor a log.
package httpresponder
