package dev

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"sallyport/domain"
	"sallyport/internal/boot"
	"sallyport/internal/commands"
	"sallyport/internal/dataset"
)

// Account is one login of dev mode.
type Account struct {
	Site     string          `json:"site"` // where the account was made
	Username string          `json:"username"`
	Password string          `json:"password"`
	Role     domain.UserRole `json:"role"`
	Profile  string          `json:"profile"`
}

const (
	sourceName    = "airports"
	narrowProfile = "narrow"
	wideProfile   = "wide"
)

func (s *Stack) loadDataset(ctx context.Context) error {
	begin := time.Now()
	created, err := s.Core.Postgres.EnsureDatabase(ctx, datasetDatabase)
	if err != nil {
		return err
	}
	if err := dataset.Load(ctx, s.Core.Postgres.DSN(datasetDatabase)); err != nil {
		return fmt.Errorf("load the dataset: %w", err)
	}
	if created {
		s.config.Say("core: loaded the airports of the world in %s (NOTICE names source and licence)", time.Since(begin).Round(time.Millisecond))
	}
	return nil
}

// fill gives the response site its profiles, request types and accounts.
// What is there already stays.
func (s *Stack) fill(ctx context.Context) error {
	by := commands.By{Actor: actor}
	const many = 1_000_000 // a minute: more than this machine can do, so that load can be tried
	for _, p := range append(boot.ShippedProfiles(), domain.ProfileDefined{Name: wideProfile, DisplayName: "Everything",
		Description: "May ask for everything public, as often as the machine can.", Priority: domain.MaxPriority - 1,
		Limits: domain.Limits{Minute: many, Hour: 60 * many, Day: 1000 * many, Month: 1000 * many}}, domain.ProfileDefined{Name: narrowProfile, DisplayName: "One question only",
		Description: "May ask for one airport at a time, and nothing else.", Allowed: []string{"airport"}, Priority: domain.DefaultPriority,
		MaxResults: 10, Limits: domain.Limits{Minute: 10, Hour: 100, Day: 1000}}) {
		if _, _, err := s.Core.Commands.DefineProfile(ctx, by, p); boot.Existing(err) != nil {
			return fmt.Errorf("define the profile %s: %w", p.Name, err)
		}
	}
	for _, t := range dataset.RequestTypes() {
		if err := s.defineType(ctx, by, t); err != nil {
			return fmt.Errorf("define the request type %s: %w", t.Name, err)
		}
	}
	if err := s.makeAccounts(ctx, by); err != nil {
		return err
	}
	if err := s.defineOpinion(ctx, by); err != nil {
		return fmt.Errorf("define the request type %s: %w", opinion.Name, err)
	}
	return nil
}

func (s *Stack) defineType(ctx context.Context, by commands.By, t dataset.RequestType) error {
	_, _, err := s.Core.Commands.DefineRequestType(ctx, by, domain.DefineRequestType{Name: t.Name, Title: t.Title,
		Description: t.Description, Parameters: t.Parameters, MaxResults: t.MaxResults, Public: true})
	if boot.Existing(err) != nil {
		return err
	}
	_, _, err = s.Core.Commands.ConfigureResponder(ctx, by, t.Name,
		domain.ResponderConfigured{Kind: domain.ResponderSQL, Source: sourceName, Statement: t.Statement, TimeoutMS: domain.DefaultTimeoutMS}, 0)
	return err
}

// makeAccounts makes the accounts with random passwords, which are kept in a
// file that only its owner may read, so that a second start shows them again.
func (s *Stack) makeAccounts(ctx context.Context, by commands.By) error {
	path := filepath.Join(s.config.Data, "accounts.json")
	var err error
	if s.Accounts, err = readAccounts(path); err != nil {
		return err
	}
	for _, a := range s.Accounts {
		if _, err := s.Core.Reader.UserByName(ctx, a.Username); err == nil {
			continue
		}
		_, err := s.Core.Commands.RegisterUser(ctx, by, commands.NewUser{Username: a.Username, Email: a.Username + "@example.org",
			FullName: a.Username, Role: a.Role, Profile: a.Profile, Password: a.Password})
		if boot.Existing(err) != nil {
			return fmt.Errorf("register %s: %w", a.Username, err)
		}
	}
	return nil
}

func readAccounts(path string) ([]Account, error) {
	var accounts []Account
	data, err := os.ReadFile(path)
	switch {
	case err == nil:
		return accounts, json.Unmarshal(data, &accounts)
	case !errors.Is(err, fs.ErrNotExist):
		return nil, err
	}
	for _, a := range []Account{
		{Username: "admin", Role: domain.RoleAdmin, Profile: "enterprise"},
		{Username: "operator", Role: domain.RoleOperator, Profile: "free"},
		{Username: "auditor", Role: domain.RoleAuditor, Profile: "free"},
		{Username: "analyst", Role: domain.RoleAnalyst, Profile: "free"},
		{Username: "wide", Role: domain.RoleUser, Profile: wideProfile},
		{Username: "narrow", Role: domain.RoleUser, Profile: narrowProfile},
	} {
		a.Site, a.Password = "core", rand.Text()
		accounts = append(accounts, a)
	}
	if data, err = json.MarshalIndent(accounts, "", "  "); err != nil { //nolint:gosec // the file of dev mode's passwords is the point
		return nil, err
	}
	return accounts, os.WriteFile(path, data, 0o600)
}
