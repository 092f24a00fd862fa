package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"sallyport/domain"
	"sallyport/internal/boot"
	"sallyport/internal/commands"
	"sallyport/projections"
)

func (p *program) settingCommand() *cobra.Command {
	c := &cobra.Command{Use: "setting", Short: "Say values that sites share"}
	c.AddCommand(p.settingList(), p.settingShow(), p.settingSet(), p.settingRemove())
	return c
}

type shownSetting struct {
	Key         string          `json:"key"`
	Value       json.RawMessage `json:"value"`
	Description string          `json:"description"`
	Public      bool            `json:"public"`
}

func shownAs(s projections.Setting) shownSetting {
	return shownSetting{s.Key, s.Value, s.Description, s.Public}
}

func (p *program) settingList() *cobra.Command {
	return &cobra.Command{
		Use: "list", Short: "List the settings; a request site has the public ones", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return p.withSite(cmd.Context(), func(s *boot.Site) error {
				found, err := s.Reader.Settings(cmd.Context())
				if err != nil {
					return err
				}
				all := make([]shownSetting, len(found))
				for i, one := range found {
					all[i] = shownAs(one)
				}
				return p.print(all, func(w io.Writer) {
					fmt.Fprintln(w, "KEY\tPUBLIC\tVALUE\tDESCRIPTION")
					for _, one := range all {
						fmt.Fprintf(w, "%s\t%v\t%s\t%s\n", one.Key, one.Public, one.Value, one.Description)
					}
				})
			})
		},
	}
}

func (p *program) settingShow() *cobra.Command {
	return &cobra.Command{
		Use: "show KEY", Short: "Show a setting", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return p.withSite(cmd.Context(), func(s *boot.Site) error {
				found, err := s.Reader.Setting(cmd.Context(), args[0])
				if errors.Is(err, projections.ErrNotFound) {
					return unknown("setting", args[0], "setting list")
				}
				if err != nil {
					return err
				}
				one := shownAs(found)
				return p.print(one, func(w io.Writer) {
					fmt.Fprintf(w, "key\t%s\nvalue\t%s\ndescription\t%s\npublic\t%v\n", one.Key, one.Value, one.Description, one.Public)
				})
			})
		},
	}
}

func (p *program) settingSet() *cobra.Command {
	var in domain.ChangeSetting
	c := &cobra.Command{
		Use: "set KEY VALUE", Aliases: []string{"create", "change"}, Short: "Make a setting, or say all of it anew (response site)", Args: cobra.ExactArgs(2),
		Long: `Make a setting, or say all of it anew. VALUE is JSON: '"a text"', 12, true, '{"a":1}'.
With --public it goes to the request sites; without, it is taken from them.`,
		RunE: func(cmd *cobra.Command, args []string) error {
			in.Key, in.Value = args[0], json.RawMessage(args[1])
			return p.withSite(cmd.Context(), func(s *boot.Site) error {
				_, created, stored, err := s.Commands.PutSetting(cmd.Context(), by(), in, 0)
				switch {
				case err != nil:
					return err
				case created:
					p.say("the setting %s is made, %s", in.Key, reach(in.Public))
				default:
					p.told("the setting "+in.Key, "changed, "+reach(in.Public), stored)
				}
				return nil
			})
		},
	}
	c.Flags().StringVar(&in.Description, "description", "", "what it is for")
	c.Flags().BoolVar(&in.Public, "public", false, "the request sites are to have it")
	return c
}

// reach says who has a setting, which whoever leaves --public out may not mean.
func reach(public bool) string {
	if public {
		return "and the request sites get it"
	}
	return "for this site alone: with --public the request sites get it"
}

func (p *program) settingRemove() *cobra.Command {
	c := &cobra.Command{Use: "remove KEY", Short: "Remove a setting (response site)"}
	return p.acting(c, "the setting", "removed", func(ctx context.Context, s *boot.Site, key string) (commands.Stored, error) {
		return s.Commands.RemoveSetting(ctx, by(), key, 0)
	})
}
