package boot

import (
	"bytes"
	"fmt"
	"os"

	"go.yaml.in/yaml/v3"
)

// WithoutOwner is the configuration of a site that runs: what owns the database
// is for init and migrate alone, and comes from their environment.
func (c Config) WithoutOwner() Config {
	c.Database.MigrateURL, c.Database.MigrateURLFile = "", ""
	return c
}

// Write writes the configuration to a file that only its owner may read: it
// may hold the database's password. A file that says the same stays as it is.
func (c Config) Write(path string) error {
	var b bytes.Buffer
	enc := yaml.NewEncoder(&b)
	enc.SetIndent(2)
	if err := enc.Encode(c); err != nil {
		return fmt.Errorf("write the configuration: %w", err)
	}
	if old, err := os.ReadFile(path); err == nil && bytes.Equal(old, b.Bytes()) {
		return nil
	}
	if err := os.WriteFile(path, b.Bytes(), 0o600); err != nil {
		return fmt.Errorf("write the configuration: %w", err)
	}
	return nil
}
