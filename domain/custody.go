package domain

// CarriedBundle is a bundle's file on a medium.
type CarriedBundle struct {
	File   string `json:"file"`
	ID     string `json:"id"` // the bundle's; as the file claims where it was only read, empty if it claims none
	SHA256 string `json:"sha256"`
	Bytes  int64  `json:"bytes"`
}

// MediaWritten records that bundles were put onto a medium and read back.
type MediaWritten struct {
	Operator   string          `json:"operator"`
	Medium     string          `json:"medium"` // the id in its marker
	Serial     string          `json:"serial"`
	SerialFrom string          `json:"serial_from"` // who says so: operator, device, filesystem or medium
	Bundles    []CarriedBundle `json:"bundles"`
}

// MediaRead records that bundles were taken from a medium into the inbox. What
// it says of medium and bundles is what they say of themselves.
type MediaRead struct {
	Operator   string          `json:"operator"`
	Medium     string          `json:"medium"` // empty for one without a marker
	Serial     string          `json:"serial"`
	SerialFrom string          `json:"serial_from"` // also empty: nobody told
	Bundles    []CarriedBundle `json:"bundles"`
}

// EventType implements [Fact].
func (MediaWritten) EventType() string { return "media.written" }

// EventType implements [Fact].
func (MediaRead) EventType() string { return "media.read" }
