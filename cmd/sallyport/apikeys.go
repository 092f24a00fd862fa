package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"sallyport/domain"
	"sallyport/internal/boot"
	"sallyport/projections"
)

func (p *program) apiKeyCommand() *cobra.Command {
	c := &cobra.Command{Use: "apikey", Short: "List and revoke the API keys of this site's users"}
	c.AddCommand(p.apiKeyList(), p.apiKeyRevoke())
	return c
}

// listedAPIKey is an API key with its owner's name.
type listedAPIKey struct {
	ID         string            `json:"id"`
	Username   string            `json:"username"`
	Name       string            `json:"name"`
	Prefix     string            `json:"prefix"`
	Scopes     []domain.Scope    `json:"scopes"`
	CreatedAt  domain.Timestamp  `json:"created_at"`
	ExpiresAt  *domain.Timestamp `json:"expires_at"`   // null: never
	LastUsedAt *domain.Timestamp `json:"last_used_at"` // null: not yet
}

func (p *program) apiKeyList() *cobra.Command {
	var username string
	cmd := &cobra.Command{
		Use: "list", Short: "List the API keys that were not revoked", Args: cobra.NoArgs,
		Long: `List the API keys that were not revoked, of all users or of one. Users make their
keys by POST /api-keys; a key is good on the site where it was made and no other.`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return p.withSite(cmd.Context(), func(s *boot.Site) error {
				all, err := apiKeys(cmd.Context(), s, username)
				if err != nil {
					return err
				}
				return p.print(all, func(w io.Writer) {
					fmt.Fprintln(w, "PREFIX\tUSER\tNAME\tSCOPES\tEXPIRES\tLAST USED\tID")
					for _, k := range all {
						fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\t%s\n", k.Prefix, k.Username, k.Name, k.Scopes, day(k.ExpiresAt), day(k.LastUsedAt), k.ID)
					}
				})
			})
		},
	}
	cmd.Flags().StringVar(&username, "user", "", "only those of this user")
	return cmd
}

func apiKeys(ctx context.Context, s *boot.Site, username string) ([]listedAPIKey, error) {
	var owner string
	if username != "" {
		u, err := s.Reader.UserByName(ctx, username)
		if errors.Is(err, projections.ErrNotFound) {
			return nil, &usageError{fmt.Errorf("there is no user %s here: see `sallyport user list`", username)}
		}
		if err != nil {
			return nil, err
		}
		owner = u.ID
	}
	all := []listedAPIKey{}
	for cursor := ""; ; {
		page, next, err := s.Reader.APIKeys(ctx, owner, projections.Page{Limit: projections.MaxLimit, Cursor: cursor})
		if err != nil {
			return nil, err
		}
		for _, k := range page {
			u, err := s.Directory.User(ctx, k.User)
			if err != nil && !errors.Is(err, projections.ErrNotFound) {
				return nil, err
			}
			all = append(all, listedAPIKey{ID: k.ID, Username: u.Username, Name: k.Name, Prefix: k.Prefix, Scopes: k.Scopes,
				CreatedAt: domain.Timestamp(k.CreatedAt), ExpiresAt: orNull(k.ExpiresAt), LastUsedAt: orNull(k.LastUsedAt)})
		}
		if cursor = next; cursor == "" {
			return all, nil
		}
	}
}

func orNull(t time.Time) *domain.Timestamp {
	if t.IsZero() {
		return nil
	}
	shown := domain.Timestamp(t)
	return &shown
}

func day(t *domain.Timestamp) string {
	if t == nil {
		return "-"
	}
	return time.Time(*t).Format(time.DateOnly)
}

func (p *program) apiKeyRevoke() *cobra.Command {
	var reason string
	cmd := &cobra.Command{
		Use: "revoke ID --reason TEXT", Short: "Revoke anybody's API key: it is refused within a second", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := domain.CheckReason(reason); err != nil {
				return err
			}
			return p.withSite(cmd.Context(), func(s *boot.Site) error {
				if _, err := s.Commands.RevokeAPIKey(cmd.Context(), by(), args[0], "", reason); err != nil {
					return err
				}
				p.say("the API key %s is revoked", args[0])
				return nil
			})
		},
	}
	cmd.Flags().StringVar(&reason, "reason", "", "why, for the log")
	_ = cmd.MarkFlagRequired("reason") // fails only for a flag that does not exist
	return cmd
}
