package main

import (
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strings"

	"github.com/go-viper/mapstructure/v2"
	"github.com/knadh/koanf/parsers/yaml"
	"github.com/knadh/koanf/providers/env/v2"
	"github.com/knadh/koanf/providers/file"
	"github.com/knadh/koanf/v2"
	"github.com/spf13/cobra"

	"sallyport/internal/boot"
)

// settings are the keys of a configuration; SALLYPORT_<KEY> in the environment
// sets each, with dots as underscores.
var settings = []string{
	"site", "role", "data", "listen", "tls.cert_file", "tls.key_file", "cors.origins", "trusted_proxies", "drain_notice",
	"database.url", "database.url_file", "database.migrate_url", "database.migrate_url_file", "database.max_conns",
	"redis.url", "redis.url_file",
	"bridge.encrypt", "bridge.export_every", "bridge.export_events", "bridge.scan_every", "bridge.resend_after", "bridge.keep", "retention.requests",
	"responders.workers", "webhooks.allow", "log.level", "log.format",
}

func envName(key string) string {
	return "SALLYPORT_" + strings.ToUpper(strings.ReplaceAll(key, ".", "_"))
}

// loaded is a configuration and where each of its values came from.
type loaded struct {
	boot.Config
	from map[string]string
}

// load is the one reader of configurations: the file, then the environment.
// Keys and SALLYPORT_ variables that nobody knows are errors: a slip must not
// go unnoticed.
func (p *program) load() (loaded, error) {
	l, err := load(p.configPath)
	if err != nil {
		return l, &configError{fmt.Errorf("%w (file %s)", err, p.configPath)}
	}
	return l, nil
}

func load(path string) (loaded, error) {
	k, l := koanf.New("."), loaded{from: map[string]string{}}
	if err := k.Load(file.Provider(path), yaml.Parser()); err != nil {
		return l, fmt.Errorf("read the configuration: %w; make one with `sallyport init`", err)
	}
	for _, key := range k.Keys() {
		l.from[key] = path
	}
	if err := loadEnv(k, l.from); err != nil {
		return l, err
	}
	if err := k.UnmarshalWithConf("", &l.Config, koanf.UnmarshalConf{Tag: "koanf", DecoderConfig: strictly(&l.Config)}); err != nil {
		return l, fmt.Errorf("the configuration does not fit: %w", err)
	}
	if !filepath.IsAbs(l.Data) { // also when nothing is said of it: then it is the folder of the file
		l.Data = filepath.Join(filepath.Dir(path), l.Data)
	}
	return l, l.Check()
}

func loadEnv(k *koanf.Koanf, from map[string]string) error {
	byName := map[string]string{}
	for _, key := range settings {
		byName[envName(key)] = key
	}
	given, unknown := map[string]bool{}, []string{}
	e := koanf.New(".")
	err := e.Load(env.Provider(".", env.Opt{Prefix: "SALLYPORT_", TransformFunc: func(name, value string) (string, any) {
		key := byName[name]
		switch {
		case key != "":
			from[key], given[key] = "environment "+name, value != ""
		case !strings.HasPrefix(name, "SALLYPORT_TEST_"):
			unknown = append(unknown, name)
		}
		return key, value // an empty key is left out
	}}), nil)
	if len(unknown) > 0 {
		slices.Sort(unknown)
		return fmt.Errorf("the environment has %s, which no setting is called: correct or unset it", strings.Join(unknown, ", "))
	}
	yield(k, from, given)
	return errors.Join(err, k.Merge(e))
}

// yield takes from k the other spelling, direct or by file, of what the
// stronger environment gives: only within one place are both a contradiction.
func yield(k *koanf.Koanf, from map[string]string, given map[string]bool) {
	for key, filled := range given {
		for _, other := range []string{key + "_file", strings.TrimSuffix(key, "_file")} {
			if filled && other != key && !given[other] {
				k.Delete(other)
				delete(from, other)
			}
		}
	}
}

func strictly(into *boot.Config) *mapstructure.DecoderConfig {
	return &mapstructure.DecoderConfig{Result: into, ErrorUnused: true, WeaklyTypedInput: true,
		DecodeHook: mapstructure.ComposeDecodeHookFunc(mapstructure.StringToTimeDurationHookFunc(), mapstructure.StringToSliceHookFunc(","))}
}

func (p *program) configCommand() *cobra.Command {
	c := &cobra.Command{Use: "config", Short: "Check and show the configuration"}
	c.AddCommand(&cobra.Command{
		Use: "validate", Short: "Say whether the configuration can work", Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			if _, err := p.load(); err != nil {
				return err
			}
			p.say("%s is valid", p.configPath)
			return nil
		},
	}, &cobra.Command{
		Use: "show", Short: "Show each value and where it came from, secrets left out", Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error { return p.showConfig() },
	})
	return c
}

type setting struct {
	Key   string `json:"key"`
	Value string `json:"value"`
	From  string `json:"from"`
}

func (p *program) showConfig() error {
	l, err := p.load()
	if err != nil {
		return err
	}
	k := koanf.New(".")
	if err := errors.Join(k.Load(file.Provider(p.configPath), yaml.Parser()), loadEnv(k, map[string]string{})); err != nil {
		return &configError{err}
	}
	var all []setting
	for _, key := range k.Keys() {
		s := setting{Key: key, Value: fmt.Sprint(k.Get(key)), From: l.from[key]}
		switch {
		case strings.HasSuffix(key, "url"):
			s.Value = "(not shown: it may hold a password)"
		case strings.HasSuffix(key, ".password"), strings.HasSuffix(key, ".api_key"):
			s.Value = "(not shown)"
		}
		all = append(all, s)
	}
	slices.SortFunc(all, func(a, b setting) int { return strings.Compare(a.Key, b.Key) })
	return p.print(all, func(w io.Writer) {
		for _, s := range all {
			fmt.Fprintf(w, "%s\t%s\t%s\n", s.Key, s.Value, s.From)
		}
	})
}
