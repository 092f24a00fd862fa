package console

import (
	"net/url"
	"slices"
	"time"

	"sallyport/domain"
)

// siteStats is what a site holds, as GET /admin/stats tells it.
type siteStats struct {
	Users struct {
		Total  int `json:"total"`
		Active int `json:"active"`
	} `json:"users"`
	Requests struct {
		Total    int            `json:"total"`
		ByStatus map[string]int `json:"by_status"`
	} `json:"requests"`
	Queue  map[string]int `json:"queue"`
	Oldest *time.Time     `json:"queue_oldest"`
	Work   struct {
		Open    int        `json:"open"`
		Claimed int        `json:"claimed"`
		Oldest  *time.Time `json:"oldest"`
	} `json:"work"`
	Cache cacheStats `json:"cache"`
}

// cacheStats is the cache at a glance.
type cacheStats struct {
	Status   string  `json:"status"`
	Backend  string  `json:"backend"`
	Keys     int     `json:"total_keys"`
	Answers  int     `json:"response_cache_keys"`
	Results  int     `json:"result_cache_keys"`
	Memory   string  `json:"used_memory_human"`
	Clients  int     `json:"connected_clients"`
	HitRatio float64 `json:"hit_ratio"`
}

// Percent is how often the cache had the answer.
func (c cacheStats) Percent() int { return int(c.HitRatio*100 + 0.5) }

// siteLink is a link at a glance, and what to do about it.
type siteLink struct {
	Peer        string     `json:"peer"`
	Missing     []int      `json:"missing"`
	PeerMissing []int      `json:"peer_missing"`
	Quarantined int        `json:"quarantined_in_all"`
	LastContact *time.Time `json:"last_contact"`
	LastWritten *time.Time `json:"last_written"`
	Stopped     *string    `json:"stopped"`
	Next        string     `json:"next_code"`
}

// series is requests over time.
type series struct {
	Step  string `json:"step"`
	Items []span `json:"items"`
}

type span struct {
	From     time.Time      `json:"from"`
	Total    int            `json:"total"`
	ByStatus map[string]int `json:"by_status"`
	Answered *took          `json:"answered_in"`
	Crossed  *took          `json:"crossed_in"`
}

// took is how long something took.
type took struct {
	HalfMS int `json:"half_ms"`
	MostMS int `json:"nine_tenths_ms"`
	Of     int `json:"of"`
}

// Half is how long half of them took at most, and Most nine of ten.
func (t took) Half() lasting { return lastingMS(t.HalfMS) }

// Most is said above.
func (t took) Most() lasting { return lastingMS(t.MostMS) }

// lasting is how long something is, in the unit in which people say it: a
// message lasting.UNIT.
type lasting struct {
	Unit string
	N    float64
}

// lastingUnits are those that are said, each as long as it is the handiest.
var lastingUnits = []struct {
	name string
	is   time.Duration
	till time.Duration // zero: for ever
}{{"seconds", time.Second, 2 * time.Minute}, {"minutes", time.Minute, 2 * time.Hour}, {"hours", time.Hour, 48 * time.Hour}, {"days", 24 * time.Hour, 0}}

func lastingMS(ms int) lasting {
	d := time.Duration(ms) * time.Millisecond
	for _, u := range lastingUnits {
		if u.till == 0 || d < u.till {
			return lasting{u.name, float64(d*10/u.is) / 10}
		}
	}
	return lasting{}
}

// chart is what chart.js draws.
type chart struct {
	Bars  bool         `json:"bars"`
	Times []int64      `json:"times"`
	Lines []chartLines `json:"lines"`
}

type chartLines struct {
	Key    string     `json:"key"`
	Label  string     `json:"label"`
	Values []*float64 `json:"values"`
}

// trouble is an open problem: a message trouble.KEY, and the page where it is
// settled.
type trouble struct {
	Key, URL, Of string
	N            int
}

type dashboard struct {
	Stats    siteStats
	Links    []siteLink
	Troubles []trouble
	Series   series
	Spans    []string // that can be chosen
	Span     string
	Statuses []string
	Counts   chart
	Took     chart
	Asked    int            // requests within the span
	ByStatus map[string]int // of these
	Last     *span
	Now      time.Time
}

// spans are how far back the dashboard looks, with the step that is drawn.
var spans = []struct {
	name, step string
	back       time.Duration
}{{"hour", "minute", time.Hour}, {"day", "hour", 24 * time.Hour}, {"month", "day", 30 * 24 * time.Hour}}

func showDashboard(v *visit) error {
	d := dashboard{Statuses: statuses, ByStatus: map[string]int{}, Now: v.console.Now()}
	chosen := spans[1]
	for _, s := range spans {
		d.Spans = append(d.Spans, s.name)
		if s.name == v.r.URL.Query().Get("span") {
			chosen = s
		}
	}
	d.Span = chosen.name
	if err := v.get("/admin/stats", &d.Stats); err != nil {
		return err
	}
	var links list[siteLink]
	if err := v.get("/admin/links", &links); err != nil {
		return err
	}
	d.Links = links.Items
	since := url.QueryEscape(d.Now.Add(-chosen.back).UTC().Format(time.RFC3339))
	if err := v.get("/admin/stats/series?step="+chosen.step+"&from="+since, &d.Series); err != nil {
		return err
	}
	d.draw(v)
	var err error
	d.Troubles, err = v.troubles(d)
	if err != nil {
		return err
	}
	return v.show(d)
}

// Waiting is how many jobs wait to be worked on, of which the oldest is told.
func (d dashboard) Waiting() int { return d.Stats.Queue["available"] + d.Stats.Queue["retryable"] }

// OldestFor is for how long the oldest of them has waited.
func (d dashboard) OldestFor() lasting {
	if d.Stats.Oldest == nil {
		return lasting{}
	}
	return lastingMS(int(max(d.Now.Sub(*d.Stats.Oldest), 0) / time.Millisecond))
}

// draw makes the charts of a dashboard's series.
func (d *dashboard) draw(v *visit) {
	d.Counts, d.Took = chart{Bars: true}, chart{}
	times := map[string][]*float64{}
	for i, s := range d.Series.Items {
		d.Counts.Times = append(d.Counts.Times, s.From.Unix())
		d.Asked += s.Total
		if s.Answered != nil {
			d.Last = &d.Series.Items[i]
		}
		times["answered"] = append(times["answered"], secondsOf(s.Answered))
		times["crossed"] = append(times["crossed"], secondsOf(s.Crossed))
	}
	d.Took.Times = d.Counts.Times
	for _, status := range statuses {
		line := chartLines{Key: status, Label: string(v.T("status." + status))}
		for _, s := range d.Series.Items {
			n := float64(s.ByStatus[status])
			d.ByStatus[status] += s.ByStatus[status]
			line.Values = append(line.Values, &n)
		}
		d.Counts.Lines = append(d.Counts.Lines, line)
	}
	for _, key := range []string{"answered", "crossed"} {
		d.Took.Lines = append(d.Took.Lines, chartLines{Key: key, Label: string(v.T("took." + key)), Values: times[key]})
	}
}

func secondsOf(t *took) *float64 {
	if t == nil {
		return nil
	}
	s := float64(t.HalfMS) / 1000
	return &s
}

// workIsOld is how long analysts may have a request before it is a problem: as
// long as the alert SallyportWorkWaits waits.
const workIsOld = 24 * time.Hour

// troubles are what somebody should see to, the worst first.
func (v *visit) troubles(d dashboard) (all []trouble, _ error) {
	if v.user.Role == domain.RoleAdmin {
		var h health
		if err := v.get("/health/detailed", &h); err != nil {
			return nil, err
		}
		for _, c := range h.checks() {
			if c.Says != "ok" {
				all = append(all, trouble{Key: "health", URL: "health", Of: string(v.T("check." + c.Name))})
			}
		}
	}
	for i, l := range d.Links {
		switch {
		case l.Stopped != nil:
			all = append(all, trouble{Key: "stopped", URL: "links", Of: l.Peer})
		case len(l.Missing) > 0:
			all = append(all, trouble{Key: "missing", URL: "links", Of: l.Peer, N: len(l.Missing)})
		}
		if l.Quarantined > 0 && i == 0 {
			all = append(all, trouble{Key: "quarantine", URL: "quarantine", N: l.Quarantined})
		}
	}
	var poison list[struct {
		ID int `json:"id"`
	}]
	if err := v.get("/admin/poison?limit=100", &poison); err != nil {
		return nil, err
	}
	if n := len(poison.Items); n > 0 {
		all = append(all, trouble{Key: "poison", URL: "poison", N: n})
	}
	if n := d.Stats.Queue["discarded"]; n > 0 {
		all = append(all, trouble{Key: "discarded", URL: "queue?state=discarded", N: n})
	}
	if w := d.Stats.Work; w.Oldest != nil && v.console.Now().Sub(*w.Oldest) > workIsOld {
		all = append(all, trouble{Key: "work", URL: "all-requests?status=processing", N: w.Open + w.Claimed})
	}
	if d.Stats.Cache.Status != "ok" {
		all = append(all, trouble{Key: "cache", URL: "cache"})
	}
	return slices.Clip(all), nil
}
