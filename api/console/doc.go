// Package console is a site's web pages: what the API can do, for people.
//
//	browser ──cookie──▶ page ──bearer token──▶ the API's handler, in the process
//	   ▲                  │                             │
//	   └──── HTML ◀── template ◀──────── JSON, problem ─┘
//	   ◀──── SSE: "data: request response" ── api/live ── the log
//
// # Promised
//
//   - A page knows no rule. It calls the JSON API in the process, as whoever is
//     signed in and from where they are, so that authorisation, limits, the audit
//     trail, a read-only site and problem documents are what they are there.
//   - Nothing is inline and nothing comes from elsewhere; a page works without
//     scripts, and what scripts add is in assets/.
//   - The session is in a cookie that the browser can neither read nor make; it is
//     renewed on the way, and ends as the API's sessions do.
//   - A page is sent whole or not at all. What is wrong is shown as the API said
//     it, beside the field that it is about, with what to do next.
//
// # How to add a page
//
//  1. A row in the table of its area (see [pages]): key, path below /console/, the
//     site, the roles, the area of the navigation, what shows it, what its forms
//     do. The table is all there is: routes, navigation, tests and pictures follow.
//  2. A function func(*visit) error in a file of its subject. It reads by
//     v.get("/api/path", &shape), acts by v.send(method, path, body, &shape, headers),
//     and ends in v.show(data); v.again(data, err) after a form that was refused;
//     v.done("path", "key") after one that was taken, which shows note.key;
//     v.pass(path, "name.json") to hand a file on. Errors it just returns.
//  3. templates/KEY.html with {{define "main"}}: dot is a [document], the page's own
//     data is .Data. Begin with {{template "top" .}} and {{template "wrong" .Problem}};
//     parts.html has fields, chips, empty lists, paging, tables that become cards
//     (class cards, data-label on each cell). What users wrote goes into <bdi>.
//     A part that is to stay up to date has an id, data-live="kinds of streams",
//     hx-get="{{.URL}}" hx-trigger="refresh" hx-select="#id" hx-swap="outerMorph":
//     what somebody unfolded or is typing there stays. Each row of a list has an id,
//     by which it is known again when others come before it or go.
//     A form that must not be sent twice has data-once. A button that asks first has
//     data-confirm, and its act is sure("key", …): without scripts a page asks.
//     What only an area shares is in parts-AREA.html.
//  4. Strings in messages/en.json and fa.json, or, of one area, en-AREA.json and
//     fa-AREA.json, sorted: page.KEY.title,
//     page.KEY.lead, note.…, and what the template says by {{t "key" "name" value}}.
//     Write whole keys in templates, or printf "prefix.%s" of a closed list.
//  5. Tests: each page of the table is opened by each role, in a browser that
//     fails on a policy violation, an error in the console, a request elsewhere, or
//     a serious finding of axe-core. A path with {parameters} needs an example in
//     examples (browser_test.go). What a page does is a test of its own there.
//  6. `make screenshots` writes every page to .cache/screenshots: desktop, 320 px,
//     dark, right to left, on a wall screen. Look at them.
package console
