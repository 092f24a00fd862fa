package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/user"
	"path/filepath"

	"github.com/knadh/koanf/v2"
	"github.com/spf13/cobra"

	"sallyport/domain"
	"sallyport/internal/boot"
	"sallyport/internal/commands"
)

// actor is who answers for what is done on the command line.
func actor() string {
	if u, err := user.Current(); err == nil {
		return "cli:" + u.Username
	}
	return "cli:unknown"
}

func (p *program) initCommand() *cobra.Command {
	var c boot.Config
	var role, admin string
	cmd := &cobra.Command{
		Use: "init --role request|response --name NAME [--data DIR]", Short: "Make a site: keys, folders, configuration, database",
		Long: `Make a site. The database is given by SALLYPORT_DATABASE_URL (or _FILE), and
SALLYPORT_DATABASE_MIGRATE_URL for a login that owns it. What exists already is
left as it is, so init may be run at every start. On a response site it makes
the shipped profiles and the first administrator, whose password is printed once.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c.Role = domain.Role(role)
			return p.init(cmd, c, admin)
		},
	}
	f := cmd.Flags()
	f.StringVar(&role, "role", "", "what the site does: request or response")
	f.StringVar(&c.Site, "name", "", "the site's name: a-z, 0-9 and dashes")
	f.StringVar(&c.Data, "data", ".", "the folder for keys, bundles and the configuration")
	f.StringVar(&admin, "admin", "admin", "the first administrator's username (response site)")
	_ = cmd.MarkFlagRequired("role") // fails only for a flag that does not exist
	_ = cmd.MarkFlagRequired("name")
	return cmd
}

func (p *program) init(cmd *cobra.Command, c boot.Config, admin string) error {
	path := filepath.Join(c.Data, "sallyport.yaml")
	if err := p.firstConfig(path, c); err != nil {
		return err
	}
	p.configPath = path
	l, err := p.load()
	if err != nil {
		return err
	}
	card, err := boot.Init(cmd.Context(), l.Config, actor())
	if err != nil {
		return err
	}
	result := map[string]string{"site": card.Name, "config": path, "card": l.CardPath(), "fingerprint": card.Fingerprint()}
	if l.Role == domain.ResponseSite {
		if result["admin_password"], err = p.firstAdmin(cmd, l.Config, admin); err != nil {
			return err
		}
		result["admin"] = admin
	}
	return p.print(result, func(w io.Writer) {
		fmt.Fprintf(w, "site\t%s (%s)\nconfiguration\t%s\nsite card\t%s\nfingerprint\t%s\n", card.Name, card.Role, path, l.CardPath(), card.Fingerprint())
		if pw := result["admin_password"]; pw != "" {
			fmt.Fprintf(w, "administrator\t%s, password %s (shown only now)\n", admin, pw)
		}
		fmt.Fprintln(w, "next\texchange site cards with the peer, compare fingerprints by another way, then: sallyport link add CARD")
	})
}

// firstConfig writes a configuration from the flags and the environment,
// unless there is one.
func (p *program) firstConfig(path string, c boot.Config) error {
	if _, err := os.Stat(path); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := os.MkdirAll(c.Data, 0o750); err != nil {
		return err
	}
	k := koanf.New(".")
	if err := loadEnv(k, map[string]string{}); err != nil {
		return &configError{err}
	}
	c.Listen = map[domain.Role]string{domain.RequestSite: "127.0.0.1:8001"}[c.Role]
	if c.Listen == "" {
		c.Listen = "127.0.0.1:8000"
	}
	if err := k.UnmarshalWithConf("", &c, koanf.UnmarshalConf{Tag: "koanf", DecoderConfig: strict(&c)}); err != nil {
		return &configError{err}
	}
	if err := c.Check(); err != nil {
		return &configError{err}
	}
	c.Data = "" // the folder of the file
	// What owns the database is for init and migrate alone: a site that runs
	// must not know it.
	c.Database.MigrateURL = ""
	return c.Write(path)
}

func (p *program) firstAdmin(cmd *cobra.Command, c boot.Config, username string) (string, error) {
	logger, err := c.Log.Logger(p.stderr)
	if err != nil {
		return "", &configError{err}
	}
	site, err := boot.Open(cmd.Context(), c, logger)
	if err != nil {
		return "", err
	}
	password, err := site.FirstAdmin(cmd.Context(), username, username+"@"+c.Site+".invalid", commands.By{Actor: actor()})
	return password, errors.Join(err, site.Close())
}
