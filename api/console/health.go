package console

import "time"

// health is how a site is, part by part.
type health struct {
	Status   string            `json:"status"`
	Checks   map[string]string `json:"checks"`
	Version  string            `json:"version"`
	Go       string            `json:"go"`
	Started  time.Time         `json:"started_at"`
	Postgres *struct {
		Version   string `json:"version"`
		Migration int    `json:"migration"`
		Pending   int    `json:"migrations_pending"`
		InUse     int    `json:"connections_in_use"`
		Idle      int    `json:"connections_idle"`
		Max       int    `json:"connections_max"`
		TookMS    int    `json:"took_ms"`
	} `json:"postgresql"`
	Log *struct {
		Epoch    string  `json:"epoch"`
		Position int     `json:"position"`
		Seq      int     `json:"seq"`
		ReadOnly *string `json:"read_only"`
	} `json:"log"`
	Redis *struct {
		Answers bool `json:"answers"`
	} `json:"redis"`
	Disk *struct {
		Free  int `json:"free_bytes"`
		Total int `json:"total_bytes"`
	} `json:"disk"`
}

// check is one part of a site, and what is said of it: ok, or what is not.
type check struct{ Name, Says string }

// checkNames are the parts that are looked at, in the order of their weight.
var checkNames = []string{"process", "postgresql", "migrations", "log", "disk", "cache"}

// siteStates are how a site can be as a whole.
var siteStates = []string{"ready", "degraded", "down"}

func (h health) checks() (all []check) {
	for _, name := range checkNames {
		if says, is := h.Checks[name]; is {
			all = append(all, check{name, says})
		}
	}
	return all
}

type healthPage struct {
	health
	All      []check
	FreeGiB  float64
	TotalGiB float64
}

func showHealth(v *visit) error {
	var p healthPage
	if err := v.get("/health/detailed", &p.health); err != nil {
		return err
	}
	p.All = p.checks()
	if d := p.Disk; d != nil {
		p.FreeGiB, p.TotalGiB = gib(d.Free), gib(d.Total)
	}
	return v.show(p)
}

// gib is a number of bytes for people.
func gib(bytes int) float64 { return float64(bytes*10>>30) / 10 }
