// Package password turns passwords into credentials and checks them.
//
//	Hash ─────┐            ┌─ slot ─ argon2id, 46 MiB, one pass, one lane
//	Verify ───┼─▶ queue ─▶ │
//	Nobody ───┘   bounded  └─ slot ─ or bcrypt, for users brought from elsewhere
//	                          │
//	                          └─ after Apart, in a process of its own that gives way to others
//
// # Promised
//
//   - New credentials are argon2id in the PHC string format, with a random
//     salt of 16 bytes (OWASP ASVS 5.0, 11.4.2). bcrypt is only verified.
//   - A slot bounds memory and processor time, whatever number of people log
//     in; who finds the queue full gets [ErrBusy] at once.
//   - A process of a slot is asked through its pipes: no password stands in
//     arguments, in the environment or on a disk. It ends with the one that
//     started it. When it dies, the password is hashed without it and the next
//     one starts another.
//   - Nobody costs what Verify costs, so that the time of an answer does not
//     tell whether a user exists.
//   - Digests are compared in constant time. No error holds a password, a
//     salt or a digest.
package password
