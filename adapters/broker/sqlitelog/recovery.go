package sqlitelog

import "log/slog"

func reportRecovery(string, *slog.Logger) {}
