package bridge

import (
	"strconv"
	"strings"

	"sallyport/bridge/bundle"
)

// payloadName is the scratch file of a payload that has no manifest yet; which
// is the bundle's number, or "b" and the beacon's.
func payloadName(peer, which string) string { return peer + "-" + which + payloadSuffix }

const payloadSuffix = ".payload"

// removeScratch deletes what an export to this peer left that was killed, be it
// half written or done with. The caller holds the lock of that link's exporter.
func (b *Bridge) removeScratch(peer string) error {
	names, err := b.Folders.list(tmpDir)
	if err != nil {
		return err
	}
	for _, name := range names {
		if !b.isScratch(name, peer) {
			continue
		}
		if err := b.Folders.remove(tmpDir + "/" + name); err != nil {
			return err
		}
	}
	return nil
}

// isScratch knows a peer's files from those of one whose name goes on: core and
// core-2.
func (b *Bridge) isScratch(name, peer string) bool {
	if which, ok := strings.CutSuffix(name, payloadSuffix); ok {
		which, ok = strings.CutPrefix(which, peer+"-")
		_, err := strconv.ParseUint(strings.TrimPrefix(which, "b"), 10, 63)
		return ok && err == nil
	}
	n, err := bundle.ParseName(strings.TrimSuffix(name, labelSuffix))
	return err == nil && n.Between(b.Log.Site(), peer)
}
