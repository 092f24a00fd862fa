package reach

import (
	"errors"
	"net/netip"
	"testing"
)

// However an address of this machine is written, it is refused before anything
// is called, unless its network is allowed.
func TestCheckGiven(t *testing.T) {
	t.Parallel()
	public, allowing := NewGuard(nil), NewGuard([]netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")})
	for host, allowed := range map[string]bool{
		"127.0.0.1": true, "127.0.0.1.": true, "::ffff:127.0.0.1": true, "localhost": true, "LOCALHOST.": true, "hook.localhost": true,
		"::1": false, "10.0.0.1": false, "127.1": false, "2130706433": false, "0x7f.1": false, "0x7F000001": false, "1.2.3.0x": false,
	} {
		if err := public.CheckGiven(host); !errors.Is(err, ErrAddress) {
			t.Errorf("%s: %v", host, err)
		}
		if err := allowing.CheckGiven(host); (err == nil) != allowed {
			t.Errorf("%s where 127.0.0.0/8 is allowed: %v", host, err)
		}
	}
	for _, host := range []string{"example.org", "example.org.", "203.0.114.7", "2001:4860::1", "localhost.example.org", "1.example", "x0x7f", "xn--bcher-kva.example"} {
		if err := public.CheckGiven(host); err != nil {
			t.Errorf("%s: %v", host, err)
		}
	}
}
