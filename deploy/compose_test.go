package deploy

import (
	"bytes"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

// service has every key that the file uses, so that a misspelt one is an error.
type service struct {
	Image       string
	Build       any
	Command     []string
	Environment map[string]string
	User        string
	Init        bool
	Restart     string
	ReadOnly    bool     `yaml:"read_only"`
	CapDrop     []string `yaml:"cap_drop"`
	CapAdd      []string `yaml:"cap_add"`
	SecurityOpt []string `yaml:"security_opt"`
	Tmpfs       []string
	ShmSize     string `yaml:"shm_size"`
	StopGrace   string `yaml:"stop_grace_period"`
	NetworkMode string `yaml:"network_mode"`
	Networks    []string
	Ports       []string
	Volumes     []string
	Healthcheck *struct {
		Test        []string
		Interval    string
		Timeout     string
		StartPeriod string `yaml:"start_period"`
		Retries     int
	}
	DependsOn map[string]struct{ Condition string } `yaml:"depends_on"`
}

type compose struct {
	Name             string
	Site             any `yaml:"x-site"`
	Tool             any `yaml:"x-tool"`
	Postgres         any `yaml:"x-postgres"`
	Redis            any `yaml:"x-redis"`
	SiteEnvironment  any `yaml:"x-site-environment"`
	OwnerEnvironment any `yaml:"x-owner-environment"`
	Services         map[string]service
	Networks         map[string]struct{ Internal bool }
	Volumes          map[string]struct{}
}

// sites are the two halves of the file: the first part of a service's or volume's name, and its networks.
func sites() map[string][]string {
	return map[string][]string{"field": {"request-net", "request-door"}, "core": {"response-net", "response-door"}}
}

func TestOnlyTheCourierSeesBothSites(t *testing.T) {
	t.Parallel()
	for name, service := range load(t).Services {
		seen := map[string]bool{}
		for _, volume := range service.Volumes {
			site, _, _ := strings.Cut(volume, "-")
			seen[site] = seen[site] || !strings.HasPrefix(volume, "./")
		}
		both := seen["field"] && seen["core"]
		if both != (name == "courier") {
			t.Errorf("%s mounts volumes of %v", name, seen)
		}
		if site := siteOf(name); site != "" && !both && len(service.Volumes) > 0 && !seen[site] {
			t.Errorf("%s mounts volumes of another site: %v", name, service.Volumes)
		}
	}
}

func TestTheCourierSeesNothingButWhatIsCarried(t *testing.T) {
	t.Parallel()
	courier := load(t).Services["courier"]
	for _, volume := range courier.Volumes {
		source, _, _ := strings.Cut(volume, ":")
		_, what, _ := strings.Cut(source, "-")
		if !slices.Contains([]string{"outbox", "inbox", "cards"}, what) && source != "./deploy/compose/courier.sh" {
			t.Errorf("the courier mounts %s", source)
		}
	}
	if courier.NetworkMode != "none" || len(courier.Networks) != 0 {
		t.Errorf("the courier is on a network: %q %v", courier.NetworkMode, courier.Networks)
	}
}

func TestNoNetworkIsShared(t *testing.T) {
	t.Parallel()
	file := load(t)
	for name, service := range file.Services {
		if service.NetworkMode == "none" && len(service.Networks) == 0 {
			continue
		}
		if service.NetworkMode != "" || len(service.Networks) == 0 {
			t.Errorf("%s: network_mode %q, networks %v: it would be on Docker's default network", name, service.NetworkMode, service.Networks)
		}
		for _, network := range service.Networks {
			if !slices.Contains(sites()[siteOf(name)], network) {
				t.Errorf("%s is on %s", name, network)
			}
		}
	}
	if !file.Networks["request-net"].Internal || !file.Networks["response-net"].Internal {
		t.Error("the networks of the databases lead outside")
	}
}

func TestOnlyTheSitesPublishPorts(t *testing.T) {
	t.Parallel()
	want := map[string]string{"field": "8001:8001", "core": "8000:8000"}
	for name, service := range load(t).Services {
		for _, port := range service.Ports {
			if want[name] == "" || port != "${SALLYPORT_BIND:-127.0.0.1}:"+want[name] {
				t.Errorf("%s publishes %s", name, port)
			}
		}
		if want[name] != "" && len(service.Ports) != 1 {
			t.Errorf("%s publishes %v", name, service.Ports)
		}
	}
}

func TestWhatKeepsRunningIsWatched(t *testing.T) {
	t.Parallel()
	file := load(t)
	for name, service := range file.Services {
		if (service.Restart != "") != (service.Healthcheck != nil) {
			t.Errorf("%s: restart %q and health check %v", name, service.Restart, service.Healthcheck)
		}
		for other, depends := range service.DependsOn {
			needed, there := file.Services[other]
			want := "service_completed_successfully"
			if needed.Restart != "" {
				want = "service_healthy"
			}
			if !there || depends.Condition != want {
				t.Errorf("%s depends on %s: %s, expected %s", name, other, depends.Condition, want)
			}
			if name != "courier" && siteOf(other) != siteOf(name) {
				t.Errorf("%s depends on %s of the other site", name, other)
			}
		}
	}
	for _, needed := range []string{"field", "field-postgres", "field-redis", "core", "core-postgres", "core-redis", "courier"} {
		if file.Services[needed].Restart == "" {
			t.Errorf("%s is missing or does not come back by itself", needed)
		}
	}
}

func TestNoSecretIsAValue(t *testing.T) {
	t.Parallel()
	for name, service := range load(t).Services {
		for key, value := range service.Environment {
			secret := strings.Contains(key, "PASSWORD") || strings.Contains(key, "DATABASE")
			if secret && (!strings.HasSuffix(key, "_FILE") || !strings.HasPrefix(value, "/run/site/") && !strings.HasPrefix(value, "/run/owner/")) || strings.Contains(value, "@") {
				t.Errorf("%s: %s is no file of the secrets volume", name, key)
			}
		}
	}
}

// What runs must not know the login that may change the schema and so the log.
func TestOnlyInitKnowsTheDatabasesOwner(t *testing.T) {
	t.Parallel()
	for name, service := range load(t).Services {
		_, told := service.Environment["SALLYPORT_DATABASE_MIGRATE_URL_FILE"]
		mounted := slices.ContainsFunc(service.Volumes, func(v string) bool { return strings.Contains(v, "-owner:") })
		if init := strings.HasSuffix(name, "-init"); told != init || mounted != (init || strings.HasSuffix(name, "-secrets")) {
			t.Errorf("%s: told of the owner %v, its secret mounted %v", name, told, mounted)
		}
	}
}

func TestEveryVolumeIsDeclaredAndUsed(t *testing.T) {
	t.Parallel()
	file := load(t)
	used := map[string]bool{}
	for name, service := range file.Services {
		for _, volume := range service.Volumes {
			source, _, _ := strings.Cut(volume, ":")
			used[source] = true
			if script, isScript := strings.CutPrefix(source, "./deploy/"); isScript {
				mustBeExecutable(t, script)
			} else if _, declared := file.Volumes[source]; !declared {
				t.Errorf("%s mounts %s, which is not declared", name, source)
			}
		}
	}
	for volume := range file.Volumes {
		if !used[volume] {
			t.Errorf("volume %s is not used", volume)
		}
	}
}

// TestComposeAgrees asks Docker's own reader where there is one.
func TestComposeAgrees(t *testing.T) {
	t.Parallel()
	if err := exec.CommandContext(t.Context(), "docker", "compose", "version").Run(); err != nil {
		t.Logf("docker compose is not on this machine (%v): the file was checked by this package's own rules only", err)
		return
	}
	check := exec.CommandContext(t.Context(), "docker", "compose", "-f", "../docker-compose.yml", "config", "-q")
	if out, err := check.CombinedOutput(); err != nil {
		t.Errorf("docker compose config: %v\n%s", err, out)
	}
}

func load(t *testing.T) compose {
	t.Helper()
	text, err := os.ReadFile("../docker-compose.yml")
	if err != nil {
		t.Fatal(err)
	}
	var file compose
	strict := yaml.NewDecoder(bytes.NewReader(text))
	strict.KnownFields(true)
	if err := strict.Decode(&file); err != nil {
		t.Fatal(err)
	}
	if len(file.Services) < 7 {
		t.Fatalf("only %d services", len(file.Services))
	}
	return file
}

// siteOf is empty for the courier.
func siteOf(service string) string {
	site, _, _ := strings.Cut(service, "-")
	if sites()[site] == nil {
		return ""
	}
	return site
}

func mustBeExecutable(t *testing.T, path string) {
	t.Helper()
	info, err := os.Stat(path)
	if err != nil {
		t.Error(err)
		return
	}
	if info.Mode()&0o111 == 0 {
		t.Errorf("%s is not executable", path)
	}
}
