package console

// listedBundle is a bundle as GET /admin/bundles lists it.
type listedBundle struct {
	Direction string `json:"direction"`
	Peer      string `json:"peer"`
	Epoch     string `json:"epoch"`
	Seq       int64  `json:"seq"`
	ID        string `json:"id"`
	File      string `json:"file"`
	State     string `json:"state"`
	Reason    string `json:"reason"`
	Since     string `json:"since"`
}

// bundleStates are those that a bundle can have: going out, then coming in.
var bundleStates = []string{"planned", "exported", "acknowledged", "verified", "held", "applied", "archived"}

var directions = []string{"in", "out"}

// bundleList is what operators choose from.
type bundleList struct {
	browse[listedBundle]
	States, Directions []string
	Peers              []link
}

func showBundles(v *visit) error {
	l := bundleList{States: bundleStates, Directions: directions}
	var err error
	if l.Peers, err = v.links(); err != nil {
		return err
	}
	if err := l.through(v, "/admin/bundles", "25", "direction", "state", "peer"); err != nil {
		return v.again(l, err)
	}
	return v.show(l)
}

// bundle is one of them with what it covers and who carried it.
type bundle struct {
	listedBundle
	Kind     string     `json:"kind"`
	After    int64      `json:"after"`
	Through  int64      `json:"through"`
	Events   *int64     `json:"events"`
	Withheld *int64     `json:"withheld"`
	Bytes    int64      `json:"bytes"`
	BegunAt  string     `json:"begun_at"`
	EndedAt  *string    `json:"ended_at"`
	Operator string     `json:"operator"`
	Makings  int        `json:"makings"`
	Custody  []handling `json:"custody"`
}

// From is the first position of the log that it covers.
func (b bundle) From() int64 { return b.After + 1 }

// handling is one time that somebody had a medium in hand.
type handling struct {
	Seq        int64  `json:"seq"`
	At         string `json:"at"`
	Act        string `json:"act"`
	Operator   string `json:"operator"`
	Medium     string `json:"medium"`
	Serial     string `json:"serial"`
	SerialFrom string `json:"serial_from"`
	Bundles    []struct {
		File   string `json:"file"`
		ID     string `json:"id"`
		SHA256 string `json:"sha256"`
		Bytes  int64  `json:"bytes"`
	} `json:"bundles"`
}

func showBundle(v *visit) error {
	var b bundle
	if err := v.get("/admin/bundles/"+v.part("id"), &b); err != nil {
		return err
	}
	return v.show(b)
}

// passBundle hands on a bundle's file, by its id or by the file's name.
func passBundle(v *visit) error { return v.pass("/admin/bundles/"+v.part("id")+"/file", "") }

func showCustody(v *visit) error {
	var b browse[handling]
	if err := b.through(v, "/admin/custody", "25", "medium"); err != nil {
		return v.again(b, err)
	}
	return v.show(b)
}
