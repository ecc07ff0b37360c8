package netstreamflow_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"os"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"

	"github.com/netstreamflow/netstreamflow"
	"github.com/netstreamflow/netstreamflow/adapters/store"
	"github.com/netstreamflow/netstreamflow/application"
)

// observed is a service with an admin listener.
type observed struct {
	*testing.T

	url, admin string
	end        func()
}

// observe starts a service, which is ended with the test.
func observe(t *testing.T, change func(*netstreamflow.Config)) *observed {
	t.Helper()
	return observeWith(t, netstreamflow.BuiltIn(), change)
}

func observeWith(t *testing.T, d netstreamflow.Drivers, change func(*netstreamflow.Config)) *observed {
	t.Helper()
	cfg := netstreamflow.DefaultConfig()
	cfg.Listen, cfg.AdminListen, cfg.DataDir, cfg.LogOutput = "127.0.0.1:0", "127.0.0.1:0", t.TempDir(), t.Output()
	if change != nil {
		change(&cfg)
	}
	ctx, stop := context.WithCancel(context.Background())
	app, cleanup, err := netstreamflow.New(ctx, cfg, d)
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- app.Run(ctx) }()
	<-app.Listening()
	o := &observed{T: t, url: "http://" + app.Addr().String()}
	if app.AdminAddr() != nil {
		o.admin = "http://" + app.AdminAddr().String()
	}
	o.end = sync.OnceFunc(func() {
		stop()
		if err := <-ended; err != nil {
			t.Errorf("the service ended with: %v", err)
		}
		cleanup()
	})
	t.Cleanup(o.end)
	return o
}

// scrape returns what Prometheus would read, by name.
func (o *observed) scrape() map[string]*dto.MetricFamily {
	o.Helper()
	res, err := http.Get(o.admin + "/metrics")
	if err != nil {
		o.Fatal(err)
	}
	defer res.Body.Close()
	parser := expfmt.NewTextParser(model.UTF8Validation)
	families, err := parser.TextToMetricFamilies(res.Body)
	if err != nil {
		o.Fatal(err)
	}
	return families
}

// values returns the samples of a metric by their labels, such as `code=202,route=/api/events`; of a histogram the counts.
func values(f *dto.MetricFamily) map[string]float64 {
	all := make(map[string]float64)
	for _, m := range f.GetMetric() {
		var labels []string
		for _, l := range m.GetLabel() {
			labels = append(labels, l.GetName()+"="+l.GetValue())
		}
		slices.Sort(labels)
		all[strings.Join(labels, ",")] = m.GetCounter().GetValue() + m.GetGauge().GetValue() + float64(m.GetHistogram().GetSampleCount())
	}
	return all
}

// sum adds up the values of a histogram.
func sum(f *dto.MetricFamily) (all float64) {
	for _, m := range f.GetMetric() {
		all += m.GetHistogram().GetSampleSum()
	}
	return all
}

// awaitScrape scrapes until the metric has the value.
func (o *observed) awaitScrape(name, labels string, want float64) map[string]*dto.MetricFamily {
	o.Helper()
	for end := time.Now().Add(patience); ; {
		families := o.scrape()
		if got, there := values(families[name])[labels]; there && got == want {
			return families
		} else if time.Now().After(end) {
			o.Fatalf("%s{%s} is %v, want %v", name, labels, got, want)
		}
	}
}

func (o *observed) send(method, path, contentType, body string) int {
	o.Helper()
	req, err := http.NewRequestWithContext(o.Context(), method, o.url+path, strings.NewReader(body))
	if err != nil {
		o.Fatal(err)
	}
	req.Header.Set("Content-Type", contentType)
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		o.Fatal(err)
	}
	defer res.Body.Close()
	if _, err := io.Copy(io.Discard, res.Body); err != nil {
		o.Fatal(err)
	}
	return res.StatusCode
}

// TestMetricsCount has exactly known traffic, and finds exactly that in the metrics.
func TestMetricsCount(t *testing.T) {
	o := observe(t, nil)
	const user, id = "user-that-must-not-show", "0190a0a0-0000-7000-8000-000000000007"
	const event = `{"eventId":"` + id + `","userId":"` + user + `","eventType":"t"}`
	for _, r := range []struct {
		method, path, contentType, body string
		status                          int
	}{
		{"POST", "/api/events", "application/json", event, 202},
		{"POST", "/api/events", "application/json", event, 202},
		{"POST", "/api/events", "application/json", `{"userId":"` + user + `","eventType":"t"}`, 202},
		{"POST", "/api/events", "application/json", `{}`, 400},
		{"POST", "/api/events/batch", "application/x-ndjson", event + "\n{}\n" + strings.Repeat(`{"userId":"u","eventType":"t"}`+"\n", 4), 207},
		{"GET", "/api/events/user/" + user, "", "", 200},
		{"GET", "/api/events/" + strings.Replace(id, "7", "8", 1), "", "", 404},
		{"GET", "/nothing/" + user, "", "", 404},
		{user, "/api/events", "", "", 405},
		{"DELETE", "/api/events", "", "", 405},
	} {
		if status := o.send(r.method, r.path, r.contentType, r.body); status != r.status {
			t.Fatalf("%s %s: %d, want %d", r.method, r.path, status, r.status)
		}
	}
	o.awaitScrape("netstreamflow_consumer_records_total", "consumer=recorder", 8)
	families := o.scrape() // of one scrape, metrics are not all as of one moment
	for name, want := range map[string]map[string]float64{
		"netstreamflow_http_requests_total": {
			"code=202,method=POST,route=/api/events": 3, "code=400,method=POST,route=/api/events": 1,
			"code=207,method=POST,route=/api/events/batch": 1, "code=200,method=GET,route=/api/events/user/{userId}": 1,
			"code=404,method=GET,route=/api/events/{eventId}": 1, "code=404,method=GET,route=none": 1,
			"code=405,method=other,route=/api/events": 1, "code=405,method=DELETE,route=/api/events": 1,
		},
		"netstreamflow_http_requests_in_flight":           {"": 0},
		"netstreamflow_publish_acknowledged_events_total": {"durability=broker": 8, "durability=spool": 0},
		"netstreamflow_publish_duration_seconds":          {"outcome=ok": 4, "outcome=failed": 0},
		"netstreamflow_broker_publication_events":         {"": 4},
		"netstreamflow_log_published_events_total":        {"": 8},
		"netstreamflow_breaker_lanes":                     {"": 1},
		"netstreamflow_breaker_open_lanes":                {"": 0},
		"netstreamflow_breaker_transitions_total": {
			"breaker=publish,to=open": 0, "breaker=publish,to=half_open": 0, "breaker=publish,to=closed": 0,
			"breaker=queries,to=open": 0, "breaker=queries,to=half_open": 0, "breaker=queries,to=closed": 0,
			"breaker=limiter,to=open": 0, "breaker=limiter,to=half_open": 0, "breaker=limiter,to=closed": 0,
		},
		"netstreamflow_broker_retries_total":               {"": 0},
		"netstreamflow_consumer_stored_events_total":       {"consumer=recorder": 6},
		"netstreamflow_consumer_duplicate_events_total":    {"consumer=recorder": 2},
		"netstreamflow_consumer_dead_letters_total":        {"consumer=recorder": 0},
		"netstreamflow_consumer_retries_total":             {"consumer=recorder": 0},
		"netstreamflow_consumer_passed_over_records_total": {"consumer=recorder": 0},
		"netstreamflow_consumer_up":                        {"consumer=recorder": 1},
		"netstreamflow_event_latency_seconds":              {"": 8},
		"netstreamflow_store_query_duration_seconds": {
			"outcome=ok,query=event": 1, "outcome=failed,query=event": 0, "outcome=ok,query=list": 1, "outcome=failed,query=list": 0,
		},
		"netstreamflow_load_in_use": {
			"bound=publish_requests": 0, "bound=read_requests": 0, "bound=admin_requests": 0, "bound=document_requests": 0, "bound=connections": 1,
		},
		"netstreamflow_load_limit": {
			"bound=publish_requests": 1024, "bound=read_requests": 1024, "bound=admin_requests": 16, "bound=document_requests": 1024, "bound=connections": 8192,
		},
		"netstreamflow_load_refused_total": {
			"bound=publish_requests": 0, "bound=read_requests": 0, "bound=admin_requests": 0, "bound=document_requests": 0, "bound=connections": 0,
		},
		"netstreamflow_load_body_bytes":                  {"": 0},
		"netstreamflow_load_body_limit_bytes":            {"": 256 << 20},
		"netstreamflow_load_refused_bodies_total":        {"": 0},
		"netstreamflow_limiter_limited_requests_total":   {"": 0},
		"netstreamflow_limiter_uncounted_requests_total": {"": 0},
		"netstreamflow_store_queries":                    {"bound=waiting": 0, "bound=streaming": 0},
		"netstreamflow_store_queries_limit":              {"bound=waiting": 256, "bound=streaming": 128},
		"netstreamflow_store_refused_queries_total":      {"reason=overload": 0, "reason=refused": 0},
		"netstreamflow_store_query_retries_total":        {"": 0},
		"netstreamflow_store_query_timeouts_total":       {"": 0},
		"netstreamflow_store_breaker_open":               {"": 0},
		"netstreamflow_dead_letters_open":                {"": 0},
		"netstreamflow_ready":                            {"": 1},
		"netstreamflow_part_up":                          {"part=broker": 1, "part=topic": 1, "part=store": 1, "part=consumer": 1},
	} {
		if got := values(families[name]); !maps.Equal(got, want) {
			t.Errorf("%s: %v, want %v", name, got, want)
		}
	}
	for reason, failed := range values(families["netstreamflow_publish_failed_events_total"]) {
		if failed != 0 {
			t.Errorf("%v events failed because of %s", failed, reason)
		}
	}
	if events := sum(families["netstreamflow_broker_publication_events"]); events != 8 {
		t.Errorf("the broker was given %v events", events)
	}
	if events := sum(families["netstreamflow_store_record_events"]); events != 8 {
		t.Errorf("the store was given %v events", events)
	}
	o.awaitScrape("netstreamflow_consumer_lag_records", "partition=0", 0)
	o.awaitScrape("netstreamflow_consumer_lag_seconds", "partition=0", 0)
	o.awaitScrape("netstreamflow_store_position", "partition=0", values(o.scrape()["netstreamflow_store_position"])["partition=0"])
	if _, body := get(t, o.admin+"/metrics"); strings.Contains(body, user) {
		t.Error("a metric names a user")
	}
}

// TestMetricsOfFailures finds a broker that goes away, and what is then refused.
func TestMetricsOfFailures(t *testing.T) {
	k, address := newKafkaOnOff(t)
	k.on()
	o := observe(t, func(cfg *netstreamflow.Config) {
		cfg.Broker, cfg.Store, cfg.PublishTimeout = "kafka://"+address, "memory:", time.Second
	})
	awaitPost(t, o.url, "user", http.StatusAccepted)
	o.awaitScrape("netstreamflow_consumer_lag_records", "partition=0", 0)
	k.off()
	awaitPost(t, o.url, "user", http.StatusServiceUnavailable)
	for end := time.Now().Add(patience); ; {
		post(t, o.url, "user")
		families := o.scrape()
		failed := values(families["netstreamflow_publish_failed_events_total"])
		if failed["reason=refused"] > 0 && failed["reason=timeout"]+failed["reason=unavailable"] > 0 &&
			values(families["netstreamflow_breaker_open_lanes"])[""] > 0 && values(families["netstreamflow_ready"])[""] == 0 {
			break
		}
		if time.Now().After(end) {
			t.Fatalf("%v", failed)
		}
	}
	// What is not known is left out, and a scrape does not wait for it.
	for end := time.Now().Add(2 * patience); ; {
		start := time.Now()
		families := o.scrape()
		if took := time.Since(start); took > 3*time.Second {
			t.Fatalf("a scrape took %v", took)
		}
		if _, known := families["netstreamflow_consumer_lag_records"]; !known {
			break
		}
		if time.Now().After(end) {
			t.Fatal("the lag is known although the broker is away")
		}
	}
	k.on()
	awaitPost(t, o.url, "user", http.StatusAccepted)
	families := o.scrape()
	if open := values(families["netstreamflow_breaker_open_lanes"])[""]; open >= values(families["netstreamflow_breaker_lanes"])[""] {
		t.Errorf("%v lanes are open although one has published", open)
	}
	for what, n := range values(families["netstreamflow_breaker_transitions_total"]) {
		if (n == 0) == strings.HasPrefix(what, "breaker=publish,") {
			t.Errorf("%v transitions %s", n, what)
		}
	}
	if n := values(families["netstreamflow_broker_retries_total"])[""]; n == 0 {
		t.Error("nothing was sent again")
	}
}

// TestMetricsOfLag has a store that takes nothing for a while.
func TestMetricsOfLag(t *testing.T) {
	folder := t.TempDir()
	o := observe(t, func(cfg *netstreamflow.Config) { cfg.DataDir = folder })
	post(t, o.url, "user")
	o.awaitScrape("netstreamflow_consumer_stored_events_total", "consumer=recorder", 1)
	o.end()
	store := &gate{open: make(chan struct{})}
	o = observeWith(t, store.drivers(), func(cfg *netstreamflow.Config) { cfg.DataDir = folder })
	o.awaitScrape("netstreamflow_consumer_lag_records", "partition=0", 0)
	for range 3 {
		post(t, o.url, "user")
	}
	o.awaitScrape("netstreamflow_consumer_lag_records", "partition=0", 3)
	first := values(o.scrape()["netstreamflow_consumer_lag_seconds"])["partition=0"]
	if first <= 0 || first > patience.Seconds() {
		t.Errorf("it is %v seconds behind", first)
	}
	for end := time.Now().Add(patience); values(o.scrape()["netstreamflow_consumer_lag_seconds"])["partition=0"] <= first; {
		if time.Now().After(end) {
			t.Fatal("the lag does not get older")
		}
	}
	close(store.open)
	o.awaitScrape("netstreamflow_consumer_lag_records", "partition=0", 0)
	o.awaitScrape("netstreamflow_consumer_lag_seconds", "partition=0", 0)
}

// gate is the SQLite store, which records nothing until it is open.
type gate struct {
	application.Store

	open chan struct{}
}

func (g *gate) drivers() netstreamflow.Drivers {
	d := netstreamflow.BuiltIn()
	sqlite := d.Stores["sqlite"]
	d.Stores["sqlite"] = func(ctx context.Context, url string, o store.Options) (application.Store, error) {
		var err error
		g.Store, err = sqlite(ctx, url, o)
		return g, err
	}
	return d
}

func (g *gate) Record(ctx context.Context, b application.Batch) (int, error) {
	select {
	case <-g.open:
		return g.Store.Record(ctx, b)
	case <-ctx.Done():
		return 0, ctx.Err()
	}
}

// everything starts services that have all metrics between them.
func everything(t *testing.T) map[string]*dto.MetricFamily {
	t.Helper()
	k, address := newKafkaOnOff(t)
	k.on()
	o := observe(t, func(cfg *netstreamflow.Config) { cfg.Broker, cfg.Spool = "kafka://"+address, true })
	awaitPost(t, o.url, "user", http.StatusAccepted)
	o.awaitScrape("netstreamflow_consumer_stored_events_total", "consumer=recorder", 1)
	for end := time.Now().Add(patience); ; {
		families := o.scrape()
		_, lag := families["netstreamflow_consumer_lag_records"]
		_, letters := families["netstreamflow_dead_letters_open"]
		_, spool := families["netstreamflow_spool_events"]
		if lag && letters && spool {
			maps.Copy(families, withIssuer(t).awaitAge())
			return families
		}
		if time.Now().After(end) {
			t.Fatalf("lag %t, dead letters %t, spool %t", lag, letters, spool)
		}
	}
}

var metricName = regexp.MustCompile(`\b(netstreamflow|go|process)_[a-z0-9_]+`)

// TestMetricsAreThoseOfDashboardRulesAndPage holds all that names metrics to what the service serves.
func TestMetricsAreThoseOfDashboardRulesAndPage(t *testing.T) {
	families := everything(t)
	known := func(name string) bool {
		for _, suffix := range []string{"", "_bucket", "_sum", "_count"} {
			if base, cut := strings.CutSuffix(name, suffix); cut && families[base] != nil &&
				(suffix == "" || families[base].GetType() == dto.MetricType_HISTOGRAM) {
				return true
			}
		}
		return false
	}
	for _, file := range []string{
		"deploy/grafana/netstreamflow.json", "deploy/prometheus/rules.yml", "deploy/prometheus/rules_test.yml", "docs/observability.md",
	} {
		content, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		names := metricName.FindAllString(string(content), -1)
		if len(names) < 12 {
			t.Errorf("%s names %d metrics only", file, len(names))
		}
		for _, name := range names {
			if !known(name) {
				t.Errorf("%s: there is no metric %s", file, name)
			}
		}
	}
	page, err := os.ReadFile("docs/observability.md")
	if err != nil {
		t.Fatal(err)
	}
	dashboard, err := os.ReadFile("deploy/grafana/netstreamflow.json")
	if err != nil {
		t.Fatal(err)
	}
	for name, f := range families {
		if row := "| `" + name + "` | " + strings.ToLower(f.GetType().String()) + " |"; strings.HasPrefix(name, "netstreamflow_") && !bytes.Contains(page, []byte(row)) {
			t.Errorf("docs/observability.md has no row that begins with %s", row)
		}
		if strings.HasPrefix(name, "netstreamflow_") && !bytes.Contains(dashboard, []byte(name)) {
			t.Errorf("the dashboard does not show %s", name)
		}
	}
}

// TestDashboard checks what Grafana would only complain of when somebody looks.
func TestDashboard(t *testing.T) {
	content, err := os.ReadFile("deploy/grafana/netstreamflow.json")
	if err != nil {
		t.Fatal(err)
	}
	var dashboard struct {
		UID    string
		Panels []struct {
			ID      int
			Type    string
			Title   string
			GridPos struct{ X, Y, W, H int }
			Targets []struct{ Expr string }
		}
	}
	if err := json.Unmarshal(content, &dashboard); err != nil {
		t.Fatal(err)
	}
	ids, cells := map[int]bool{}, map[[2]int]string{}
	for _, p := range dashboard.Panels {
		if ids[p.ID] || p.Title == "" || p.Type != "row" && len(p.Targets) == 0 || p.GridPos.X+p.GridPos.W > 24 {
			t.Errorf("%+v", p)
		}
		ids[p.ID] = true
		for x := p.GridPos.X; x < p.GridPos.X+p.GridPos.W; x++ {
			for y := p.GridPos.Y; y < p.GridPos.Y+p.GridPos.H; y++ {
				if other := cells[[2]int{x, y}]; other != "" {
					t.Fatalf("%s lies on %s", p.Title, other)
				}
				cells[[2]int{x, y}] = p.Title
			}
		}
		for _, target := range p.Targets {
			if !strings.Contains(target.Expr, `instance=~"$instance"`) {
				t.Errorf("%s does not keep to the chosen instances: %s", p.Title, target.Expr)
			}
		}
	}
}

func TestAdminListener(t *testing.T) {
	o := observe(t, nil)
	for _, path := range []string{"/metrics", "/health/live", "/health/ready", "/buildinfo", "/debug/pprof/", "/debug/pprof/heap"} {
		awaitReady(t, o.url)
		if status, body := get(t, o.admin+path); status != http.StatusOK || body == "" {
			t.Errorf("%s: %d %q", path, status, body)
		}
		if status, _ := get(t, o.url+path); !strings.HasPrefix(path, "/health/") && status != http.StatusNotFound {
			t.Errorf("%s on the public listener: %d", path, status)
		}
	}
	if status, _ := get(t, o.admin+"/api/events"); status != http.StatusNotFound {
		t.Errorf("events on the admin listener: %d", status)
	}
	if o := observe(t, func(cfg *netstreamflow.Config) { cfg.AdminListen = "" }); o.admin != "" {
		t.Errorf("there is a listener at %s", o.admin)
	}
}

// TestAdminAddressTaken has somebody else listen there already.
func TestAdminAddressTaken(t *testing.T) {
	defaultAddress := netstreamflow.DefaultConfig().AdminListen
	// Services of other tests have it for a while; somebody's own may have it for ever.
	for end := time.Now().Add(patience); time.Now().Before(end); {
		if taken, err := net.Listen("tcp", defaultAddress); err == nil {
			defer taken.Close()
			break
		}
	}
	var log bytes.Buffer
	o := observe(t, func(cfg *netstreamflow.Config) { cfg.AdminListen, cfg.LogOutput = defaultAddress, &log })
	if o.admin != "" {
		t.Errorf("it listens at %s", o.admin)
	}
	o.end()
	if !strings.Contains(log.String(), "no metrics: the default admin address is taken") {
		t.Errorf("no word of it: %s", log.String())
	}
	other, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	for _, address := range []string{defaultAddress, other.Addr().String()} {
		cfg, err := load(t, []string{"--admin-listen", address}, nil)
		if err != nil {
			t.Fatal(err)
		}
		cfg.Listen, cfg.DataDir, cfg.LogOutput = "127.0.0.1:0", t.TempDir(), io.Discard
		app, cleanup, err := netstreamflow.New(t.Context(), cfg, netstreamflow.BuiltIn())
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		defer cancel()
		if err := app.Run(ctx); err == nil || !strings.Contains(err.Error(), "admin") {
			t.Errorf("%s was set, and is taken: %v", address, err)
		}
		cleanup()
	}
}

func TestAdminListenerIsLocal(t *testing.T) {
	for _, tt := range []struct {
		address  string
		insecure bool
		ok       bool
	}{
		{"127.0.0.1:5001", false, true}, {"localhost:5001", false, true}, {"[::1]:0", false, true}, {"127.0.0.2:1", false, true}, {"", false, true},
		{"0.0.0.0:5001", false, false}, {":5001", false, false}, {"[::]:5001", false, false}, {"10.0.0.1:5001", false, false},
		{"example.com:5001", false, false}, {"0.0.0.0:5001", true, true}, {"127.0.0.1", false, false}, {"127.0.0.1:x", true, false},
	} {
		cfg := netstreamflow.DefaultConfig()
		cfg.AdminListen, cfg.InsecureAdmin = tt.address, tt.insecure
		err := cfg.Validate()
		if (err == nil) != tt.ok || err != nil && !strings.Contains(err.Error(), "--admin-listen") {
			t.Errorf("%q, insecure %t: %v", tt.address, tt.insecure, err)
		}
	}
}

// TestExemplars asks for OpenMetrics, where a slow request names its trace.
func TestExemplars(t *testing.T) {
	o := observe(t, nil)
	const id = "4bf92f3577b34da6a3ce929d0e0e4736"
	for flags, parent := range map[string]string{"01": id, "00": "5" + id[1:]} {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, o.url+"/api/events", strings.NewReader(`{"userId":"u","eventType":"t"}`))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Content-Type", "application/json")
		req.Header.Set("Traceparent", "00-"+parent+"-00f067aa0ba902b7-"+flags)
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		res.Body.Close()
	}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, o.admin+"/metrics", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Accept", "application/openmetrics-text; version=1.0.0")
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil || !strings.HasPrefix(res.Header.Get("Content-Type"), "application/openmetrics-text") {
		t.Fatalf("%v %v", err, res.Header)
	}
	for _, name := range []string{"http_request_duration_seconds", "publish_duration_seconds"} {
		exemplar := regexp.MustCompile(fmt.Sprintf(`(?m)^netstreamflow_%s_bucket\{.*# \{trace_id="%s"\}`, name, id))
		if !exemplar.Match(body) {
			t.Errorf("no exemplar of %s", name)
		}
	}
	if strings.Contains(string(body), `trace_id="5`) {
		t.Error("an exemplar names a trace that is not kept")
	}
}
