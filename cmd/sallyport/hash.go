package main

import (
	"os"

	"github.com/spf13/cobra"

	"sallyport/internal/boot"
	"sallyport/internal/password"
)

// hashCommand is not for people, who do not see it: a server runs it.
func (p *program) hashCommand() *cobra.Command {
	return &cobra.Command{
		Use: boot.HashCommand, Short: "Hash passwords for the server that started this process", Hidden: true, Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error { return password.Serve(os.Stdin, p.stdout) },
	}
}

// ownFile is where this program lies, or empty if the system does not say.
func ownFile() string {
	file, _ := os.Executable()
	return file
}
