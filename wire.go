//go:build wireinject

package netstreamflow

import (
	"context"

	"github.com/google/wire"

	"github.com/netstreamflow/netstreamflow/application"
)

// New puts a service together. The cleanup releases what it holds; call it after [App.Run] has returned. A setting that
// cannot be used is a [*SettingError].
func New(ctx context.Context, cfg Config, d Drivers) (*App, func(), error) {
	panic(wire.Build(
		provideValid,
		provideLogger,
		provideFolders,
		provideBroker,
		provideStore,
		provideLog,
		provideSpool,
		provideEventLog,
		provideConsumers,
		providePublish,
		provideHandler,
		application.NewFind,
		application.NewRecord,
		newHealth,
		newApp,
		wire.Bind(new(application.Reader), new(application.Store)),
		wire.Bind(new(application.Recorder), new(application.Store)),
	))
}
