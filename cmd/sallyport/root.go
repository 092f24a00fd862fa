package main

import (
	"context"
	"fmt"
	"io"

	"github.com/spf13/cobra"
)

// program is what all commands share: where to write and which configuration
// to read.
type program struct {
	stdout, stderr io.Writer
	configPath     string
	output         string
}

// run is the whole program but for the process: it returns the exit code.
// Several goroutines write to stderr, each a whole line at once.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	p := &program{stdout: stdout, stderr: stderr}
	root := p.root() //nolint:contextcheck // each command gets its own from cobra
	root.SetArgs(args)
	err := root.ExecuteContext(ctx)
	if err != nil {
		fmt.Fprintln(stderr, "sallyport:", err)
	}
	return exitCode(err)
}

func (p *program) root() *cobra.Command {
	root := &cobra.Command{
		Use:           "sallyport",
		Short:         "Requests and answers across two networks that never touch",
		SilenceUsage:  true,
		SilenceErrors: true,
		Args:          cobra.NoArgs,
		RunE:          help,
		// Before anything is done: a slip here must not leave a command half told.
		PersistentPreRunE: func(*cobra.Command, []string) error { return p.checkOutput() },
	}
	root.SetOut(p.stdout)
	root.SetErr(p.stderr)
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return &usageError{err} })
	flags := root.PersistentFlags()
	flags.StringVarP(&p.configPath, "config", "C", "sallyport.yaml", "the site's configuration file")
	flags.StringVarP(&p.output, "output", "o", "table", "how to print: table, json or jsonl")
	root.AddCommand(
		p.devCommand(), p.initCommand(), p.serveCommand(), p.doctorCommand(),
		p.migrateCommand(), p.configCommand(),
		p.bundleCommand(), p.mediaCommand(), p.quarantineCommand(), p.queueCommand(), p.workCommand(), p.poisonCommand(), p.linkCommand(), p.keysCommand(),
		p.auditCommand(), p.projectionsCommand(),
		p.requestTypeCommand(), p.profileCommand(), p.settingCommand(), p.userCommand(), p.apiKeyCommand(),
		p.benchCommand(), p.manCommand(), p.versionCommand(), exitCodesTopic(), p.hashCommand(),
	)
	for _, group := range root.Commands() {
		if group.HasSubCommands() && !group.Runnable() { // else cobra takes any word after it and exits 0
			group.Args, group.RunE = cobra.NoArgs, help
		}
	}
	return root
}

func help(cmd *cobra.Command, _ []string) error { return cmd.Help() }

func (p *program) versionCommand() *cobra.Command {
	return &cobra.Command{
		Use: "version", Short: "Print the program's version", Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			return p.print(map[string]string{"version": version}, func(w io.Writer) { fmt.Fprintln(w, version) })
		},
	}
}
