package netstreamflow

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"os"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/go-logr/logr"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracegrpc"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/exporters/stdout/stdouttrace"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
)

// OpenTelemetry's variables that are read here. The SDK and its exporters read the others by themselves.
const (
	envDisabled       = "OTEL_SDK_DISABLED"
	envExporter       = "OTEL_TRACES_EXPORTER"
	envEndpoint       = "OTEL_EXPORTER_OTLP_ENDPOINT"
	envTracesEndpoint = "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"
	envProtocol       = "OTEL_EXPORTER_OTLP_PROTOCOL"
	envTracesProtocol = "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL"
	envHeaders        = "OTEL_EXPORTER_OTLP_HEADERS"
	envTracesHeaders  = "OTEL_EXPORTER_OTLP_TRACES_HEADERS"
)

// Values of those variables.
const (
	exporterOTLP    = "otlp"
	exporterConsole = "console"
	exporterNone    = "none"
	protocolGRPC    = "grpc"
	protocolHTTP    = "http/protobuf"
)

// flushTimeout is how long the last spans may take to be sent at the end, cutTimeout how long an export that is cut off then.
const (
	flushTimeout = 3 * time.Second
	cutTimeout   = time.Second
)

// spans makes and exports spans.
type spans struct {
	*sdktrace.TracerProvider

	exporters []*exporter
	cut       context.CancelFunc
}

// exporter is one whose exports can be cut off.
type exporter struct {
	sdktrace.SpanExporter

	// uncut ends when exports are to be cut off.
	uncut context.Context //nolint:containedctx // the exporter is called by its processor, with contexts of that
	ended chan struct{}
}

// ExportSpans implements [sdktrace.SpanExporter].
func (e *exporter) ExportSpans(ctx context.Context, all []sdktrace.ReadOnlySpan) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stop := context.AfterFunc(e.uncut, cancel) //nolint:contextcheck // it only ends the other
	defer stop()
	return e.SpanExporter.ExportSpans(ctx, all)
}

// Shutdown implements [sdktrace.SpanExporter]; it is called once, behind the last export.
func (e *exporter) Shutdown(ctx context.Context) error {
	defer close(e.ended)
	return e.SpanExporter.Shutdown(ctx)
}

// close exports what is left until ctx ends, cuts off what is then under way, and waits for that.
func (s *spans) close(ctx context.Context) error {
	err := s.Shutdown(ctx)
	s.cut()
	for _, e := range s.exporters {
		select {
		case <-e.ended:
		case <-time.After(cutTimeout):
			return errors.Join(err, errors.New("an exporter does not end"))
		}
	}
	return err
}

// openSpans returns nil where the environment asks for no spans. They wait in a bounded queue while the collector is away, and
// are dropped when that is full.
func openSpans(ctx context.Context, logger *slog.Logger) (*spans, error) {
	kinds, err := exporterKinds()
	if err != nil || len(kinds) == 0 {
		return nil, err
	}
	about, err := resource.New(ctx, resource.WithAttributes(semconv.ServiceName(namespace), semconv.ServiceVersion(Version())),
		resource.WithTelemetrySDK(), resource.WithHost(), resource.WithFromEnv())
	if err != nil && !errors.Is(err, resource.ErrPartialResource) {
		return nil, &SettingError{Setting: "OTEL_RESOURCE_ATTRIBUTES", Detail: "cannot be read: " + err.Error()}
	}
	otel.SetLogger(logr.FromSlogHandler(logger.Handler()))
	otel.SetErrorHandler(otel.ErrorHandlerFunc(func(err error) { logger.Warn("OpenTelemetry reports a failure", "error", err) }))
	s := &spans{}
	uncut, cut := context.WithCancel(context.WithoutCancel(ctx))
	s.cut = cut
	options := []sdktrace.TracerProviderOption{sdktrace.WithResource(about)}
	for _, kind := range kinds {
		opened, err := openExporter(ctx, kind)
		if err != nil {
			cut()
			return nil, fmt.Errorf("open the exporter of traces: %w", err)
		}
		e := &exporter{SpanExporter: opened, uncut: uncut, ended: make(chan struct{})}
		s.exporters = append(s.exporters, e)
		options = append(options, sdktrace.WithBatcher(e))
	}
	s.TracerProvider = sdktrace.NewTracerProvider(options...)
	return s, nil
}

// exporterKinds lists what the environment asks for.
func exporterKinds() ([]string, error) {
	if strings.EqualFold(os.Getenv(envDisabled), "true") {
		return nil, nil
	}
	given := os.Getenv(envExporter)
	if given == "" && os.Getenv(envEndpoint) == "" && os.Getenv(envTracesEndpoint) == "" {
		return nil, nil
	}
	if given == "" {
		given = exporterOTLP
	}
	var kinds []string
	for kind := range strings.SplitSeq(given, ",") {
		switch kind = strings.TrimSpace(kind); {
		case kind == exporterNone:
		case kind != exporterOTLP && kind != exporterConsole:
			return nil, &SettingError{Setting: envExporter, Value: given, Given: true, Detail: "must be otlp, console or none, or several with commas"}
		case !slices.Contains(kinds, kind):
			kinds = append(kinds, kind)
		}
	}
	return kinds, nil
}

func openExporter(ctx context.Context, kind string) (sdktrace.SpanExporter, error) {
	if kind == exporterConsole {
		return stdouttrace.New()
	}
	if err := checkSecrets(); err != nil {
		return nil, err
	}
	name := envTracesProtocol
	if os.Getenv(name) == "" {
		name = envProtocol
	}
	switch protocol := os.Getenv(name); protocol {
	case protocolGRPC:
		return otlptracegrpc.New(ctx)
	case protocolHTTP, "":
		return otlptracehttp.New(ctx)
	default:
		return nil, &SettingError{Setting: name, Value: protocol, Given: true, Detail: "must be grpc or http/protobuf"}
	}
}

// checkSecrets refuses what the exporters would not understand and then log as it was given: it may have a secret in it.
func checkSecrets() error {
	for _, name := range []string{envHeaders, envTracesHeaders} {
		if !areHeaders(os.Getenv(name)) {
			return &SettingError{Setting: name, Detail: "must be NAME=VALUE, or several with commas, the values percent-encoded"}
		}
	}
	for _, name := range []string{envEndpoint, envTracesEndpoint} {
		if !isEndpoint(os.Getenv(name)) {
			return &SettingError{Setting: name, Detail: "must be a URL, such as http://127.0.0.1:4318"}
		}
	}
	return nil
}

// isEndpoint says whether it is a URL: without its scheme, the exporters would send to nowhere and say nothing.
func isEndpoint(given string) bool {
	u, err := url.Parse(given)
	return given == "" || err == nil && (u.Host != "" || u.Scheme == "unix")
}

// headerName is what RFC 9110 calls a token.
var headerName = regexp.MustCompile("^[!#$%&'*+.^_`|~0-9A-Za-z-]+$")

// areHeaders says whether the exporters can read the headers.
func areHeaders(given string) bool {
	if strings.TrimSpace(given) == "" {
		return true
	}
	for pair := range strings.SplitSeq(given, ",") {
		name, value, found := strings.Cut(pair, "=")
		if _, err := url.PathUnescape(value); err != nil || !found || !headerName.MatchString(strings.TrimSpace(name)) {
			return false
		}
	}
	return true
}
