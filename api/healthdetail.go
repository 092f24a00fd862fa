package api

import (
	"context"
	"fmt"
	"runtime"
	"time"

	"sallyport/bridge"
	"sallyport/domain"
	"sallyport/projections/reactor"
	"sallyport/responders/queue"
	"sallyport/schema"
)

// Room is how much of the disk with the site's files is free, in bytes. Below
// Low the site is not well, below Full it cannot work.
type Room struct {
	Free, Total, Low, Full uint64
}

// detailedShape is for those who administer the site. What cannot be read is
// null; the checks say why.
type detailedShape struct {
	readyShape
	Site          string           `json:"site"`
	Role          domain.Role      `json:"role"`
	Version       string           `json:"version"`
	Go            string           `json:"go"`
	StartedAt     domain.Timestamp `json:"started_at"`
	UptimeSeconds int64            `json:"uptime_seconds"`
	PostgreSQL    *postgresShape   `json:"postgresql"`
	Log           *logShape        `json:"log"`
	Redis         *redisShape      `json:"redis"` // null: the cache is in the process
	Disk          *diskShape       `json:"disk"`
	Links         []bridge.Status  `json:"links"`
	Queue         []queue.Count    `json:"queue"`
	Reactors      []reactor.Place  `json:"reactors"`
}

type postgresShape struct {
	Version           string `json:"version"`
	Migration         int64  `json:"migration"`
	MigrationsPending int    `json:"migrations_pending"`
	ConnectionsInUse  int32  `json:"connections_in_use"`
	ConnectionsIdle   int32  `json:"connections_idle"`
	ConnectionsMax    int32  `json:"connections_max"`
	TookMS            int64  `json:"took_ms"`
}

type logShape struct {
	Epoch    string  `json:"epoch"`
	Position int64   `json:"position"`
	Seq      int64   `json:"seq"`
	ReadOnly *string `json:"read_only"`
}

type redisShape struct {
	Answers bool `json:"answers"`
}

type diskShape struct {
	FreeBytes  uint64 `json:"free_bytes"`
	TotalBytes uint64 `json:"total_bytes"`
}

// detailed says how the site is, part by part.
func (s *server) detailed(ctx context.Context, c *call) (answer, error) {
	if err := noQuery(c); err != nil {
		return answer{}, err
	}
	ready := s.examine(ctx)
	ctx, cancel := context.WithTimeout(ctx, readyTimeout)
	defer cancel()
	shape := detailedShape{readyShape: ready, Site: s.Log.Site(), Role: s.role, Version: s.Version, Go: runtime.Version(),
		StartedAt: domain.Timestamp(s.started), UptimeSeconds: int64(s.Now().Sub(s.started) / time.Second)}
	if s.Disk != nil {
		if room, err := s.Disk(); err == nil {
			shape.Disk = &diskShape{room.Free, room.Total}
		}
	}
	if s.CacheReady != nil {
		shape.Redis = &redisShape{Answers: ready.Checks["cache"] == "ok"}
	}
	if ready.Checks["postgresql"] == "ok" {
		if err := s.detailDatabase(ctx, &shape); err != nil {
			return answer{}, err
		}
	}
	return answer{value: shape}, nil
}

const selectVersion = `SELECT current_setting('server_version'), (SELECT max(version_id) FROM goose_db_version WHERE is_applied)`

func (s *server) detailDatabase(ctx context.Context, shape *detailedShape) error {
	began, pool := time.Now(), s.Pool.Stat()
	p := postgresShape{ConnectionsInUse: pool.AcquiredConns(), ConnectionsIdle: pool.IdleConns(), ConnectionsMax: pool.MaxConns()}
	if err := s.Pool.QueryRow(ctx, selectVersion).Scan(&p.Version, &p.Migration); err != nil {
		return fmt.Errorf("ask PostgreSQL for its version: %w", err)
	}
	p.TookMS = time.Since(began).Milliseconds()
	var err error
	if p.MigrationsPending, err = schema.Pending(ctx, s.Pool); err != nil {
		return err
	}
	shape.PostgreSQL = &p
	head, err := s.Log.Head(ctx)
	if err != nil {
		return err
	}
	shape.Log = &logShape{Epoch: head.Epoch, Position: head.Pos, Seq: head.Seq}
	if head.ReadOnly != "" {
		shape.Log.ReadOnly = &head.ReadOnly
	}
	if shape.Links, err = s.Bridge.Status(ctx); err != nil {
		return err
	}
	if shape.Queue, err = queue.Counts(ctx, s.Pool); err != nil {
		return err
	}
	shape.Reactors, err = reactor.Places(ctx, s.Pool)
	return err
}
