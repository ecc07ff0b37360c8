// Package manifests holds the manifests of deploy/kubernetes to the types of the Kubernetes API. It is a module of its own, so
// that the service does not carry those.
package manifests

import (
	"fmt"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	policyv1 "k8s.io/api/policy/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"sigs.k8s.io/kustomize/api/krusty"
	"sigs.k8s.io/kustomize/kyaml/filesys"
	"sigs.k8s.io/yaml"
)

// folder holds the manifests.
var folder = filepath.Join("..", "..", "deploy", "kubernetes")

// overlays are what a user applies.
var overlays = []string{"embedded", "kafka-postgres", "overlays/example"}

// kinds are the types of what may be in the manifests, by apiVersion and kind.
var kinds = map[string]func() any{
	"v1 ServiceAccount":                  func() any { return new(corev1.ServiceAccount) },
	"v1 Service":                         func() any { return new(corev1.Service) },
	"v1 ConfigMap":                       func() any { return new(corev1.ConfigMap) },
	"v1 Secret":                          func() any { return new(corev1.Secret) },
	"apps/v1 Deployment":                 func() any { return new(appsv1.Deployment) },
	"apps/v1 StatefulSet":                func() any { return new(appsv1.StatefulSet) },
	"policy/v1 PodDisruptionBudget":      func() any { return new(policyv1.PodDisruptionBudget) },
	"networking.k8s.io/v1 NetworkPolicy": func() any { return new(networkingv1.NetworkPolicy) },
}

// decode reads one manifest; a field that the type does not have, or one that is there twice, is an error.
func decode(manifest []byte) (any, error) {
	var head struct{ APIVersion, Kind string }
	if err := yaml.Unmarshal(manifest, &head); err != nil {
		return nil, err
	}
	make := kinds[head.APIVersion+" "+head.Kind]
	if make == nil {
		return nil, fmt.Errorf("%s %s is none of the known kinds", head.APIVersion, head.Kind)
	}
	object := make()
	return object, yaml.UnmarshalStrict(manifest, object)
}

// stack is what an overlay makes.
type stack struct {
	pod        corev1.PodTemplateSpec
	replicas   int32
	selector   map[string]string
	claims     []corev1.PersistentVolumeClaim
	services   []*corev1.Service
	budgets    []*policyv1.PodDisruptionBudget
	policies   []*networkingv1.NetworkPolicy
	settings   map[string]string
	secrets    map[string]*corev1.Secret
	accounts   []string
	workloads  int
	isStateful bool
}

func build(t *testing.T, overlay string) stack {
	t.Helper()
	made, err := krusty.MakeKustomizer(krusty.MakeDefaultOptions()).Run(filesys.MakeFsOnDisk(), filepath.Join(folder, overlay))
	if err != nil {
		t.Fatal(err)
	}
	s := stack{settings: map[string]string{}, secrets: map[string]*corev1.Secret{}}
	for _, resource := range made.Resources() {
		manifest, err := resource.AsYAML()
		if err != nil {
			t.Fatal(err)
		}
		object, err := decode(manifest)
		if err != nil {
			t.Errorf("%s: %v", resource.CurId(), err)
			continue
		}
		s.add(object)
	}
	if s.workloads != 1 || len(s.services) != 1 || len(s.budgets) != 1 || len(s.accounts) != 1 {
		t.Fatalf("%d workloads, %d Services, %d PodDisruptionBudgets, %d ServiceAccounts; want one of each", s.workloads, len(s.services), len(s.budgets), len(s.accounts))
	}
	return s
}

func (s *stack) add(object any) {
	switch o := object.(type) {
	case *corev1.Service:
		s.services = append(s.services, o)
	case *corev1.ServiceAccount:
		s.accounts = append(s.accounts, o.Name)
	case *corev1.ConfigMap:
		for name, value := range o.Data {
			s.settings[name] = value
		}
	case *corev1.Secret:
		s.secrets[o.Name] = o
	case *policyv1.PodDisruptionBudget:
		s.budgets = append(s.budgets, o)
	case *networkingv1.NetworkPolicy:
		s.policies = append(s.policies, o)
	case *appsv1.Deployment:
		s.workloads++
		s.pod, s.replicas, s.selector = o.Spec.Template, *o.Spec.Replicas, o.Spec.Selector.MatchLabels
	case *appsv1.StatefulSet:
		s.workloads++
		s.isStateful = true
		s.pod, s.replicas, s.selector, s.claims = o.Spec.Template, *o.Spec.Replicas, o.Spec.Selector.MatchLabels, o.Spec.VolumeClaimTemplates
	}
}

// each runs a test on what each overlay makes.
func each(t *testing.T, test func(t *testing.T, s stack)) {
	t.Helper()
	for _, overlay := range overlays {
		t.Run(overlay, func(t *testing.T) { test(t, build(t, overlay)) })
	}
}

func TestStrict(t *testing.T) {
	const good = "apiVersion: v1\nkind: Service\nmetadata:\n  name: x\nspec:\n  selector:\n    a: b\n"
	if _, err := decode([]byte(good)); err != nil {
		t.Error(err)
	}
	for name, bad := range map[string]string{
		"unknown field": good + "  selectors: {}\n", "wrong type": good + "  ports: 80\n", "twice": good + "spec: {}\n",
		"unknown kind": strings.Replace(good, "Service", "Servis", 1), "unknown version": strings.Replace(good, "v1", "v2", 1),
	} {
		if _, err := decode([]byte(bad)); err == nil {
			t.Errorf("%s is accepted", name)
		}
	}
}

func TestPodIsConfined(t *testing.T) {
	each(t, func(t *testing.T, s stack) {
		pod := s.pod.Spec
		if c := pod.SecurityContext; c == nil || c.RunAsNonRoot == nil || !*c.RunAsNonRoot || c.RunAsUser == nil || *c.RunAsUser != 65532 ||
			c.FSGroup == nil || c.SeccompProfile == nil || c.SeccompProfile.Type != corev1.SeccompProfileTypeRuntimeDefault {
			t.Errorf("the pod runs with %+v", c)
		}
		if pod.AutomountServiceAccountToken == nil || *pod.AutomountServiceAccountToken || pod.ServiceAccountName != s.accounts[0] {
			t.Errorf("the pod may use the Kubernetes API as %q", pod.ServiceAccountName)
		}
		// Else Kubernetes sets NETSTREAMFLOW_PORT and the like, which the service refuses as unknown settings.
		if pod.EnableServiceLinks == nil || *pod.EnableServiceLinks {
			t.Error("Kubernetes sets variables for Services")
		}
		if len(pod.Containers) != 1 || len(pod.InitContainers) != 0 {
			t.Fatalf("%d containers", len(pod.Containers))
		}
		c := pod.Containers[0].SecurityContext
		if c == nil || c.ReadOnlyRootFilesystem == nil || !*c.ReadOnlyRootFilesystem || c.AllowPrivilegeEscalation == nil || *c.AllowPrivilegeEscalation ||
			c.Capabilities == nil || !slices.Equal(c.Capabilities.Drop, []corev1.Capability{"ALL"}) || len(c.Capabilities.Add) > 0 {
			t.Errorf("the container runs with %+v", c)
		}
	})
}

func TestPodHasResources(t *testing.T) {
	each(t, func(t *testing.T, s stack) {
		r := s.pod.Spec.Containers[0].Resources
		for _, name := range []corev1.ResourceName{corev1.ResourceCPU, corev1.ResourceMemory} {
			request, limit := r.Requests[name], r.Limits[name]
			if request.IsZero() || limit.Cmp(request) < 0 {
				t.Errorf("%s: the request is %s, the limit %s", name, &request, &limit)
			}
		}
	})
}

func TestPodIsProbed(t *testing.T) {
	each(t, func(t *testing.T, s stack) {
		c := s.pod.Spec.Containers[0]
		for path, probe := range map[string]*corev1.Probe{"/health/live": c.LivenessProbe, "/health/ready": c.ReadinessProbe} {
			if probe == nil || probe.HTTPGet == nil || probe.HTTPGet.Path != path || probe.HTTPGet.Port != intstr.FromString("http") {
				t.Errorf("%s is not probed: %+v", path, probe)
			}
		}
		// A part that hangs takes the service up to six seconds to find out.
		if c.ReadinessProbe.TimeoutSeconds < 7 {
			t.Errorf("readiness has %d s", c.ReadinessProbe.TimeoutSeconds)
		}
		if p := c.StartupProbe; p == nil || p.HTTPGet == nil || p.HTTPGet.Path != "/health/live" || p.PeriodSeconds*p.FailureThreshold < 60 {
			t.Errorf("the start is probed with %+v", p)
		}
	})
}

func TestPodMayEndInOrder(t *testing.T) {
	each(t, func(t *testing.T, s stack) {
		needs, err := time.ParseDuration(s.settings["NETSTREAMFLOW_SHUTDOWN_TIMEOUT"])
		if err != nil {
			t.Fatal(err)
		}
		if l := s.pod.Spec.Containers[0].Lifecycle; l != nil {
			needs += time.Duration(l.PreStop.Sleep.Seconds) * time.Second
		}
		grace := s.pod.Spec.TerminationGracePeriodSeconds
		if grace == nil || time.Duration(*grace)*time.Second < needs+5*time.Second {
			t.Errorf("the pod is killed after %v s, and needs %s", grace, needs)
		}
	})
}

// TestParts are those that must fit each other.
func TestParts(t *testing.T) {
	each(t, func(t *testing.T, s stack) {
		pod, container := s.pod.Spec, s.pod.Spec.Containers[0]
		labels := s.pod.Labels
		for what, selector := range map[string]map[string]string{
			"the workload": s.selector, "the Service": s.services[0].Spec.Selector, "the budget": s.budgets[0].Spec.Selector.MatchLabels,
		} {
			for name, value := range selector {
				if labels[name] != value {
					t.Errorf("%s selects %s=%s, the pod has %v", what, name, value, labels)
				}
			}
			if len(selector) == 0 {
				t.Errorf("%s selects everything", what)
			}
		}
		for _, p := range s.policies {
			if got := p.Spec.PodSelector.MatchLabels["app.kubernetes.io/name"]; got != labels["app.kubernetes.io/name"] {
				t.Errorf("the policy selects %q", got)
			}
		}
		port := container.Ports[0]
		if s.services[0].Spec.Ports[0].TargetPort.StrVal != port.Name || s.settings["NETSTREAMFLOW_LISTEN"] != fmt.Sprintf("0.0.0.0:%d", port.ContainerPort) {
			t.Errorf("the Service goes to %v, the port is %+v, the service listens on %s", s.services[0].Spec.Ports, port, s.settings["NETSTREAMFLOW_LISTEN"])
		}
		volumes := map[string]bool{}
		for _, v := range pod.Volumes {
			volumes[v.Name] = true
		}
		for _, c := range s.claims {
			volumes[c.Name] = true
		}
		for _, m := range container.VolumeMounts {
			if !volumes[m.Name] || m.SubPath != "" {
				t.Errorf("the mount %+v has no volume, or is of a single file", m)
			}
			delete(volumes, m.Name)
		}
		if len(volumes) > 0 {
			t.Errorf("volumes that are not mounted: %v", volumes)
		}
		if zero := intstr.FromInt32(0); s.budgets[0].Spec.MaxUnavailable == nil || *s.budgets[0].Spec.MaxUnavailable == zero {
			t.Error("the budget lets no pod go")
		}
	})
}

// TestSecrets finds each secret that a setting names in a Secret that is mounted there.
func TestSecrets(t *testing.T) {
	each(t, func(t *testing.T, s stack) {
		mounts := map[string]string{}
		for _, v := range s.pod.Spec.Volumes {
			if v.Secret != nil {
				for _, m := range s.pod.Spec.Containers[0].VolumeMounts {
					if m.Name == v.Name {
						mounts[m.MountPath] = v.Secret.SecretName
					}
				}
				if *v.Secret.DefaultMode != 0o440 {
					t.Errorf("the secrets have the mode %o", *v.Secret.DefaultMode)
				}
			}
		}
		var named int
		for name, file := range s.settings {
			if !strings.HasSuffix(name, "_FILE") && name != "NETSTREAMFLOW_API_KEYS" {
				if strings.Contains(name, "PASSWORD") {
					t.Errorf("%s is in a ConfigMap", name)
				}
				continue
			}
			named++
			secret, mounted := mounts[path.Dir(file)]
			if !mounted {
				t.Errorf("%s=%s is in no Secret", name, file)
			}
			if found := s.secrets[secret]; found != nil && len(found.Data[path.Base(file)]) == 0 {
				t.Errorf("the Secret %s has no %s", secret, path.Base(file))
			}
		}
		if want := map[bool]int{true: 1, false: 3}[s.isStateful]; named != want {
			t.Errorf("%d secrets, want %d", named, want)
		}
	})
}

func TestOneProcessForEachDataFolder(t *testing.T) {
	each(t, func(t *testing.T, s stack) {
		if s.isStateful && (s.replicas != 1 || len(s.claims) != 1) || !s.isStateful && s.replicas < 2 {
			t.Errorf("%d instances, %d claims", s.replicas, len(s.claims))
		}
	})
}

func TestExampleChangesWhatItSays(t *testing.T) {
	s := build(t, "overlays/example")
	if image := s.pod.Spec.Containers[0].Image; image != "registry.example.org/netstreamflow:1.0.0" {
		t.Errorf("the image is %s", image)
	}
	if s.replicas != 5 || !strings.Contains(s.settings["NETSTREAMFLOW_BROKER"], "kafka-1.example.org") || len(s.policies) != 1 || len(s.secrets) != 1 {
		t.Errorf("%+v", s)
	}
}
