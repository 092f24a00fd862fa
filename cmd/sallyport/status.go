package main

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/dustin/go-humanize"
	"github.com/mitchellh/go-wordwrap"
	"github.com/spf13/cobra"

	"sallyport/bridge"
	"sallyport/bridge/bundle"
	"sallyport/eventstore"
	"sallyport/internal/boot"
)

func (p *program) linkStatus() *cobra.Command {
	var check bool
	cmd := &cobra.Command{
		Use: "status", Short: "Say for each link how far it has got and what to do next", Args: cobra.NoArgs,
		Long: `Say for each link what to do next, what to carry, how far each side has got, what is
missing, held or refused and what becomes of it by itself.

With --check, for scripts: exit code 16 if the site is read-only or a link stopped, else 17 if this program is
too old for what arrived, else 12 if a bundle is missing on either side, else 0. Bundles that are merely on their way are not missing.`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return p.withSite(cmd.Context(), func(s *boot.Site) error {
				links, err := s.Bridge.Status(cmd.Context())
				if err != nil {
					return err
				}
				err = p.print(links, func(w io.Writer) { printStatus(w, s.Config.Site, time.Now(), links) })
				if err != nil || !check {
					return err
				}
				return checkLinks(links)
			})
		},
	}
	cmd.Flags().BoolVar(&check, "check", false, "tell by the exit code whether a link is stopped (16), needs an upgrade here (17) or misses bundles (12)")
	return cmd
}

// checkLinks returns an error with an exit code of its own for what needs
// attention, that of stopped links before others.
func checkLinks(links []bridge.Status) error {
	var gap, old error
	for _, l := range links {
		switch {
		case l.ReadOnly != nil:
			return &eventstore.ReadOnlyError{Reason: *l.ReadOnly}
		case l.Stopped != nil:
			return fmt.Errorf("%w (%s): %s; next: %s", bridge.ErrStopped, l.Peer, *l.Stopped, l.NextAction)
		case l.NeedsUpgrade():
			old = fmt.Errorf("the link to %s: %w", l.Peer, &bundle.Error{Code: bundle.Upgrade, Msg: l.NextAction})
		case gap == nil && len(l.Missing)+len(l.Rejected)+len(l.PeerMissing)+len(l.PeerRejected) > 0:
			gap = fmt.Errorf("the link to %s: %w; next: %s", l.Peer, &bundle.Error{Code: bundle.Gap, Msg: "bundles are missing"}, l.NextAction)
		}
	}
	return cmp.Or(old, gap)
}

const (
	screenWidth = 80
	labelWidth  = 15 // of the words at the left, with their indent
)

// screen writes what people read at a glance: words at the left, what there is
// to say at their right, within the width.
type screen struct{ io.Writer }

// row says something under a word. It is left out where there is nothing to say.
func (s screen) row(word, text string) {
	if text == "" {
		return
	}
	for i, line := range wrapped(text, screenWidth-labelWidth) {
		if i > 0 {
			word = ""
		}
		fmt.Fprintf(s, "  %-*s%s\n", labelWidth-2, word, line)
	}
}

func wrapped(text string, width uint) []string {
	return strings.Split(wordwrap.WrapString(text, width), "\n")
}

func printStatus(w io.Writer, site string, now time.Time, links []bridge.Status) {
	s := screen{w}
	if len(links) == 0 {
		fmt.Fprintln(s, "no links yet: exchange site cards, then `sallyport link add CARD`")
		return
	}
	fmt.Fprintf(s, "%s at %s\n", site, utc(now))
	if why := links[0].ReadOnly; why != nil {
		s.row("READ-ONLY", *why)
	}
	for _, l := range links {
		s.link(now, l)
	}
	if unknown := unknownFiles(links); unknown > 0 {
		fmt.Fprintf(s, "\n%s in quarantine of no known sender: `sallyport quarantine list`\n", files(unknown))
	}
}

func (s screen) link(now time.Time, l bridge.Status) {
	fmt.Fprintf(s, "\n%s (%s site)\n", l.Peer, l.Role)
	if l.Stopped != nil {
		fmt.Fprintf(s, "  !!! STOPPED: nothing is sent to it and nothing of it is applied !!!\n")
		s.row("why", *l.Stopped)
	}
	s.row("next", l.NextAction)
	s.carry(now, l)
	s.row("sent", sent(l))
	s.row("received", received(l))
	s.row("missing", missing(l))
	s.row("held", held(l))
	for _, r := range l.Rejected {
		s.row("refused", fmt.Sprintf("bundle %d (%s): %s", r.Seq, r.Code, becomesHere(r.Code, l.Peer)))
	}
	if len(l.PeerMissing) > 0 {
		s.row("it misses", numbers(l.PeerMissing)+": made again here by itself, under the same number")
	}
	for _, r := range l.PeerRejected {
		s.row("it refused", fmt.Sprintf("bundle %d (%s): %s", r.Seq, r.Code, becomesThere(r.Code, l.Peer)))
	}
	for _, v := range l.PeerUnread {
		s.row("unread there", v+": kept there, and applied by itself when it was upgraded")
	}
	if l.Quarantined > 0 {
		s.row("quarantine", files(l.Quarantined)+" to decide about: `sallyport quarantine list`")
	}
	s.row("last heard", ago(now, l.LastContact, "never"))
	s.row("last wrote", ago(now, l.LastWritten, "never"))
}

// carry lists the files to carry, each on a line that fits.
func (s screen) carry(now time.Time, l bridge.Status) {
	const most = 10
	for i, f := range l.Carry {
		word := ""
		if i == 0 {
			word = "to carry"
		}
		if i == most {
			s.row("", fmt.Sprintf("and %s more, see -o json", files(len(l.Carry)-most)))
			break
		}
		fmt.Fprintf(s, "  %-*s%s\n", labelWidth-2, word, f.File)
		kind := fmt.Sprintf("bundle %d", f.Seq)
		if f.Beacon {
			kind = "a beacon"
		}
		s.row("", fmt.Sprintf("  %s, %s, since %s", kind, size(f.Bytes), ago(now, &f.Since, "")))
		if f.Medium != "" {
			s.row("", fmt.Sprintf("  on medium %q", f.Medium))
		}
	}
	if l.Prunable > 0 {
		s.row("not to carry", files(l.Prunable)+" in outbox/: `sallyport bundle prune` removes them")
	}
}

func sent(l bridge.Status) string {
	switch {
	case l.ExportedSeq == 0:
		return "nothing yet"
	case l.AckedThrough >= l.ExportedThrough:
		return fmt.Sprintf("through bundle %d (position %d), all applied there", l.ExportedSeq, l.ExportedThrough)
	case l.AckedThrough == 0:
		return fmt.Sprintf("through bundle %d (position %d), nothing known to be applied there yet", l.ExportedSeq, l.ExportedThrough)
	}
	return fmt.Sprintf("through bundle %d (position %d), known to be applied there: through bundle %d (position %d)",
		l.ExportedSeq, l.ExportedThrough, l.AckedSeq, l.AckedThrough)
}

func received(l bridge.Status) string {
	if l.AppliedThrough == 0 {
		return "nothing yet"
	}
	return fmt.Sprintf("through bundle %d (position %d), all applied here", l.AppliedSeq, l.AppliedThrough)
}

func missing(l bridge.Status) string {
	if len(l.Missing) == 0 {
		return ""
	}
	return fmt.Sprintf("%s: either still on its way, or lost; the next file to %s asks for it, and it is made again there", numbers(l.Missing), l.Peer)
}

// held leaves out what waits for an upgrade: that is among the refused.
func held(l bridge.Status) string {
	waiting := slices.DeleteFunc(slices.Clone(l.Held), func(n int64) bool {
		return slices.ContainsFunc(l.Rejected, func(r bundle.Rejection) bool { return r.Seq == n })
	})
	switch {
	case len(waiting) == 0:
		return ""
	case l.Stopped != nil:
		return fmt.Sprintf("%s: kept until the link goes on", numbers(waiting))
	}
	return fmt.Sprintf("%s: kept, and applied by itself when what is missing before it has come", numbers(waiting))
}

// becomesHere says what becomes of a bundle that this site refused.
func becomesHere(c bundle.Code, peer string) string {
	switch c {
	case bundle.Damaged, bundle.Incomplete:
		return fmt.Sprintf("the next file to %s asks for it, and it is made again there; a good copy does as well", peer)
	case bundle.Upgrade:
		return "kept, and applied by itself when this site was upgraded"
	default:
		return "people must look at it: `sallyport quarantine list`"
	}
}

// becomesThere says what becomes of a bundle of ours that the peer refused.
func becomesThere(c bundle.Code, peer string) string {
	switch c {
	case bundle.Damaged, bundle.Incomplete:
		return "made again here by itself, under the same number"
	case bundle.Upgrade:
		return fmt.Sprintf("%s keeps it and must be upgraded", peer)
	default:
		return fmt.Sprintf("ask %s for the position, then two people: `sallyport link withhold %s POSITION`", peer, peer)
	}
}

// unknownFiles counts the refused files that belong to none of the links.
func unknownFiles(links []bridge.Status) int {
	n := links[0].QuarantinedInAll
	for _, l := range links {
		n -= l.Quarantined
	}
	return n
}

// numbers writes bundles' numbers for people.
func numbers(all []int64) string {
	word := "bundle "
	if len(all) > 1 {
		word = "bundles "
	}
	return word + bridge.Runs(all)
}

// counted writes how many there are of something.
func counted[N int | int64](n N, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

func bundles(n int64) string { return counted(n, "bundle") }

func files(n int) string { return counted(n, "file") }

func size(n int64) string { return humanize.Bytes(uint64(max(n, 0))) } //nolint:gosec // not negative

// utc writes a time as people read it. Clocks of other sites are never shown as truth.
func utc(t time.Time) string { return t.UTC().Format("2006-01-02 15:04 UTC") }

func ago(now time.Time, at *string, never string) string {
	if at == nil {
		return never
	}
	t, err := time.Parse(time.RFC3339Nano, *at)
	if err != nil {
		return *at
	}
	return fmt.Sprintf("%s (%s)", utc(t), humanize.RelTime(t, now, "ago", "from now"))
}
