package dev

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"sallyport/bridge/bundle"
)

// carry plays the operator: every so often it moves all finished bundles for the
// other site from each outbox to its inbox.
func (s *Stack) carry(ctx context.Context) error {
	tick := time.NewTicker(s.config.CarryEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
			if _, err := s.Carry(); err != nil {
				s.config.Logger.ErrorContext(ctx, "the courier failed and will go again", "error", err)
			}
		}
	}
}

// Carry moves all finished bundles once, both ways, and returns how many. What
// is for other sites, that somebody linked by hand, stays for somebody to carry.
func (s *Stack) Carry() (int, error) {
	there, err1 := carryAll(s.Field, s.Core)
	back, err2 := carryAll(s.Core, s.Field)
	s.carried.Add(int64(there + back))
	return there + back, errors.Join(err1, err2)
}

// Carried returns how many bundle files the courier has carried.
func (s *Stack) Carried() int64 { return s.carried.Load() }

func carryAll(from, to *End) (int, error) {
	entries, err := os.ReadDir(filepath.Join(from.Dir, "outbox"))
	if err != nil {
		return 0, err
	}
	moved := 0
	for _, e := range entries {
		name, err := bundle.ParseName(e.Name())
		if err != nil || !name.Between(from.Name, to.Name) {
			continue
		}
		if err := carryFile(filepath.Join(from.Dir, "outbox"), filepath.Join(to.Dir, "inbox"), e.Name()); err != nil {
			return moved, fmt.Errorf("carry %s: %w", e.Name(), err)
		}
		moved++
	}
	return moved, nil
}

// carryFile copies under a name that the importer passes over, renames, and
// only then removes the original with its label.
func carryFile(outbox, inbox, name string) error {
	src, err := os.Open(filepath.Join(outbox, name))
	if err != nil {
		return err
	}
	defer src.Close()
	carrying := filepath.Join(inbox, ".carrying-"+name)
	dst, err := os.Create(carrying)
	if err != nil {
		return err
	}
	_, err = io.Copy(dst, src)
	if err = errors.Join(err, dst.Sync(), dst.Close()); err != nil {
		return err
	}
	if err := os.Rename(carrying, filepath.Join(inbox, name)); err != nil {
		return err
	}
	if err := os.Remove(filepath.Join(outbox, name+".label.txt")); err != nil && !os.IsNotExist(err) {
		return err
	}
	return os.Remove(filepath.Join(outbox, name))
}
