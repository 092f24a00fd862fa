// Package archive reads a site's log from files: old ranges of it, its own events
// and the mirrors of its peers, copied by `sallyport audit archive` into a folder.
//
//	archive.txt                                      the index, a signed note
//	archive_<site>_<first10>-<last10>.jsonl.zst      a segment: a range of seq
//	archive_<site>_<first10>-<last10>.jsonl.zst      the next one
//
// A segment is a bundle of kind archive (see bridge/bundle): signed by the site,
// hashed frame by frame, read by public tools. Its lines are
//
//	{"stand":{"origin":…,"epoch":…,"after":57,"chain":…}}           where a log goes on
//	{"seq":41,"stored_at":…,"origin":"core","line":{"pos":58,…}}    an event, as stored
//	{"withheld":{"origin":…,"after":58,"through":60,"chain":…}}     positions that are not here
//	{"manifest":"…"}                                                a peer's, signed, that came in
//
// docs/archive-format.md is the specification.
//
// # Promised
//
// Whatever is read here was signed by a key that the caller trusts, and is
// whole: every segment's signature, hash, frames, lines, numbers, positions and
// chains are checked before a line of it is given out, but for the chain at the
// beginning of the first segment that is read, which is what the site signed.
// [Archive.Verify] reads all of them and needs no such word. A segment that is
// missing, cut off, altered, doubled or another's is named, with the positions
// that it holds. No more is in memory than one frame and a value for each log.
//
// Not promised: that the archive reaches as far as the log does, or is the newest
// one that the site has made.
package archive
