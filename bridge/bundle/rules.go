package bundle

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"filippo.io/age"
)

// maxInt is the largest integer that every JSON reader keeps exact (RFC 7493,
// section 2.2).
const maxInt = 1<<53 - 1

// TimeLayout is the one way a time is written: UTC, microseconds, 27 characters.
const TimeLayout = "2006-01-02T15:04:05.000000Z"

// FormatTime writes t in [TimeLayout].
func FormatTime(t time.Time) string { return t.UTC().Format(TimeLayout) }

// check holds the rules a manifest keeps beyond its shape. Both the writer and
// the reader call it, so neither can disagree with the other.
func (m Manifest) check() error {
	return errors.Join(
		m.Core.check(),
		rule(isCount(m.Head.Position) && isCount(m.Head.Seq), "head is out of range"),
		m.checkPayload(),
		m.checkAck(),
		m.checkSigners(),
	)
}

func (c Core) check() error {
	return errors.Join(
		c.Span.check(),
		rule(c.PlainBytes > 0 && c.PlainBytes <= maxInt, "core.plain_bytes is out of range"),
	)
}

func (s Span) check() error {
	err := errors.Join(
		rule(s.Format == Format, "core.format is not "+Format),
		rule(isSite(s.From) && isSite(s.To) && (s.From != s.To || s.Kind.ofPeople()), "core.from and core.to are not two site names"),
		rule(isHex(s.Epoch, 32), "core.epoch is not 32 hex digits"),
		rule(s.Prev == "" || isHex(s.Prev, 64), "core.prev is neither empty nor 64 hex digits"),
		rule(isCount(s.Range.After) && isCount(s.Range.Through), "core.range is out of range"),
		rule(s.Seq <= maxSeq, "core.seq is out of range"),
	)
	switch s.Kind {
	case Data, Return:
		err = errors.Join(err,
			rule(s.Seq >= 1, "core.seq is below 1"),
			rule(s.Range.After < s.Range.Through, "core.range is empty"))
	case Audit:
		err = errors.Join(err,
			rule(s.Seq == 0 && s.Prev == "", "an audit export has a core.seq or core.prev, and is on no link"),
			rule(s.Range.After < s.Range.Through, "core.range is empty"))
	case Archive:
		return errors.Join(err,
			rule(s.From == s.To, "an archive is of another site than it is for"),
			rule(s.Seq >= 1 && (s.Prev == "") == (s.Seq == 1), "core.seq is below 1, or core.prev is not told or of nothing"),
			rule(s.Range.After < s.Range.Through, "core.range is empty"),
			rule(s.Chain == ChainEnds{}, "an archive has a chain"))
	case Beacon:
		err = errors.Join(err,
			rule(s.Seq >= 0, "core.seq is below 0"),
			rule(s.Range.After == s.Range.Through && s.Chain.After == s.Chain.Through, "a beacon's core.range is not empty"))
	default:
		err = errors.Join(err, errors.New("core.kind is unknown"))
	}
	if s.Range.After == 0 {
		err = errors.Join(err, rule(s.Chain.After == Start(s.Epoch, s.Origin()), "core.chain.after is not the start of this log"))
	}
	return err
}

// checkPayload holds that exactly one of frames and encryption is there, and
// that the frames tile the payload without a gap.
func (m Manifest) checkPayload() error {
	if m.Payload.Bytes <= 0 || m.Payload.Bytes > maxInt {
		return errors.New("payload.bytes is out of range")
	}
	if m.Encryption != nil {
		return errors.Join(
			rule(len(m.Frames) == 0, "frames are listed for an encrypted payload"),
			checkRecipients(m.Encryption.Recipients))
	}
	var offset, plain int64
	for i, f := range m.Frames {
		if f.Offset != offset || f.Bytes <= 0 || f.Bytes > m.Payload.Bytes-offset ||
			f.PlainBytes <= 0 || f.PlainBytes > m.Core.PlainBytes-plain ||
			f.First <= m.Core.Range.After || f.First > maxInt || f.Events < 0 || f.Events > math.MaxInt32 {
			return fmt.Errorf("frames[%d] does not follow from the one before", i)
		}
		offset, plain = offset+f.Bytes, plain+f.PlainBytes
	}
	return rule(offset == m.Payload.Bytes && plain == m.Core.PlainBytes, "frames do not add up to the payload")
}

func checkRecipients(list []string) error {
	if len(list) == 0 || len(list) > maxSigners {
		return errors.New("encryption.recipients lists none or too many")
	}
	_, err := parseRecipients(list)
	return err
}

// parseRecipients reads age's native public keys, X25519 and hybrid.
func parseRecipients(list []string) ([]age.Recipient, error) {
	var out []age.Recipient
	for _, s := range list {
		// age takes comments, white space and upper case too; a manifest has one form.
		if len(s) > 4096 || !strings.HasPrefix(s, "age1") || strings.Trim(s, lower+digits) != "" {
			return nil, errRecipient
		}
		r, err := age.ParseRecipients(strings.NewReader(s))
		if err != nil || len(r) != 1 {
			return nil, errRecipient
		}
		out = append(out, r[0])
	}
	return out, nil
}

func (m Manifest) checkAck() error {
	a := m.Ack
	if a == nil {
		return nil
	}
	if m.Core.Kind.ofPeople() {
		return errors.New("what is for people acknowledges something")
	}
	bySeq := func(x, y Rejection) int { return int(min(max(x.Seq-y.Seq, -1), 1)) }
	return errors.Join(
		rule(isHex(a.Epoch, 32) && isHex(a.Incarnation, 32), "ack.epoch or ack.incarnation is not 32 hex digits"),
		rule(isCount(a.No) && a.No >= 1 && isCount(a.Seq) && a.Seq <= maxSeq && isCount(a.Position), "a number in ack is out of range"),
		rule(ascending(a.Missing, func(x, y int64) int { return int(min(max(x-y, -1), 1)) }), "ack.missing is not ascending"),
		rule(ascending(a.Rejected, bySeq), "ack.rejected is not ascending"),
		rule(ascending(a.Understands, strings.Compare), "ack.understands is not sorted"),
		rule(!slices.ContainsFunc(a.Missing, func(n int64) bool { return n < 1 || n > maxSeq }), "ack.missing is out of range"),
		rule(!slices.ContainsFunc(a.Rejected, func(r Rejection) bool { return r.Seq < 1 || r.Seq > maxSeq || !r.Code.known() }),
			"ack.rejected is out of range"),
		rule(!slices.ContainsFunc(a.Understands, notVersion), "ack.understands lists what is no event version"),
		rule(a.Seen == nil || isHex(a.Seen.Incarnation, 32) && isCount(a.Seen.No) && a.Seen.No >= 1, "ack.seen names no manifest"),
	)
}

// notVersion reports whether s is not "<noun>.<past participle>.v<number>".
func notVersion(s string) bool {
	noun, rest, _ := strings.Cut(s, ".")
	verb, number, _ := strings.Cut(rest, ".v")
	n, err := strconv.Atoi(number)
	return err != nil || n < 1 || n > 999_999 || strconv.Itoa(n) != number || !isWord(noun) || !isWord(verb)
}

func isWord(s string) bool {
	return s != "" && len(s) <= 64 && strings.Trim(s, lower+"_") == ""
}

func (m Manifest) checkSigners() error {
	if len(m.Signers) == 0 || len(m.Signers) > maxSigners {
		return errors.New("signers lists none or too many")
	}
	seen := make(map[string]bool, len(m.Signers))
	for _, id := range m.Signers {
		name, hash, _ := strings.Cut(id, "+")
		if !isSite(name) || !isHex(hash, 8) || seen[id] {
			return errors.New("signers lists what is no key id, or one twice")
		}
		seen[id] = true
	}
	if m.NextKey != "" {
		if name, _, err := ParseVerifierKey(m.NextKey); err != nil || name != m.Core.From {
			return errors.New("next_key is no key of the sender")
		}
	}
	t, err := time.Parse(TimeLayout, m.CreatedAt)
	return rule(err == nil && FormatTime(t) == m.CreatedAt, "created_at is not a time of 27 characters")
}

func (c Code) known() bool {
	return slices.Contains([]Code{Damaged, Incomplete, Gap, Duplicate, Fork, Untrusted, Refused, Upgrade}, c)
}

func isCount(n int64) bool { return n >= 0 && n <= maxInt }

// ascending reports whether list is sorted without doubles.
func ascending[T any](list []T, cmp func(a, b T) int) bool {
	for i := 1; i < len(list); i++ {
		if cmp(list[i-1], list[i]) >= 0 {
			return false
		}
	}
	return true
}

const (
	lower  = "abcdefghijklmnopqrstuvwxyz"
	digits = "0123456789"
)

var errRecipient = errors.New("an encryption recipient is no age public key")

func rule(ok bool, broken string) error {
	if ok {
		return nil
	}
	return errors.New(broken)
}
