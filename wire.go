//go:build wireinject

package netstreamflow

import (
	"context"

	"github.com/google/wire"
)

// openParts opens broker and store alone, for the tools that work on them.
func openParts(ctx context.Context, cfg Config, d Drivers) (*parts, func(), error) {
	panic(wire.Build(
		provideValid, provideLogger, provideFolders, provideSecrets, provideStore, wire.Value(onRetry(nil)), provideBroker,
		wire.Struct(new(parts), "*"),
	))
}

// New puts a service together. The cleanup releases what it holds; call it after [App.Run] has returned. A setting that
// cannot be used is a [*SettingError].
func New(ctx context.Context, cfg Config, d Drivers) (*App, func(), error) {
	panic(wire.Build(
		provideValid,
		provideLogger,
		provideTelemetry,
		provideRetries,
		provideFolders,
		provideSecrets,
		provideBroker,
		provideStore,
		provideLog,
		provideSpool,
		provideEventLog,
		provideConsumers,
		providePublish,
		provideInspecting,
		provideLetters,
		provideInspect,
		provideAuthenticator,
		provideTLS,
		provideHandler,
		provideFind,
		provideRecord,
		newLag,
		provideLoad,
		provideLimitStore,
		provideLimits,
		provideGuard,
		newHealth,
		newRetention,
		newBounds,
		newCredentials,
		newCollector,
		newAdminListener,
		wire.Struct(new(works), "*"),
		newApp,
	))
}
