package bench

import (
	"bytes"
	"context"
	_ "embed"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
)

//go:embed emmett.mjs
var emmettScript []byte

// emmett is Emmett on PostgreSQL, by a script that Node.js runs: one process,
// as its applications are.
func (r *rig) emmett(ctx context.Context, packages string) (eventStore, error) {
	const database = "emmett"
	s := eventStore{name: "Emmett"}
	node, err := exec.LookPath("node")
	if _, missing := os.Stat(filepath.Join(packages, "node_modules/@event-driven-io/emmett-postgresql")); packages == "" || missing != nil || err != nil {
		return s, &absentError{"npm has not brought @event-driven-io/emmett-postgresql, or there is no node"}
	}
	// Beside the packages, where Node.js looks for them.
	script := filepath.Join(packages, "emmett.mjs")
	if err := os.WriteFile(script, emmettScript, 0o600); err != nil {
		return s, err
	}
	if _, err := r.postgres.EnsureDatabase(ctx, database); err != nil {
		return s, err
	}
	payload, err := r.site.payload()
	if err != nil {
		return s, err
	}
	ask := func(ctx context.Context, what string) (reached struct {
		given
		Rate float64 `json:"rate"`
	}, err error,
	) {
		var out bytes.Buffer
		err = r.run(ctx, node, &out, script, what, database, strconv.Itoa(clients),
			strconv.FormatInt(r.config.Warm.Milliseconds(), 10), strconv.FormatInt(r.config.Measure.Milliseconds(), 10), string(payload))
		if err == nil {
			err = json.Unmarshal(out.Bytes(), &reached)
		}
		if err != nil {
			err = fmt.Errorf("emmett: %w", err)
		}
		return reached, err
	}
	s.rate = func(ctx context.Context) (float64, error) {
		reached, err := ask(ctx, "append")
		return reached.Rate, err
	}
	s.follow = func(ctx context.Context) (given, error) {
		reached, err := ask(ctx, "follow")
		return reached.given, err
	}
	return s, nil
}
