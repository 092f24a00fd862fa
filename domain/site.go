package domain

// SiteFounded is the first event of every log.
type SiteFounded struct {
	Site  string `json:"site"`
	Role  Role   `json:"role"`
	Epoch string `json:"epoch"`
}

// SiteRefounded is the first event of a log that was founded anew, because a
// restored site had lost events that others have seen.
type SiteRefounded struct {
	Epoch    string `json:"epoch"`     // of the log that begins here
	OldEpoch string `json:"old_epoch"` // of the log that ended
	Position int64  `json:"position"`  // its last position that is known
	Chain    string `json:"chain"`     // its chain there
	Reason   string `json:"reason"`
}

// PeerAdded says that two people have exchanged cards with a peer and
// compared its fingerprint.
type PeerAdded struct {
	Peer        string `json:"peer"`
	Role        Role   `json:"role"`
	Epoch       string `json:"epoch"`
	Fingerprint string `json:"fingerprint"`
}

// PeerRemoved says that a link was ended by people. What came by it stays.
type PeerRemoved struct {
	Peer   string `json:"peer"`
	Reason string `json:"reason"`
}

// LinkStopped says that nothing is sent to or applied from a peer any more
// until people decide.
type LinkStopped struct {
	Peer   string `json:"peer"`
	Reason string `json:"reason"`
}

// LinkResumed says that people decided to go on with a stopped link.
type LinkResumed struct {
	Peer   string `json:"peer"`
	Reason string `json:"reason"`
}

// PositionWithheld says that two people decided that an event which a peer
// refused is withheld from it.
type PositionWithheld struct {
	Peer     string   `json:"peer"`
	Position int64    `json:"position"` // in this site's log
	By       []string `json:"by"`       // the two actors, in the order in which they decided
}

// SiteKey names a public key that signs for a site.
type SiteKey struct {
	ID  string `json:"id"`  // "<site>+<8 hex digits>"
	Key string `json:"key"` // the whole of it, in the form of C2SP signed-note
}

// KeyRotated says that a site signs with a new key from now on.
type KeyRotated struct {
	Old SiteKey `json:"old"`
	New SiteKey `json:"new"`
	// Without names the peers that had not shown to know the new key when a person
	// went on; they need the new card.
	Without []string `json:"without,omitempty"`
}

// PeerKeyRevoked says that people replaced a peer's key by a new card: the old
// one is believed only in what it signed up to a number of an epoch.
type PeerKeyRevoked struct {
	Peer      string  `json:"peer"`
	Revoked   SiteKey `json:"revoked"`
	Epoch     string  `json:"epoch"`
	LastValid int64   `json:"last_valid"` // the last bundle's number; 0: none is believed
}

// EventType implements [Fact].
func (SiteFounded) EventType() string { return "site.founded" }

// EventType implements [Fact].
func (SiteRefounded) EventType() string { return "site.refounded" }

// EventType implements [Fact].
func (PeerAdded) EventType() string { return "site.peer_added" }

// EventType implements [Fact].
func (PeerRemoved) EventType() string { return "site.peer_removed" }

// EventType implements [Fact].
func (LinkStopped) EventType() string { return "site.link_stopped" }

// EventType implements [Fact].
func (LinkResumed) EventType() string { return "site.link_resumed" }

// EventType implements [Fact].
func (PositionWithheld) EventType() string { return "site.position_withheld" }

// EventType implements [Fact].
func (KeyRotated) EventType() string { return "site.key_rotated" }

// EventType implements [Fact].
func (PeerKeyRevoked) EventType() string { return "site.peer_key_revoked" }
