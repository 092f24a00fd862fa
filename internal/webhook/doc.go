// Package webhook tells users' own servers of answers, as Standard Webhooks 1
// describes it (github.com/standard-webhooks/standard-webhooks).
//
//	event ─▶ reactor ─▶ Announce ─▶ one job a webhook ─▶ POST ─▶ 2xx: done
//	                                      ▲               │
//	                                      └── later ◀─────┤ anything else
//	                                                      └─ after the last attempt: poison queue;
//	                                                         five messages in a row: the webhook is off
//
// # Promised
//
//   - Each answer leads to at least one delivery to each active webhook of the
//     user who asked; its `webhook-id` is the same at every attempt.
//   - A message names the request and its outcome. The answer itself is fetched
//     by its owner, with the owner's own rights.
//   - Messages are signed with the webhook's secret. It is derived from a key in
//     a file of the site, shown once, and stored nowhere.
//   - Only public addresses are called, and those networks that the site's
//     configuration allows. What a name resolves to is looked at when the
//     connection is made, so that no name can lead elsewhere later. Redirects
//     are not followed, and no proxy is used.
//
// # When something fails
//
// An attempt that fails is repeated after 5 seconds, then ever later, for about
// three quarters of a day. What still fails is put into the poison queue, from
// which a person may have it delivered once more. A process that dies in the
// middle of a delivery is continued by another: the receiver may hear twice.
package webhook
