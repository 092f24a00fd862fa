package console

import (
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"sallyport/domain"
)

// ofOperators is what operators do on either site.
func ofOperators() []page {
	who := []domain.UserRole{domain.RoleOperator, domain.RoleAdmin}
	return []page{
		{key: "links", path: "links", roles: who, area: areaCross, show: showLinks},
		{key: "link", path: "links/{peer}", roles: who, show: showLink,
			acts: []act{{"links/{peer}/stop", sure("link.stop.confirm", changeLink)}, {"links/{peer}/resume", sure("link.resume.confirm", changeLink)}}},
		{key: "exchange", path: "exchange", roles: who, area: areaCross, show: showExchange, body: maxUpload,
			acts: []act{{"exchange/upload", upload}, {"exchange/import", importNow}, {"exchange/export", exportNow}}},
		{key: "bundles", path: "bundles", roles: who, area: areaCross, show: showBundles},
		{key: "bundle", path: "bundles/{id}", roles: who, show: showBundle},
		{key: "bundle-file", path: "bundles/{id}/file", roles: who, file: true, show: passBundle},
		{key: "quarantine", path: "quarantine", roles: who, area: areaCross, show: showQuarantine},
		{key: "refused", path: "quarantine/{id}", roles: who, show: showRefused,
			acts: []act{{"quarantine/{id}/release", decideRefused}, {"quarantine/{id}/reject", sure("quarantine.reject.confirm", decideRefused)}}},
		{key: "custody", path: "custody", roles: who, area: areaCross, show: showCustody},
		{key: "schedules", path: "schedules", roles: who, area: areaCross, show: showSchedules,
			acts: []act{{"schedules/{job}/run", runSchedule}}},
	}
}

// link is one link at a glance, as GET /admin/links tells it.
type link struct {
	Peer             string      `json:"peer"`
	Role             domain.Role `json:"role"`
	ExportedThrough  int64       `json:"exported_through"`
	ExportedSeq      int64       `json:"exported_seq"`
	AckedThrough     int64       `json:"acked_through"`
	AckedSeq         int64       `json:"acked_seq"`
	PeerMissing      numbers     `json:"peer_missing"`
	PeerRejected     []rejection `json:"peer_rejected"`
	AppliedThrough   int64       `json:"applied_through"`
	AppliedSeq       int64       `json:"applied_seq"`
	Missing          numbers     `json:"missing"`
	Held             numbers     `json:"held"`
	Rejected         []rejection `json:"rejected"`
	Quarantined      int         `json:"quarantined"`
	QuarantinedInAll int         `json:"quarantined_in_all"`
	Carry            []outgoing  `json:"carry"`
	CarrySince       *string     `json:"carry_since"`
	Prunable         int         `json:"prunable"`
	LastWritten      *string     `json:"last_written"`
	LastContact      *string     `json:"last_contact"`
	Stopped          *string     `json:"stopped"`
	ReadOnly         *string     `json:"read_only"`
	NextAction       string      `json:"next_action"`
	NextCode         string      `json:"next_code"`
}

type rejection struct {
	Seq  int64  `json:"seq"`
	Code string `json:"code"`
}

// outgoing is a file that must be carried.
type outgoing struct {
	File   string `json:"file"`
	Seq    int64  `json:"seq"`
	Beacon bool   `json:"beacon"`
	Bytes  int64  `json:"bytes"`
	Since  string `json:"since"`
	Medium string `json:"medium"`
}

// numbers are of bundles, ascending.
type numbers []int64

// String writes runs as first–last, the first few of them.
func (n numbers) String() string {
	const most = 6
	var parts []string
	for i := 0; i < len(n); {
		j := i
		for j+1 < len(n) && n[j+1] == n[j]+1 {
			j++
		}
		if len(parts) == most {
			return strings.Join(parts, ", ") + " …"
		}
		part := grouped(strconv.FormatInt(n[i], 10))
		if j > i {
			part += "–" + grouped(strconv.FormatInt(n[j], 10))
		}
		parts, i = append(parts, part), j+1
	}
	return strings.Join(parts, ", ")
}

// Wanted are the numbers of the peer that this site waits for.
func (l link) Wanted() numbers {
	wanted := slices.Clone(l.Missing)
	for _, r := range l.Rejected {
		wanted = append(wanted, r.Seq)
	}
	slices.Sort(wanted)
	return wanted
}

// Unacked counts the bundles that the peer has not acknowledged.
func (l link) Unacked() int64 { return l.ExportedSeq - l.AckedSeq }

// Media names the media that hold what must be carried.
func (l link) Media() string {
	var serials []string
	for _, f := range l.Carry {
		serials = append(serials, f.Medium)
	}
	slices.Sort(serials)
	return strings.Join(slices.Compact(serials), ", ")
}

// Sort is how urgent the link is: the colour of its chip.
func (l link) Sort() string {
	switch l.NextCode {
	case "nothing":
		return "good"
	case "fetch", "carry", "bring-medium":
		return "info"
	case "return", "settle-refusal", "settle-stop":
		return "bad"
	}
	return "warn"
}

func (v *visit) links() ([]link, error) {
	var all list[link]
	err := v.get("/admin/links?limit=1000", &all)
	return all.Items, err
}

func showLinks(v *visit) error {
	all, err := v.links()
	if err != nil {
		return err
	}
	return v.show(all)
}

func (v *visit) link() (link, error) {
	all, err := v.links()
	if err != nil {
		return link{}, err
	}
	peer := v.r.PathValue("peer")
	i := slices.IndexFunc(all, func(l link) bool { return l.Peer == peer })
	if i < 0 {
		return link{}, errNoPage
	}
	return all[i], nil
}

func showLink(v *visit) error {
	l, err := v.link()
	if err != nil {
		return err
	}
	return v.show(l)
}

// changeLink stops or resumes a link, as the last part of its path says.
func changeLink(v *visit) error {
	verb := v.r.URL.Path[strings.LastIndexByte(v.r.URL.Path, '/')+1:]
	_, err := v.send(http.MethodPost, "/admin/links/"+v.part("peer")+"/"+verb, map[string]string{"reason": v.form("reason")}, nil, nil)
	if err != nil {
		l, missing := v.link()
		if missing != nil {
			return missing
		}
		return v.again(l, err)
	}
	return v.done("links/"+url.PathEscape(v.r.PathValue("peer")), "link-"+verb)
}
