package bench

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"time"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/klauspost/compress/zstd"

	"sallyport/bridge"
	"sallyport/bridge/bundle"
	"sallyport/schema"
)

// bulk is the crossing of the figures of speed, and its lines.
func (r *rig) bulk(ctx context.Context) (*crossing, []byte, error) {
	c, err := r.cross(ctx, "bulk", r.config.Bulk, usual)
	if err != nil {
		return nil, nil, err
	}
	lines, err := c.lines(ctx)
	return c, lines, errors.Join(err, r.settle(ctx, c.from.Config.Site, c.to.Config.Site))
}

// speed is bytes and a time as megabytes a second.
func speed(n int, took time.Duration) float64 { return float64(n) / took.Seconds() / 1e6 }

// A bundle is made again from its plan, because only the first time decides
// what goes into it, which is no part of the figure.
func exportAgainstMemory(ctx context.Context, r *rig) (contest, error) {
	c, lines, err := r.bulk(ctx)
	if err != nil {
		return contest{}, err
	}
	peer, err := c.addPeer(ctx)
	if err != nil {
		return contest{}, err
	}
	if _, err := c.from.Bridge.Export(ctx, peer, actor); err != nil {
		return contest{}, err
	}
	return contest{
		limitName: "one zstd encoder of the default level and SHA-256 of both sides, in memory",
		subject: func(ctx context.Context) (float64, error) {
			begin := time.Now()
			_, err := c.from.Bridge.Resend(ctx, peer, actor, []int64{1})
			return speed(len(lines), time.Since(begin)), err
		},
		limit: func(context.Context) (float64, error) {
			begin := time.Now()
			err := packInMemory(lines)
			return speed(len(lines), time.Since(begin)), err
		},
	}, nil
}

func packInMemory(lines []byte) error {
	plain, packed := sha256.New(), sha256.New()
	e, err := zstd.NewWriter(packed, zstd.WithEncoderConcurrency(1))
	if err != nil {
		return err
	}
	for l := range bytes.Lines(lines) {
		plain.Write(l)
		if _, err := e.Write(l); err != nil {
			return err
		}
	}
	return e.Close()
}

// bundleOf writes the crossing's log into one bundle file.
func bundleOf(ctx context.Context, c *crossing) (string, error) {
	peer, err := c.addPeer(ctx)
	if err != nil {
		return "", err
	}
	exported, err := c.from.Bridge.Export(ctx, peer, actor)
	if err == nil && len(exported) != 1 {
		err = fmt.Errorf("the log fills %d bundles, want 1", len(exported))
	}
	if err != nil {
		return "", err
	}
	return c.outbox(exported)[0], nil
}

func verifyAgainstMemory(ctx context.Context, r *rig) (contest, error) {
	c, lines, err := r.bulk(ctx)
	if err != nil {
		return contest{}, err
	}
	file, err := bundleOf(ctx, c)
	if err != nil {
		return contest{}, err
	}
	believed := bridge.VerifyConfig{Sender: c.from.Bridge.Card(), Schemas: c.from.Schemas}
	packed, events, err := inMemory(ctx, file, believed)
	if err != nil {
		return contest{}, err
	}
	return contest{
		limitName: "zstd, SHA-256 of both sides, a strict JSON scan and the same schemas, in memory",
		subject: func(ctx context.Context) (float64, error) {
			begin := time.Now()
			_, err := bridge.Verify(ctx, file, believed)
			return speed(len(lines), time.Since(begin)), err
		},
		limit: func(context.Context) (float64, error) {
			begin := time.Now()
			err := checkInMemory(packed, events, c.from.Schemas)
			return speed(len(lines), time.Since(begin)), err
		},
	}, nil
}

// eventData is where an event's data stands in its line, and what it is.
type eventData struct {
	from, to int
	typ      string
	schema   int
}

// inMemory returns a bundle's payload and what the limit need not find out.
func inMemory(ctx context.Context, file string, c bridge.VerifyConfig) (packed []byte, events []eventData, err error) {
	raw, err := os.ReadFile(file)
	if err != nil {
		return nil, nil, err
	}
	b, err := bundle.Open(bytes.NewReader(raw), int64(len(raw)), c.Limits)
	if err == nil {
		err = errors.Join(b.VerifySignatures(c.Sender.Trust()), b.VerifyPayload())
	}
	if err != nil {
		return nil, nil, err
	}
	for line, err := range b.Lines(ctx) {
		if err != nil {
			return nil, nil, err
		}
		if line.Withheld == nil {
			from := len(line.Raw) - 1 - len(line.Event.Data)
			events = append(events, eventData{from, len(line.Raw) - 1, line.Event.Type, int(line.Event.Schema)})
		} else {
			events = append(events, eventData{})
		}
	}
	return raw[int64(len(raw))-b.Manifest().Payload.Bytes:], events, nil
}

func checkInMemory(packed []byte, events []eventData, schemas *schema.Events) error {
	d, err := zstd.NewReader(nil)
	if err != nil {
		return err
	}
	defer d.Close()
	sha256.Sum256(packed)
	plain, err := d.DecodeAll(packed, nil)
	if err != nil {
		return err
	}
	sha256.Sum256(plain)
	i := -1 // the bundle's own line is none of the events
	for l := range bytes.Lines(plain) {
		if !jsontext.Value(l).IsValid() {
			return errors.New("a line is no JSON")
		}
		if i >= 0 && events[i].typ != "" {
			e := events[i]
			if err := schemas.Validate(e.typ, e.schema, l[e.from:e.to]); err != nil {
				return err
			}
		}
		i++
	}
	return nil
}

func sizeAgainstZstd(ctx context.Context, r *rig) (contest, error) {
	program, err := exec.LookPath("zstd")
	if err != nil {
		return contest{limitName: "not measured: there is no zstd on this machine"}, nil //nolint:nilerr // this is how it goes on without
	}
	c, lines, err := r.bulk(ctx)
	if err != nil {
		return contest{}, err
	}
	return contest{
		limitName: "zstd -3 of the same lines",
		once:      true,
		subject: func(ctx context.Context) (float64, error) {
			file, err := bundleOf(ctx, c)
			if err != nil {
				return 0, err
			}
			info, err := os.Stat(file)
			if err != nil {
				return 0, err
			}
			return float64(info.Size()), os.Remove(file)
		},
		limit: func(ctx context.Context) (float64, error) { return zstdSize(ctx, program, lines) },
	}, nil
}

func zstdSize(ctx context.Context, program string, lines []byte) (float64, error) {
	var size counter
	cmd := exec.CommandContext(ctx, program, "-3", "-c") // #nosec G204 -- found on the path by its fixed name
	cmd.Stdin, cmd.Stdout = bytes.NewReader(lines), &size
	err := cmd.Run()
	return float64(size), err
}

// counter counts what is written to it.
type counter int64

func (c *counter) Write(p []byte) (int, error) {
	*c += counter(len(p))
	return len(p), nil
}

// smallest is how many events a small bundle has, and smallTurns how many such
// bundles one measurement is the median of.
const (
	smallest   = 10
	smallTurns = 15
)

func smallBundle(ctx context.Context, r *rig) (contest, error) {
	c, err := r.cross(ctx, "small", 0, usual)
	if err != nil {
		return contest{}, err
	}
	return contest{
		limitName: "100 ms on each side",
		subject: func(ctx context.Context) (float64, error) {
			var took []float64
			for range smallTurns {
				t, err := c.carryFew(ctx)
				if err != nil {
					return 0, err
				}
				took = append(took, float64(t)/float64(time.Millisecond))
			}
			return median(took), nil
		},
		limit: func(context.Context) (float64, error) { return 100, nil },
	}, r.settle(ctx, c.from.Config.Site, c.to.Config.Site)
}

// carryFew lets a few new events cross and returns how long the side took
// that took longer. The courier's time does not count.
func (c *crossing) carryFew(ctx context.Context) (time.Duration, error) {
	if _, err := c.submit(ctx, 0, smallest, usual); err != nil {
		return 0, err
	}
	begin := time.Now()
	exported, err := c.from.Bridge.Export(ctx, c.to.Config.Site, actor)
	out := time.Since(begin)
	if err != nil {
		return 0, err
	}
	if err := handOver(c.from, c.to, exported); err != nil {
		return 0, err
	}
	begin = time.Now()
	outcomes, err := c.to.Bridge.Import(ctx)
	in := time.Since(begin)
	return max(out, in), errors.Join(err, applied(outcomes))
}
