package netstreamflow_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"
)

// kubernetesSettings adds the settings that a kustomization makes to the environment. That the manifests are whole is tested by
// the module in test/manifests.
func kubernetesSettings(t *testing.T, environment map[string]string, overlay string) {
	t.Helper()
	content, err := os.ReadFile(filepath.Join("deploy", "kubernetes", overlay, "kustomization.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	var kustomization struct {
		ConfigMapGenerator []struct{ Literals []string } `yaml:"configMapGenerator"`
	}
	if err := yaml.Unmarshal(content, &kustomization); err != nil {
		t.Fatal(err)
	}
	for _, generator := range kustomization.ConfigMapGenerator {
		for _, literal := range generator.Literals {
			name, value, _ := strings.Cut(literal, "=")
			if strings.HasSuffix(name, "_FILE") {
				value = file(t, "secret") // the real one is in the pod
			}
			environment[name] = value
		}
	}
}

func TestKubernetesSettingsAreUnderstood(t *testing.T) {
	for name, overlays := range map[string][]string{
		"embedded": {"embedded"}, "kafka-postgres": {"kafka-postgres"}, "example": {"kafka-postgres", "overlays/example"},
	} {
		t.Run(name, func(t *testing.T) {
			environment := map[string]string{}
			for _, overlay := range overlays {
				kubernetesSettings(t, environment, overlay)
			}
			config := understood(t, environment)
			if shared := name != "embedded"; shared != strings.HasPrefix(config.Broker, "kafka://") || shared != strings.HasPrefix(config.Store, "postgres://") ||
				shared == (config.BrokerPassword+config.StorePassword == "") {
				t.Errorf("it runs with %s and %s", config.Broker, config.Store)
			}
			if config.Listen != "0.0.0.0:5000" {
				t.Errorf("it listens on %s", config.Listen)
			}
		})
	}
}
