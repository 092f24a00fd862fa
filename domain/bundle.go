package domain

// BundleExported records that a range of the log was written as a bundle.
type BundleExported struct {
	Peer     string `json:"peer"`
	Seq      int64  `json:"seq"`
	ID       string `json:"id"`
	File     string `json:"file"`
	After    int64  `json:"after"` // exclusive
	Through  int64  `json:"through"`
	Events   int64  `json:"events"`
	Withheld int64  `json:"withheld"`
	Bytes    int64  `json:"bytes"`
}

// BundleImported records that all of a peer's bundle was applied.
type BundleImported struct {
	Peer     string `json:"peer"`
	Seq      int64  `json:"seq"`
	ID       string `json:"id"`
	File     string `json:"file"`
	After    int64  `json:"after"` // exclusive
	Through  int64  `json:"through"`
	Events   int64  `json:"events"`
	Withheld int64  `json:"withheld"`
}

// BundleQuarantined records that a file was refused, and why.
type BundleQuarantined struct {
	File    string `json:"file"`
	SHA256  string `json:"sha256"`
	Peer    string `json:"peer"` // as the file claims; empty if it could not be read
	Code    string `json:"code"`
	Message string `json:"message"`
}

// BundleAcknowledged records that a peer applied our log through a position; it
// stands with the last bundle that the peer applied whole.
type BundleAcknowledged struct {
	Peer     string `json:"peer"`
	Seq      int64  `json:"seq"`
	Position int64  `json:"position"`
}

// QuarantineReleased records that a person put a refused file back to be
// judged again.
type QuarantineReleased struct {
	File   string `json:"file"`
	SHA256 string `json:"sha256"`
	Reason string `json:"reason"`
}

// BundleRejected records that a person decided that a refused file is not
// wanted, and that it was deleted.
type BundleRejected struct {
	File   string `json:"file"`
	SHA256 string `json:"sha256"`
	Reason string `json:"reason"`
}

// CheckReason holds what a person gives as the reason of a decision: 1 to 1,000
// characters on one line, not all of them blank.
func CheckReason(reason string) error {
	var f fieldErrors
	f.words("/reason", reason, 1000)
	return f.err("reason")
}

// EventType implements [Fact].
func (BundleExported) EventType() string { return "bundle.exported" }

// EventType implements [Fact].
func (BundleImported) EventType() string { return "bundle.imported" }

// EventType implements [Fact].
func (BundleQuarantined) EventType() string { return "bundle.quarantined" }

// EventType implements [Fact].
func (BundleAcknowledged) EventType() string { return "bundle.acknowledged" }

// EventType implements [Fact].
func (QuarantineReleased) EventType() string { return "quarantine.released" }

// EventType implements [Fact].
func (BundleRejected) EventType() string { return "bundle.rejected" }
