// Package responsecache keeps rendered answers where they are had in one step:
// in Redis, or in the process's own memory where there is no Redis.
//
// # Form
//
// Under the key `response:<request id>` stands one JSON object, written in
// exactly this form, without space:
//
//	{"position":123,"owner":"<user id>","body":{…}}
//
// position is that of the event which the body was rendered from, in the log
// of the site that answered; owner is the user who asked, so that a hit can be
// authorised without the database; body is what the API answers, byte for
// byte. Because the form is fixed, a hit is taken apart by looking for two
// marks: nothing is decoded and nothing copied.
//
// Beside them, `response-keys:<user id>` is the sorted set of that user's request
// ids, each with the moment at which its entry expires. It is changed in the same
// script as the entry, so that a user's entries are cleared exactly.
//
// # Contract of every implementation
//
//   - Set replaces an entry only if it is not older: whatever the order in
//     which several writers arrive, the entry of the highest position stays.
//   - An entry lives for the cache's TTL, counted from its last Set.
//   - An entry larger than MaxEntry is not kept, which is no error; what was
//     there under its key before and is older goes.
//   - A value that does not have the form above is a miss, and Set replaces it.
//   - Get returns what Set was given, or nothing. An error means that the
//     cache cannot be reached: the answer is in the read models.
//   - Bodies that Get returned and Set was given are never changed.
//
// # Not promised
//
// That an entry is there: it may be evicted at any time. Should Redis run out of
// memory and evict a user's set before the entries, clearing that user misses
// them; clearing all does not.
package responsecache
