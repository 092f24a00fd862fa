package boot

import (
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"sallyport/domain"
)

func TestServicesOfTheConfiguration(t *testing.T) {
	t.Parallel()
	good := Service{URL: "https://orders.example/api", Allow: []string{"10.1.0.0/16"}, HeaderFiles: map[string]string{"Authorization": "/x"}}
	r := Responders{Services: map[string]Service{"orders": good}, Concurrency: map[string]int{"http/orders": 2}}
	if err := r.checkServices(); err != nil || r.checkConcurrency() != nil || !maps.Equal(r.atOnce(), map[string]int{"http/orders": 2}) {
		t.Errorf("%v, %v", err, r.atOnce())
	}
	for source, want := range map[string]bool{"orders": true, "gone": false} {
		if setting, known := r.knows(domain.ResponderConfigured{Kind: domain.ResponderHTTP, Source: source}); known != want || setting != "responders.services" {
			t.Errorf("%s: %s, %t", source, setting, known)
		}
	}
	bad := Responders{Services: map[string]Service{"X": {URL: "ftp://hunter2", Allow: []string{"ten"}, HeaderFiles: map[string]string{"X-Key": ""}}}}
	bad.Services["inner"] = Service{URL: "http://10.1.0.7/api", Allow: []string{"10.2.0.0/16"}}
	err := bad.checkServices()
	for _, want := range []string{"services.X: the name", "services.X.url: must be", "services.inner.url: its address is not public", `services.X.allow: "ten"`, "services.X.header_files.X-Key"} {
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%v does not say %s", err, want)
		}
	}
}

func TestServicesAreOpenedByTheirFiles(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "header")
	if err := os.WriteFile(file, []byte("Bearer hunter2\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	service := Service{URL: "https://orders.example", HeaderFiles: map[string]string{"Authorization": file}}
	site := &Site{Config: Config{Responders: Responders{Services: map[string]Service{"orders": service}}}}
	r, err := site.services()
	if err != nil {
		t.Fatal(err)
	}
	r.Close()
	for what, wrong := range map[string]Service{"no such file": {URL: service.URL, CAFile: file + "x"}, "ca_file": {URL: service.URL, CAFile: file}} {
		site.Config.Responders.Services["orders"] = wrong
		if _, err := site.services(); err == nil || !strings.Contains(err.Error(), what) || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s: %v", what, err)
		}
	}
}
