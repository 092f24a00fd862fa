package bridge

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"sallyport/bridge/bundle"
	"sallyport/domain"
)

// Status is one link at a glance.
type Status struct {
	Peer string      `json:"peer"`
	Role domain.Role `json:"role"`
	// How far the peer has got with our log: positions, and bundles' numbers.
	ExportedThrough int64 `json:"exported_through"`
	ExportedSeq     int64 `json:"exported_seq"`
	AckedThrough    int64 `json:"acked_through"`
	AckedSeq        int64 `json:"acked_seq"`
	// PeerMissing and PeerRejected are the numbers of ours that the peer asks for
	// or has refused, as it last said.
	PeerMissing  []int64            `json:"peer_missing"`
	PeerRejected []bundle.Rejection `json:"peer_rejected"`
	// PeerUnread are the versions of events that wait for the peer and that it does
	// not read, as it last said: it must be upgraded.
	PeerUnread []string `json:"peer_unread"`
	// How far this site has got with the peer's log.
	AppliedThrough int64              `json:"applied_through"`
	AppliedSeq     int64              `json:"applied_seq"`
	Missing        []int64            `json:"missing"`
	Held           []int64            `json:"held"`
	Rejected       []bundle.Rejection `json:"rejected"`
	// Quarantined counts the refused files of this link that nobody has decided
	// about; QuarantinedInAll those of all links and of no known sender.
	Quarantined      int `json:"quarantined"`
	QuarantinedInAll int `json:"quarantined_in_all"`
	// Carry are the files in the outbox that must be carried to the peer, in the
	// order of their numbers, and CarrySince tells since when the first lies there.
	Carry      []Outgoing `json:"carry"`
	CarrySince *string    `json:"carry_since"`
	// Prunable counts the other files for the peer in the outbox: it has them, or
	// something newer has overtaken them.
	Prunable int `json:"prunable"`
	// When something was last written for the peer, and when it was last heard.
	LastWritten *string `json:"last_written"`
	LastContact *string `json:"last_contact"`
	Stopped     *string `json:"stopped"`
	// ReadOnly is why this site as a whole writes nothing.
	ReadOnly *string `json:"read_only"`
	// NextAction says what to do next, and NextCode which of the cases of next that
	// is, for those who say it in another language.
	NextAction string `json:"next_action"`
	NextCode   string `json:"next_code"`
}

// Status returns all links at a glance, by name.
func (b *Bridge) Status(ctx context.Context) ([]Status, error) {
	links, err := b.Links(ctx)
	if err != nil {
		return nil, err
	}
	outbox, err := b.outbox(ctx, links)
	if err != nil {
		return nil, err
	}
	head, err := b.Log.Head(ctx)
	if err != nil {
		return nil, err
	}
	all := make([]Status, 0, len(links))
	for _, l := range links {
		s, err := b.status(ctx, l, outbox[l.Card.Name])
		if err != nil {
			return nil, err
		}
		if head.ReadOnly != "" {
			s.ReadOnly, s.NextCode, s.NextAction = &head.ReadOnly, "return", nextReadOnly(head, l.Card.Name, len(s.Carry))
		}
		all = append(all, s)
	}
	return all, nil
}

func (b *Bridge) status(ctx context.Context, l Link, outbox []Outgoing) (Status, error) {
	t, err := b.telling(ctx, b.Pool, l)
	if err != nil {
		return Status{}, err
	}
	carry := mustGo(outbox)
	s := Status{Peer: l.Card.Name, Role: l.Card.Role,
		ExportedThrough: l.Out.Through, ExportedSeq: l.Out.Seq, AckedThrough: l.Out.AckedThrough, AckedSeq: l.Out.AckedSeq,
		PeerMissing: orEmpty(l.Out.Missing), PeerRejected: orEmpty(l.Out.Rejected),
		AppliedThrough: l.In.Through, AppliedSeq: l.In.Seq, Missing: t.Missing, Rejected: t.Rejected,
		Carry: orEmpty(carry), Prunable: len(outbox) - len(carry), LastContact: display(l.LastContact), LastWritten: display(l.LastWritten)}
	if s.Held, err = heldNumbers(ctx, b.Pool, l); err != nil {
		return Status{}, err
	}
	err = b.Pool.QueryRow(ctx, `SELECT count(*) FILTER (WHERE peer = $1), count(*) FROM quarantined_files WHERE decided = ''`, l.Card.Name).
		Scan(&s.Quarantined, &s.QuarantinedInAll)
	if err != nil {
		return Status{}, fmt.Errorf("count the refused files of %s: %w", l.Card.Name, err)
	}
	if s.PeerUnread, err = b.unread(ctx, l); err != nil {
		return Status{}, err
	}
	if len(carry) > 0 {
		s.CarrySince = &carry[0].Since
	}
	if l.Stopped != "" {
		s.Stopped = &l.Stopped
	}
	s.NextCode, s.NextAction = s.next(l)
	return s, nil
}

func orEmpty[T any](list []T) []T {
	if list == nil {
		return []T{}
	}
	return list
}

func display(t *time.Time) *string {
	if t == nil {
		return nil
	}
	s := bundle.FormatTime(*t)
	return &s
}

// next says in one sentence what to do, the most urgent first.
func (s Status) next(l Link) (code, sentence string) {
	switch {
	case s.Stopped != nil && slices.ContainsFunc(s.PeerRejected, forGood):
		return "settle-refusal", fmt.Sprintf("ask %s what it refused, then let two people decide: `sallyport link withhold %s POSITION`; or, if it was settled there: `sallyport link resume %s`", s.Peer, s.Peer, s.Peer)
	case s.Stopped != nil:
		return "settle-stop", fmt.Sprintf("talk to the people of %s; when it is settled: `sallyport link resume %s`", s.Peer, s.Peer)
	case s.NeedsUpgrade():
		return "upgrade", fmt.Sprintf("upgrade sallyport here: %s sends what this one cannot read yet; it is kept and applied afterwards", s.Peer)
	case len(s.PeerUnread) > 0:
		return "upgrade-peer", fmt.Sprintf("%s must be upgraded first: it does not understand %s; what is carried there meanwhile is kept and applied afterwards", s.Peer, spoken(s.PeerUnread))
	case len(s.Carry) > 0 && s.media() != "":
		return "bring-medium", fmt.Sprintf("bring %s to %s: what must be carried is on it", s.media(), s.Peer)
	case len(s.Carry) > 0:
		return "carry", fmt.Sprintf("carry %s to %s: copy from outbox/ here into inbox/ there", count(len(s.Carry), "file"), s.Peer)
	case len(s.Missing) > 0 || len(s.Rejected) > 0:
		return "fetch-again", fmt.Sprintf("bring what lies in the outbox of %s: bundle %s was asked for and is made again there", s.Peer, Runs(s.wanted()))
	case l.Unacknowledged():
		return "fetch", fmt.Sprintf("bring what lies in the outbox of %s: it has not acknowledged %s yet", s.Peer, count(int(l.Out.Seq-l.Out.AckedSeq), "bundle"))
	case s.Quarantined > 0:
		return "decide", fmt.Sprintf("decide about %s in quarantine: `sallyport quarantine list`", count(s.Quarantined, "file"))
	default:
		return "nothing", "nothing to carry"
	}
}

// media names the media that hold all that must be carried; empty if something
// is on none.
func (s Status) media() string {
	var serials []string
	for _, f := range s.Carry {
		if f.Medium == "" {
			return ""
		}
		serials = append(serials, fmt.Sprintf("medium %q", f.Medium))
	}
	slices.Sort(serials)
	return strings.Join(slices.Compact(serials), " and ")
}

// NeedsUpgrade reports whether the peer sends what this site cannot read.
func (s Status) NeedsUpgrade() bool {
	return slices.ContainsFunc(s.Rejected, func(r bundle.Rejection) bool { return r.Code == bundle.Upgrade })
}

// forGood reports whether making the bundle again does not help.
func forGood(r bundle.Rejection) bool {
	return r.Code != bundle.Damaged && r.Code != bundle.Incomplete && r.Code != bundle.Upgrade
}

// wanted are the numbers of the peer that this site waits for.
func (s Status) wanted() []int64 {
	wanted := slices.Clone(s.Missing)
	for _, r := range s.Rejected {
		wanted = append(wanted, r.Seq)
	}
	slices.Sort(wanted)
	return wanted
}

func count(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

// Runs writes ascending numbers for people, runs as first-last, the first few of them.
func Runs(numbers []int64) string {
	const most = 5
	var parts []string
	for i := 0; i < len(numbers); {
		j := i
		for j+1 < len(numbers) && numbers[j+1] == numbers[j]+1 {
			j++
		}
		if len(parts) == most {
			return strings.Join(parts, ", ") + fmt.Sprintf(" and %d more", len(numbers)-i)
		}
		part := fmt.Sprint(numbers[i])
		if j > i {
			part += fmt.Sprintf("-%d", numbers[j])
		}
		parts, i = append(parts, part), j+1
	}
	return strings.Join(parts, ", ")
}

// Crossing is how far a link has got, for those who wait for an answer.
type Crossing struct {
	Peer            string
	ExportedThrough int64
	AckedThrough    int64
	LastContact     *time.Time
}

// Crossings returns how far this site's own log has got with each peer.
func (b *Bridge) Crossings(ctx context.Context) ([]Crossing, error) {
	rows, err := b.Pool.Query(ctx, `SELECT peer, exported_through, acked_through, last_contact FROM links WHERE removed_at IS NULL ORDER BY peer`)
	if err != nil {
		return nil, fmt.Errorf("read how far the links have got: %w", err)
	}
	return pgx.CollectRows(rows, pgx.RowToStructByPos[Crossing])
}
