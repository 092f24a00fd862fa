package bench

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"math"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"sallyport/projections/responsecache"
)

// pgbench returns the database's own measure of one-row INSERTs. Without the
// program, goroutines with a connection each do the same.
func (r *rig) pgbench() (measure, string, error) {
	program, err := findProgram("pgbench", r.postgres.BinDir())
	if err != nil {
		return r.insertLoop, "64 pgx connections, one-row INSERT (no pgbench on this machine)", nil //nolint:nilerr // this is how it goes on without
	}
	script := filepath.Join(r.dir, "insert.sql")
	text := strings.Replace(insertRow, "$1", "'"+rowLine()+"'", 1) + ";\n"
	if err := os.WriteFile(script, []byte(text), 0o600); err != nil {
		return nil, "", err
	}
	return func(ctx context.Context) (float64, error) {
		return r.runPgbench(ctx, program, script)
	}, "pgbench -c 64 -j 2 -M prepared, one-row INSERT", nil
}

var tps = regexp.MustCompile(`(?m)^tps = ([0-9.]+)`)

func (r *rig) runPgbench(ctx context.Context, program, script string) (float64, error) {
	seconds := strconv.Itoa(wholeSeconds(r.config.Measure))
	return tpsOf(func() (string, error) {
		return output(ctx, program, "-h", r.postgres.SocketDir(), "-p", "5432", "-U", "postgres", "-n", "-M", "prepared",
			"-c", strconv.Itoa(clients), "-j", "2", "-T", seconds, "-f", script, limitDatabase)
	})
}

// noTransaction is what pgbench says, and nothing after it, when its time was over
// before its clients had connected.
const noTransaction = "number of transactions actually processed: 0\n"

// tpsOf runs pgbench until it has measured something.
func tpsOf(pgbench func() (said string, err error)) (float64, error) {
	for {
		said, err := pgbench()
		if err != nil {
			return 0, err
		}
		if !strings.Contains(said, noTransaction) {
			return number(tps, said, "pgbench")
		}
	}
}

func (r *rig) insertLoop(ctx context.Context) (float64, error) {
	line := rowLine()
	return r.crowd(clients).rate(ctx, func(ctx context.Context) (member, error) {
		conn, err := pgx.Connect(ctx, r.postgres.DSN(limitDatabase))
		if err != nil {
			return member{}, err
		}
		return member{
			ask:   func() error { _, err := conn.Exec(ctx, insertRow, line); return err },
			leave: func() error { return conn.Close(context.WithoutCancel(ctx)) },
		}, nil
	})
}

// redisGet returns Redis' own measure of GET of a cached answer. Without the
// program, goroutines with a connection each do the same.
func (r *rig) redisGet(id string) (measure, string) {
	key := responsecache.Key(id)
	program, err := findProgram("redis-benchmark")
	if err != nil {
		return func(ctx context.Context) (float64, error) {
			return r.crowd(clients).rate(ctx, func(ctx context.Context) (member, error) { return joinRedis(ctx, r.redis.Socket(), key) })
		}, "64 raw connections, GET of the same value, no pipeline (no redis-benchmark on this machine)"
	}
	return func(ctx context.Context) (float64, error) {
		return r.runRedisBenchmark(ctx, program, key)
	}, "redis-benchmark -c 64, GET of the same value, no pipeline"
}

var rps = regexp.MustCompile(`([0-9.]+) requests per second`)

// getsPerSecond turns a time into a number of requests, which is all that the
// program can be told: about what two processors do in a second.
const getsPerSecond = 50_000

func (r *rig) runRedisBenchmark(ctx context.Context, program, key string) (float64, error) {
	n := getsPerSecond * wholeSeconds(r.config.Measure)
	out, err := output(ctx, program, "-s", r.redis.Socket(), "-c", strconv.Itoa(clients), "-n", strconv.Itoa(n), "-q", "GET", key)
	if err != nil {
		return 0, err
	}
	// It rewrites one line as it goes; the last figure is the whole run's.
	all := rps.FindAllString(out, -1)
	if len(all) == 0 {
		return 0, fmt.Errorf("redis-benchmark said nothing that can be read: %.200q", out)
	}
	return number(rps, all[len(all)-1], "redis-benchmark")
}

func joinRedis(ctx context.Context, socket, key string) (member, error) {
	conn, err := (&net.Dialer{}).DialContext(ctx, "unix", socket)
	if err != nil {
		return member{}, err
	}
	in := bufio.NewReader(conn)
	request := fmt.Appendf(nil, "*2\r\n$3\r\nGET\r\n$%d\r\n%s\r\n", len(key), key)
	return member{leave: conn.Close, ask: func() error {
		if _, err := conn.Write(request); err != nil {
			return err
		}
		return readBulk(in)
	}}, nil
}

// readBulk reads one bulk string (RESP2).
func readBulk(in *bufio.Reader) error {
	line, err := in.ReadString('\n')
	if err != nil {
		return err
	}
	n, err := strconv.Atoi(strings.TrimSpace(strings.TrimPrefix(line, "$")))
	if err != nil || n < 0 {
		return fmt.Errorf("redis answered %q", line)
	}
	_, err = io.CopyN(io.Discard, in, int64(n)+2)
	return err
}

func wholeSeconds(d time.Duration) int { return int(math.Ceil(d.Seconds())) }

// findProgram looks into the folders first, then at PATH.
func findProgram(name string, folders ...string) (string, error) {
	for _, dir := range folders {
		if p, err := exec.LookPath(filepath.Join(dir, name)); err == nil {
			return p, nil
		}
	}
	return exec.LookPath(name)
}

func output(ctx context.Context, program string, args ...string) (string, error) {
	var out strings.Builder
	err := outputTo(ctx, &out, program, args...)
	return out.String(), err
}

func outputTo(ctx context.Context, out io.Writer, program string, args ...string) error {
	cmd := exec.CommandContext(ctx, program, args...) // #nosec G204 G702 -- a program found by this package
	var said strings.Builder
	cmd.Stdout, cmd.Stderr = out, &said
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("%s: %w: %.500s", program, err, said.String())
	}
	return nil
}

func number(in *regexp.Regexp, text, program string) (float64, error) {
	found := in.FindStringSubmatch(text)
	if found == nil {
		return 0, fmt.Errorf("%s said nothing that can be read: %.200q", program, text)
	}
	return strconv.ParseFloat(found[1], 64)
}
