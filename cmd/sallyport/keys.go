package main

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"sallyport/bridge"
	"sallyport/internal/boot"
)

func (p *program) keysCommand() *cobra.Command {
	c := &cobra.Command{Use: "keys", Short: "Look at this site's own keys, and change the one that signs"}
	c.AddCommand(p.keysShow(), p.keysRotate())
	return c
}

func (p *program) keysShow() *cobra.Command {
	return &cobra.Command{
		Use: "show", Short: "Show the public side of this site's keys, and whom a rotation waits for", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return p.withSite(cmd.Context(), func(s *boot.Site) error { return p.showKeys(cmd, s) })
		},
	}
}

func (p *program) showKeys(cmd *cobra.Command, s *boot.Site) error {
	k, err := s.Bridge.OwnKeys(cmd.Context())
	if err != nil {
		return err
	}
	return p.print(k, func(w io.Writer) { printKeys(w, k) })
}

func printKeys(w io.Writer, k bridge.OwnKeys) {
	fmt.Fprintf(w, "signs\t%s\nfingerprint\t%s\nwords\t%s\n", k.Key, k.Fingerprint, k.Words)
	if r := k.Rotation; r != nil {
		fmt.Fprintf(w, "next\t%s\nbegun\t%s by %s\n", r.Next, r.BegunAt, r.BegunBy)
		for _, peer := range r.Peers {
			fmt.Fprintf(w, "  %s\t%s\n", peer.Peer, toldWords(peer))
		}
	}
	for _, old := range k.Old {
		fmt.Fprintf(w, "old\t%s, until %s\n", old.ID, old.Until)
	}
}

func toldWords(peer bridge.ToldPeer) string {
	switch {
	case peer.Knows:
		return "knows the next key"
	case peer.Told:
		return "was told of it and has not answered: carry both ways"
	default:
		return "was not told yet: the next export tells it"
	}
}

func (p *program) keysRotate() *cobra.Command {
	var finish, tokens, stolen bool
	cmd := &cobra.Command{
		Use: "rotate", Short: "Change the key that signs, as soon as every linked peer knows the next one",
		Long: `Change the key that signs. From now on everything is signed by the old and the next
key and shows the next one. When every linked peer has answered, the next key signs
alone; a running site does that by itself. Until then ` + "`sallyport keys show`" + ` says who is
waited for, and this command begins nothing anew.

--finish goes on at once, without the peers that have not answered. They refuse what
this site sends until somebody brings them its new site card. Do that when a peer is
lost, or when the key was stolen: then every peer needs the new card anyway, with
` + "`sallyport link add CARD --replace --last-valid NUMBER`" + `.

--tokens changes the key that signs access tokens, which only this site uses. Running
servers take it up by themselves, and the old one is believed until its last token
has expired: nobody is logged out. With --stolen the old one is believed no more.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if tokens && finish {
				return &usageError{errors.New("--tokens has nothing to finish: no peer knows that key; nothing was changed")}
			}
			if stolen && !tokens {
				return &usageError{errors.New("--stolen is for --tokens: a stolen signing key is replaced by --finish and a new card; nothing was changed")}
			}
			return p.withSite(cmd.Context(), func(s *boot.Site) error {
				if tokens {
					return p.rotateTokens(cmd, s, stolen)
				}
				if err := p.rotate(cmd, s, finish); err != nil {
					return err
				}
				return p.showKeys(cmd, s)
			})
		},
	}
	cmd.Flags().BoolVar(&tokens, "tokens", false, "change the key of access tokens instead, which no peer knows")
	cmd.Flags().BoolVar(&stolen, "stolen", false, "with --tokens: believe the old key no more; clients refresh their tokens")
	cmd.Flags().BoolVar(&finish, "finish", false, "end the rotation that runs, without the peers that have not answered")
	return cmd
}

// rotateTokens changes the key of access tokens. Servers that run take it up
// from the file by themselves.
func (p *program) rotateTokens(cmd *cobra.Command, s *boot.Site, stolen bool) error {
	made, err := s.RotateTokenKey(cmd.Context(), by(), stolen)
	if err != nil {
		return err
	}
	return p.print(made, func(w io.Writer) {
		fmt.Fprintf(w, "key\t%s\nsigns from\t%s\n", made.KeyID, made.SignsFrom.Format(time.RFC3339))
		if stolen {
			fmt.Fprintln(w, "old keys\tare not believed any more: clients refresh, nobody has to log in")
		} else {
			fmt.Fprintf(w, "old key\tis believed until %s: nobody is logged out\n", made.OldUntil.Format(time.RFC3339))
		}
	})
}

func (p *program) rotate(cmd *cobra.Command, s *boot.Site, finish bool) error {
	if !finish {
		return s.Bridge.RotateKey(cmd.Context(), actor())
	}
	without, err := s.Bridge.FinishRotation(cmd.Context(), actor())
	if err == nil && len(without) > 0 {
		p.say("warning: %s never answered and will refuse what this site signs: take the new %s there, compare its fingerprint by another way, and there: sallyport link add CARD --replace",
			strings.Join(without, ", "), s.Config.CardPath())
	}
	return err
}
