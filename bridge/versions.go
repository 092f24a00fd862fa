package bridge

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"sallyport/domain"
)

// AgreeVersions has the log write in versions that every program reads which is
// connected to its database, and what may cross in versions that every peer reads,
// as it last said. A peer that was never heard is taken to read the first
// version of each type alone. What is written already stays as it is, and a peer
// that does not read it keeps it until it is upgraded, see [Status].
//
// A bridge does this by itself whenever a peer says something new, and at every
// turn while it runs; see [Bridge.KeepVersions] for a process whose bridge does not
// run. Who opens a site only to write does it once.
func (b *Bridge) AgreeVersions(ctx context.Context) error {
	links, err := b.Links(ctx)
	if err == nil {
		err = b.agree(ctx, links)
	}
	return err
}

// lookForPrograms is how often a process whose bridge does not run looks who else is
// connected; one whose bridge exports more often looks as often as that.
const lookForPrograms = 5 * time.Second

// KeepVersions is [Bridge.AgreeVersions] again and again until ctx ends, for a
// process that writes and whose bridge does not run: so it too notices within
// seconds that the last older program has ended, or that one has come back.
func (b *Bridge) KeepVersions(ctx context.Context) error {
	tick := time.NewTicker(min(b.ExportEvery, lookForPrograms))
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
			if err := b.AgreeVersions(ctx); err != nil {
				b.complain(ctx, "it is not known which versions of events may be written; it stays as it was", err)
			}
		}
	}
}

func (b *Bridge) agree(ctx context.Context, links []Link) error {
	oldest, err := b.Log.OldestProgram(ctx)
	if err != nil {
		return err
	}
	older := map[string]int{}
	for _, k := range domain.Catalogue() {
		if k.Schema == 1 {
			continue
		}
		older[k.Type] = k.ReadBy(oldest)
		for k.MayLeave(b.Log.Role()) && older[k.Type] > 1 && slices.ContainsFunc(links, func(l Link) bool { return !l.reads(k.Type, older[k.Type]) }) {
			older[k.Type]--
		}
	}
	b.Log.WriteAs(older)
	return nil
}

// reads reports whether the peer has said that it reads a version.
func (l Link) reads(eventType string, version int) bool {
	return slices.Contains(l.PeerUnderstands, versionName(eventType, version))
}

// versionName is how acks name a version.
func versionName(eventType string, version int) string {
	return eventType + ".v" + strconv.Itoa(version)
}

// The types and versions are few, and each is looked for only until it is found.
const selectUnread = `
	SELECT v.type, v.version FROM unnest($3::text[], $4::int[]) AS v(type, version)
	WHERE EXISTS (SELECT FROM events AS e WHERE e.origin = $1 AND e.pos > $2 AND e.type = v.type
	              AND (e.line::json->>'schema')::int = v.version)
	ORDER BY v.type, v.version`

// unread returns the versions of events that wait for a peer, sent or not, and
// that it does not read, as it last said; none of a peer that was never heard.
func (b *Bridge) unread(ctx context.Context, l Link) ([]string, error) {
	unread := []string{}
	if len(l.PeerUnderstands) == 0 {
		return unread, nil
	}
	var types []string
	var versions []int
	for _, k := range domain.Catalogue() {
		for v := 1; v <= k.Schema && k.MayLeave(b.Log.Role()); v++ {
			if !l.reads(k.Type, v) {
				types, versions = append(types, k.Type), append(versions, v)
			}
		}
	}
	if len(types) == 0 {
		return unread, nil
	}
	rows, err := b.Pool.Query(ctx, selectUnread, b.Log.Site(), l.Out.AckedThrough, types, versions)
	if err == nil {
		unread, err = pgx.AppendRows(unread, rows, func(row pgx.CollectableRow) (string, error) {
			var eventType string
			var version int
			err := row.Scan(&eventType, &version)
			return versionName(eventType, version), err
		})
	}
	if err != nil {
		return nil, fmt.Errorf("look for events that %s does not read: %w", l.Card.Name, err)
	}
	return unread, nil
}

// spoken writes names of versions as `user.access_granted v2`, the first few
// of them.
func spoken(versions []string) string {
	const most = 3
	var words []string
	for _, v := range versions[:min(len(versions), most)] {
		i := strings.LastIndex(v, ".v")
		words = append(words, v[:i]+" "+v[i+1:])
	}
	if more := len(versions) - most; more > 0 {
		words = append(words, fmt.Sprintf("%d more", more))
	}
	return strings.Join(words, ", ")
}
