package domain

// SiteFounded is the first event of every log.
type SiteFounded struct {
	Site  string `json:"site"`
	Role  Role   `json:"role"`
	Epoch string `json:"epoch"`
}

// PeerAdded says that two people have exchanged cards with a peer and
// compared its fingerprint.
type PeerAdded struct {
	Peer        string `json:"peer"`
	Role        Role   `json:"role"`
	Epoch       string `json:"epoch"`
	Fingerprint string `json:"fingerprint"`
}

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

// EventType implements [Fact].
func (SiteFounded) EventType() string { return "site.founded" }

// EventType implements [Fact].
func (PeerAdded) EventType() string { return "site.peer_added" }

// EventType implements [Fact].
func (BundleExported) EventType() string { return "bundle.exported" }

// EventType implements [Fact].
func (BundleImported) EventType() string { return "bundle.imported" }

// EventType implements [Fact].
func (BundleQuarantined) EventType() string { return "bundle.quarantined" }
