package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"sallyport/bridge"
	"sallyport/internal/boot"
)

// untrustedCard is a card whose fingerprint is not the one that was compared.
type untrustedCard struct{ error }

func (p *program) linkCard() *cobra.Command {
	return &cobra.Command{
		Use: "card", Short: "Show this site's own card and fingerprint", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return p.withSite(cmd.Context(), func(s *boot.Site) error {
				if _, err := s.Bridge.OwnKeys(cmd.Context()); err != nil { // another program may have changed the key
					return err
				}
				card := s.Bridge.Card()
				return p.print(card, func(w io.Writer) {
					fmt.Fprintf(w, "%s\nfingerprint\t%s\nwords\t%s\n", card.Encode(), card.Fingerprint(), card.Words())
				})
			})
		},
	}
}

func (p *program) linkList() *cobra.Command {
	return &cobra.Command{
		Use: "list", Short: "List the links with the keys that are believed", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return p.withSite(cmd.Context(), func(s *boot.Site) error {
				all, err := s.Bridge.PeerKeys(cmd.Context())
				if err != nil {
					return err
				}
				return p.print(all, func(w io.Writer) {
					fmt.Fprintln(w, "PEER\tROLE\tKEY\tSINCE\tROTATION\tFINGERPRINT")
					for _, k := range all {
						fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\n", k.Peer, k.Role, k.KeyID, k.Since, rotationWords(k), k.Fingerprint)
					}
				})
			})
		},
	}
}

// rotationWords says how far two sites are with new keys.
func rotationWords(k bridge.PeerKeys) string {
	var parts []string
	if k.NextID != "" {
		parts = append(parts, "goes on to "+k.NextID)
	}
	if k.OurNext != "" {
		parts = append(parts, map[string]string{"untold": "not told of our next key", "told": "told of our next key", "known": "knows our next key"}[k.OurNext])
	}
	if len(parts) == 0 {
		return "none"
	}
	return strings.Join(parts, "; ")
}

// adding are the flags of link add.
type adding struct {
	fingerprint string
	replace     bool
	refounded   bool
	lastValid   int64
}

func (p *program) linkAdd() *cobra.Command {
	var a adding
	cmd := &cobra.Command{
		Use: "add CARD", Short: "Trust the site of a card whose fingerprint was compared by another way", Args: cobra.ExactArgs(1),
		Long: `Trust the site of a card. Compare its fingerprint first, by another way than the card
came: by telephone or in person, as digits or as words. On a terminal you are asked
whether you did; --fingerprint compares what you were told, in either form.

--replace puts a new card of a linked site in the place of its old one: its key was
stolen or lost. The old key is then believed only in bundles up to --last-valid, and
not at all without it.

--refounded goes on with a linked site that was restored and has founded its log anew:
its new card differs in the epoch alone.`,
		RunE: func(cmd *cobra.Command, args []string) error {
			if cmd.Flags().Changed("last-valid") && !a.replace {
				return &usageError{errors.New("--last-valid is about the key that --replace gives up; nothing was changed")}
			}
			if a.refounded && a.replace {
				return &usageError{errors.New("--refounded and --replace are two steps: a new epoch first, a new key then; nothing was changed")}
			}
			card, err := readCard(args[0])
			if err != nil {
				return &usageError{err}
			}
			if err := p.compare(cmd.InOrStdin(), card, a.fingerprint); err != nil {
				return err
			}
			return p.withSite(cmd.Context(), func(s *boot.Site) error {
				switch {
				case a.replace:
					err = s.Bridge.ReplaceCard(cmd.Context(), card, a.lastValid, actor())
				case a.refounded:
					err = s.Bridge.Refounded(cmd.Context(), card, actor())
				default:
					err = s.Bridge.AddLink(cmd.Context(), card, actor())
				}
				if err == nil {
					p.say("linked to %s; its fingerprint is %s", card.Name, card.Fingerprint())
				}
				return err
			})
		},
	}
	f := cmd.Flags()
	f.StringVar(&a.fingerprint, "fingerprint", "", "the fingerprint that the people there read to you, digits or words: the card is refused if it has another")
	f.BoolVar(&a.replace, "replace", false, "the card takes the place of the one that the site is linked with")
	f.BoolVar(&a.refounded, "refounded", false, "the linked site was restored and has founded its log anew")
	f.Int64Var(&a.lastValid, "last-valid", 0, "the last bundle's number that the replaced key is believed for; 0: none")
	return cmd
}

// compare holds a card against the fingerprint that was read to the person, or
// asks on a terminal. A script without either has compared it before.
func (p *program) compare(stdin io.Reader, card bridge.Card, told string) error {
	switch {
	case told != "" && !card.HasFingerprint(told):
		return &untrustedCard{fmt.Errorf("the card of %s has another fingerprint than the one given: it is %s (%s); do not use this card, find out who made it; nothing was changed", card.Name, card.Fingerprint(), card.Words())}
	case told != "":
		return nil
	}
	p.say("card of %s, a %s site\n  fingerprint  %s\n  words        %s", card.Name, card.Role, card.Fingerprint(), card.Words())
	if f, ok := stdin.(*os.File); ok && term.IsTerminal(int(f.Fd())) {
		return p.ask(stdin, card)
	}
	return nil
}

// maxAnswer bounds an answer, in bytes.
const maxAnswer = 100

func (p *program) ask(stdin io.Reader, card bridge.Card) error {
	fmt.Fprintf(p.stderr, "Have the people of %s read this to you, by another way than the card came? yes or no: ", card.Name)
	answer, err := bufio.NewReader(io.LimitReader(stdin, maxAnswer)).ReadString('\n')
	if err != nil && !errors.Is(err, io.EOF) {
		return fmt.Errorf("read the answer: %w; nothing was changed", err)
	}
	if a := strings.ToLower(strings.TrimSpace(answer)); a != "yes" && a != "y" {
		return &untrustedCard{fmt.Errorf("the card of %s was not compared; nothing was changed: compare it, then add it", card.Name)}
	}
	return nil
}
