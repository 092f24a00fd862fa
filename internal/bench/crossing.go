package bench

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"strconv"
	"sync"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"sallyport/bridge"
	"sallyport/domain"
	"sallyport/eventstore"
	"sallyport/internal/boot"
	"sallyport/internal/dataset"
)

// crossing is two linked sites that nobody serves: a request site, whose
// bundles are plain, with a log to carry, and the response site to carry it to.
type crossing struct {
	from, to *boot.Site
	owner    *pgxpool.Pool // of the receiver's database, for the limits' tables
	dir      string
	links    int      // peers of from that exist as a card only
	due      []string // see [crossing.toCarry]
}

// cross returns the crossing of a name; the first who asks makes it, with so
// many bytes of lines in the sender's log.
func (r *rig) cross(ctx context.Context, name string, size int64, of params) (*crossing, error) {
	if c := r.crossing[name]; c != nil {
		return c, nil
	}
	from, err := openSite(ctx, r, name+"from", domain.RequestSite)
	if err != nil {
		return nil, err
	}
	to, err := openSite(ctx, r, name+"to", domain.ResponseSite)
	if err != nil {
		return nil, errors.Join(err, from.Close())
	}
	owner, err := eventstore.Pool(ctx, to.Config.Database.MigrateURL, 1)
	if err != nil {
		return nil, errors.Join(err, from.Close(), to.Close())
	}
	c := &crossing{from: from, to: to, owner: owner, dir: filepath.Join(r.dir, name)}
	if r.crossing == nil {
		r.crossing = map[string]*crossing{}
	}
	r.crossing[name] = c // from here on it is stopped with the rig
	if err := errors.Join(from.Bridge.AddLink(ctx, to.Bridge.Card(), actor), to.Bridge.AddLink(ctx, from.Bridge.Card(), actor)); err != nil {
		return nil, err
	}
	if size > 0 {
		r.config.Say("filling a log with %d MB", size/1_000_000)
	}
	for made, bytes := 0, int64(0); bytes < size; made += appended {
		n, err := c.submit(ctx, made, appended, of)
		if err != nil {
			return nil, fmt.Errorf("fill a log: %w", err)
		}
		bytes += n
	}
	return c, nil
}

// appended is how many requests are appended in one transaction.
const appended = 1000

// submit appends requests, numbered from first on, to the sender's log and
// returns how many bytes of lines they are.
func (c *crossing) submit(ctx context.Context, first, n int, of params) (size int64, err error) {
	a := eventstore.Append{Actor: actor}
	for i := range n {
		f, err := asked(first+i, of)
		if err != nil {
			return 0, err
		}
		a.Writes = append(a.Writes, eventstore.Write{Stream: domain.RequestStream(newID()), Facts: []domain.Fact{f}})
	}
	err = pgx.BeginFunc(ctx, c.from.Pool, func(tx pgx.Tx) error {
		records, err := c.from.Log.AppendTx(ctx, tx, a)
		for _, r := range records {
			size += int64(len(r.Line)) + 1
		}
		return err
	})
	return size, err
}

// params makes the parameters of the request of a number.
type params func(airports []dataset.Airport, i int) json.RawMessage

var airports = sync.OnceValues(dataset.Airports)

// asked is a request as users make them.
func asked(i int, of params) (f domain.RequestSubmitted, err error) {
	all, err := airports()
	if err != nil {
		return f, err
	}
	at := all[i*7%len(all)]
	return domain.RequestSubmitted{Type: "airports-in-country", TypeVersion: 1, User: newID(), Priority: 1 + i%10,
		Name: "Before the flight to " + at.City, IdempotencyKey: newID(), Params: of(all, i)}, nil
}

// usual are the parameters of a usual request.
func usual(airports []dataset.Airport, i int) json.RawMessage {
	at := airports[i%len(airports)]
	return fmt.Appendf(nil, `{"country":%q,"min_elevation_ft":%d}`, at.Country, at.ElevationFt)
}

// large are parameters of very different lengths, about 4 kB on the average
// and up to some 900 kB: what memory is measured with.
func large(airports []dataset.Airport, i int) json.RawMessage {
	rows := 20 + i*7919%40
	if i%appended == appended/2 {
		rows = 8000
	}
	text := []byte(`{"among":[`)
	for n := range rows {
		at := airports[(i*31+n)%len(airports)]
		if n > 0 {
			text = append(text, ',')
		}
		text = append(strconv.AppendQuoteToASCII(append(text, '['), at.IATA), ',')
		text = fmt.Appendf(strconv.AppendQuoteToASCII(text, at.TZ), `,%d,%v,%v,"%x"]`, at.ElevationFt, at.Lat, at.Lon, i*7919^n*104729)
	}
	return append(text, ']', '}')
}

// lines returns the sender's requests as a bundle carries them, each ended by LF.
func (c *crossing) lines(ctx context.Context) ([]byte, error) {
	var all []byte
	head, err := c.from.Log.Head(ctx)
	for after := int64(0); err == nil && after < head.Pos; {
		var page []eventstore.Line
		page, err = c.from.Log.ReadLines(ctx, c.from.Config.Site, after, head.Pos, eventstore.MaxPage)
		for _, l := range page {
			if after = l.Pos; l.Type == (domain.RequestSubmitted{}).EventType() {
				all = append(append(all, l.Bytes...), '\n')
			}
		}
	}
	return all, err
}

// addPeer links the sender to one more peer, to which nothing was exported
// yet: the whole log is due for it.
func (c *crossing) addPeer(ctx context.Context) (name string, err error) {
	c.links++
	name = "peer" + strconv.Itoa(c.links)
	keys, err := bridge.EnsureKeys(filepath.Join(c.dir, name))
	if err != nil {
		return "", err
	}
	card, err := keys.Card(name, domain.ResponseSite, fmt.Sprintf("%032x", c.links))
	if err != nil {
		return "", err
	}
	return name, c.from.Bridge.AddLink(ctx, card, actor)
}

// outbox returns the paths of what the sender wrote.
func (c *crossing) outbox(exported []bridge.Exported) (files []string) {
	for _, e := range exported {
		files = append(files, filepath.Join(c.from.Config.Data, "outbox", e.File))
	}
	return files
}

func (c *crossing) close() error {
	c.owner.Close()
	return errors.Join(c.from.Close(), c.to.Close())
}
