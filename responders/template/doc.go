// Package template puts a request's parameters into what a source is asked, so
// that no value can become more than a value.
//
//	{"term":{"city":{"$param":"city"}}}  +  {"city":"x\"}}"}  ──▶  {"term":{"city":"x\"}}"}}
//	/orders/{order}/lines                +  {"order":"a b"}   ──▶  /orders/a%20b/lines
//
// # JSON
//
// A [Template] is JSON in which objects of two forms stand for something else:
//
//	{"$param": NAME, "type": TYPE, "default": VALUE}
//	{"$when": NAME, "then": TEMPLATE}
//
// The first is the parameter NAME, or VALUE if the request does not give it. TYPE
// says what may stand there: string, number, integer, boolean, array (of those) or
// any; without it (or as plain), a string, a number or a boolean. The second is
// TEMPLATE if the request gives NAME. Null counts as not given. What is not given
// is left out, with the member or the element that it would be; where that is the
// whole template, null takes its place. Another name that begins with $ is
// refused, so that a slip of the pen is no literal; a literal $name is written
// $$name.
//
// # Paths
//
// A [Path] is a URL's path in which {NAME} stands for a parameter, as a part of one
// segment.
//
// # Promised
//
//   - A value is written as the JSON that it is, or as one part of one segment,
//     escaped. It is never read as a piece of the template, and never changes
//     which members, elements or segments there are.
//   - Only `"type": "any"` lets an object in: its author asked for it by name.
//   - In a path, a value is refused that a server may take for structure even when
//     it is escaped: an empty one, `.` and `..` as a whole segment or before its first
//     `;`, `/`, `\`, control characters, and `%` before two hexadecimal digits.
//   - Numbers are written digit by digit as they came.
//   - Errors name parameters and places, and never quote a value.
//   - What comes out is bounded by [MaxBound].
package template
