package netstreamflow_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/compose-spec/compose-go/v2/cli"
	"github.com/compose-spec/compose-go/v2/types"
	"github.com/spf13/pflag"

	"github.com/netstreamflow/netstreamflow"
)

// observability is the profile of what watches the service.
const observability = "observability"

func loadCompose(t *testing.T, profiles ...string) *types.Project {
	t.Helper()
	options, err := cli.NewProjectOptions([]string{"docker-compose.yml"}, cli.WithProfiles(profiles))
	if err != nil {
		t.Fatal(err)
	}
	project, err := options.LoadProject(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return project
}

func composeService(t *testing.T, name string) types.ServiceConfig {
	t.Helper()
	service, err := loadCompose(t).GetService(name)
	if err != nil {
		t.Fatal(err)
	}
	return service
}

func TestComposePublishesEachServiceOnLoopback(t *testing.T) {
	project := loadCompose(t, observability)
	ports := map[string]string{
		"kafka": "9092", "kafka-ui": "8080", "netstreamflow": "5000", "prometheus": "9090", "grafana": "3000", "jaeger": "16686",
	}
	if got := len(project.Services); got != len(ports) {
		t.Errorf("%d services, want %d", got, len(ports))
	}
	if got := len(loadCompose(t).Services); got != 3 {
		t.Errorf("%d services without a profile, want 3", got)
	}
	for name, port := range ports {
		service, err := project.GetService(name)
		if err != nil {
			t.Error(err)
			continue
		}
		if len(service.Ports) != 1 || service.Ports[0].Published != port || service.Ports[0].HostIP != "127.0.0.1" {
			t.Errorf("%s publishes %+v, want 127.0.0.1:%s alone", name, service.Ports, port)
		}
	}
}

func TestComposeStartsInOrderOfHealth(t *testing.T) {
	for name, service := range loadCompose(t, observability).Services {
		if service.HealthCheck == nil || service.HealthCheck.Disable || len(service.HealthCheck.Test) == 0 {
			t.Errorf("%s has no health check", name)
		}
		watches := slices.Contains(service.Profiles, observability)
		if dependency := service.DependsOn["kafka"]; name != "kafka" && !watches && dependency.Condition != types.ServiceConditionHealthy {
			t.Errorf("%s waits for kafka to be %q, want %q", name, dependency.Condition, types.ServiceConditionHealthy)
		}
	}
}

func TestComposePinsImages(t *testing.T) {
	for name, service := range loadCompose(t, observability).Services {
		_, tag, tagged := strings.Cut(service.Image, ":")
		if service.Build == nil && (!tagged || tag == "latest") {
			t.Errorf("%s runs %q, want a pinned tag", name, service.Image)
		}
	}
}

func TestComposeRunsKafkaInKRaftMode(t *testing.T) {
	kafka := composeService(t, "kafka")
	environment := kafka.Environment.ToMapping()
	for name, want := range map[string]string{
		"KAFKA_PROCESS_ROLES":            "broker,controller",
		"KAFKA_CONTROLLER_QUORUM_VOTERS": "1@kafka:29093",
		"KAFKA_ADVERTISED_LISTENERS":     "HOST://127.0.0.1:9092,INTERNAL://kafka:29092",
	} {
		if got := environment[name]; got != want {
			t.Errorf("%s is %q, want %q", name, got, want)
		}
	}
	for name := range environment {
		if strings.Contains(name, "ZOOKEEPER") {
			t.Errorf("%s is set, but KRaft needs no ZooKeeper", name)
		}
	}
}

func TestComposeSettingsAreUnderstood(t *testing.T) {
	service := composeService(t, "netstreamflow")
	config := understood(t, service.Environment.ToMapping())
	if want := "kafka://kafka:29092"; config.Broker != want {
		t.Errorf("the broker is %q, want %q", config.Broker, want)
	}
	if config.AdminListen != "0.0.0.0:5001" || !config.InsecureAdmin {
		t.Errorf("Prometheus cannot reach %s", config.AdminListen)
	}
	if grace := service.StopGracePeriod; grace == nil || config.ShutdownTimeout.Seconds() >= float64(*grace)/1e9 {
		t.Errorf("the container is killed after %v, which must be longer than the shutdown time-out of %v", grace, config.ShutdownTimeout)
	}
}

// understood returns what the program makes of the variables of a container.
func understood(t *testing.T, environment map[string]string) netstreamflow.Config {
	t.Helper()
	config, err := configOf(t, environment)
	if err != nil {
		t.Error(err)
	}
	return config
}

func configOf(t *testing.T, environment map[string]string) (netstreamflow.Config, error) {
	t.Helper()
	var environ []string
	for name, value := range environment {
		if !strings.HasPrefix(name, "NETSTREAMFLOW_") && !strings.HasPrefix(name, "OTEL_") {
			t.Errorf("%s is none of the service's variables", name)
		}
		environ = append(environ, name+"="+value)
	}
	config := netstreamflow.DefaultConfig()
	if err := config.Load(pflag.NewFlagSet("serve", pflag.ContinueOnError), environ); err != nil {
		return config, err
	}
	return config, config.Validate()
}

// TestComposeFindsItsFiles looks for what is mounted, and for where Prometheus looks for the service.
func TestComposeFindsItsFiles(t *testing.T) {
	for name, service := range loadCompose(t, observability).Services {
		for _, volume := range service.Volumes {
			if _, err := os.Stat(volume.Source); volume.Type == types.VolumeTypeBind && (err != nil || !volume.ReadOnly) {
				t.Errorf("%s mounts %s to be written, or in vain: %v", name, volume.Source, err)
			}
		}
	}
	for file, want := range map[string]string{
		"deploy/prometheus/prometheus.yml":                           `["netstreamflow:5001"]`,
		"deploy/grafana/provisioning/datasources/netstreamflow.yaml": "http://prometheus:9090",
	} {
		if content, err := os.ReadFile(file); err != nil || !strings.Contains(string(content), want) {
			t.Errorf("%s does not name %s: %v", file, want, err)
		}
	}
}

func TestComposeBuildsFromADockerfileThatExists(t *testing.T) {
	build := composeService(t, "netstreamflow").Build
	if build == nil {
		t.Fatal("the service is not built from the checkout")
	}
	if _, err := os.Stat(filepath.Join(build.Context, build.Dockerfile)); err != nil {
		t.Error(err)
	}
}

func TestDockerfiles(t *testing.T) {
	for _, file := range []string{"Dockerfile", "Dockerfile.confluent"} {
		t.Run(file, func(t *testing.T) { testDockerfile(t, finalStage(t, file)) })
	}
}

func testDockerfile(t *testing.T, final []instruction) {
	t.Helper()
	for name, want := range map[string]string{
		"ENTRYPOINT": `["/netstreamflow"]`,
		"CMD":        `["serve"]`,
		"EXPOSE":     "5000",
		"USER":       "65532:65532",
	} {
		if got := argument(final, name); got != want {
			t.Errorf("%s is %s, want %s", name, got, want)
		}
	}
	_, probe, _ := strings.Cut(argument(final, "HEALTHCHECK"), "CMD ")
	var command []string
	if err := json.Unmarshal([]byte(probe), &command); err != nil || !slices.Equal(command, []string{"/netstreamflow", "health"}) {
		t.Errorf("HEALTHCHECK runs %s, want /netstreamflow health", probe)
	}
	environment := make(map[string]string)
	for assignment := range strings.FieldsSeq(argument(final, "ENV")) {
		name, value, _ := strings.Cut(assignment, "=")
		environment[name] = value
	}
	// Who starts the image decides who may call.
	if config, err := configOf(t, environment); err == nil || !strings.Contains(err.Error(), "--insecure-no-auth") {
		t.Errorf("the image starts with authentication %q for everybody: %v", config.Auth, err)
	}
	environment["NETSTREAMFLOW_INSECURE_NO_AUTH"] = "true"
	if config := understood(t, environment); config.Listen != "0.0.0.0:5000" {
		t.Errorf("the container listens on %s, want 0.0.0.0:5000", config.Listen)
	}
}

type instruction struct{ name, argument string }

var continuation = regexp.MustCompile(`\\\n\s*`)

// finalStage returns the instructions of the stage that becomes the image.
func finalStage(t *testing.T, file string) []instruction {
	t.Helper()
	content, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var stage []instruction
	for line := range strings.Lines(continuation.ReplaceAllString(string(content), "")) {
		name, rest, _ := strings.Cut(strings.TrimSpace(line), " ")
		switch {
		case name == "" || strings.HasPrefix(name, "#"):
			continue
		case name == "FROM":
			stage = nil
		}
		stage = append(stage, instruction{name, rest})
	}
	return stage
}

func argument(stage []instruction, name string) string {
	for _, i := range stage {
		if i.name == name {
			return i.argument
		}
	}
	return ""
}
