package netstreamflow

import "runtime/debug"

// version is set by the linker in released builds.
var version string

// Version is the version of this build: that of the release, else of the module or its revision, else "devel".
func Version() string {
	if version != "" {
		return version
	}
	info, ok := debug.ReadBuildInfo()
	if !ok || info.Main.Version == "" || info.Main.Version == "(devel)" {
		return "devel"
	}
	return info.Main.Version
}
