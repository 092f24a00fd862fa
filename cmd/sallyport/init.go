package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/user"
	"path/filepath"
	"strings"

	"github.com/knadh/koanf/parsers/yaml"
	"github.com/knadh/koanf/providers/file"
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
SALLYPORT_DATABASE_MIGRATE_URL (or _FILE) for a login that owns it, which is not
written down: give it to migrate again. What exists already is
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
	l, err := p.flagsFirst(cmd, path, c)
	if err != nil {
		return err
	}
	card, err := boot.Init(cmd.Context(), l.Config, actor())
	if err != nil {
		return err
	}
	result := map[string]string{"site": card.Name, "config": path, "card": l.CardPath(), "fingerprint": card.Fingerprint(), "words": card.Words()}
	if l.Role == domain.ResponseSite {
		if result["admin_password"], err = p.firstAdmin(cmd, l.Config, admin); err != nil {
			return err
		}
		result["admin"] = admin
	}
	return p.print(result, func(w io.Writer) {
		fmt.Fprintf(w, "site\t%s (%s)\nconfiguration\t%s\nsite card\t%s\nfingerprint\t%s\nwords\t%s\n",
			card.Name, card.Role, path, l.CardPath(), card.Fingerprint(), card.Words())
		if pw := result["admin_password"]; pw != "" {
			fmt.Fprintf(w, "administrator\t%s, password %s (shown only now)\n", admin, pw)
		}
		fmt.Fprintln(w, "next\texchange site cards with the peer, compare fingerprints by another way, then: sallyport link add CARD")
	})
}

// flagsFirst loads the configuration of the site that the flags name. They
// are stronger than the environment, and must say what the file says: init
// makes no other site of one that exists.
func (p *program) flagsFirst(cmd *cobra.Command, path string, c boot.Config) (loaded, error) {
	p.configPath = path
	k := koanf.New(".")
	if err := k.Load(file.Provider(path), yaml.Parser()); err != nil {
		return loaded{}, &configError{fmt.Errorf("read the configuration %s: %w", path, err)}
	}
	for _, of := range []struct{ flag, value, key string }{{"name", c.Site, "site"}, {"role", string(c.Role), "role"}} {
		if have := k.String(of.key); have != "" && have != of.value {
			return loaded{}, &configError{fmt.Errorf("%s holds a site whose %s is %s, but --%s says %s; nothing was changed: use another --data for another site", path, of.key, have, of.flag, of.value)}
		}
	}
	l, err := p.load()
	for key, flag := range map[string]string{"site": "name", "role": "role", "data": "data"} {
		if strings.HasPrefix(l.from[key], "environment") && cmd.Flags().Changed(flag) {
			p.say("--%s is stronger than the %s; unset that before the site is used", flag, l.from[key])
		}
	}
	l.Site, l.Role = c.Site, c.Role
	if strings.HasPrefix(l.from["data"], "environment") && cmd.Flags().Changed("data") {
		l.Data = c.Data
	}
	return l, err
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
	flags := c
	if err := k.UnmarshalWithConf("", &c, koanf.UnmarshalConf{Tag: "koanf", DecoderConfig: strictly(&c)}); err != nil {
		return &configError{err}
	}
	c.Site, c.Role = flags.Site, flags.Role
	if err := c.Check(); err != nil {
		return &configError{err}
	}
	c.Data = "" // the folder of the file
	return c.WithoutOwner().Write(path)
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
