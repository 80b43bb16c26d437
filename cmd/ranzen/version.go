package main

import (
	"fmt"
	"runtime"
	"runtime/debug"
)

// programVersion is the release, or the commit this was built from.
func programVersion() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown"
	}
	v := info.Main.Version
	if v != "" && v != "(devel)" {
		return v
	}
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" && len(s.Value) >= 12 {
			return "devel-" + s.Value[:12]
		}
	}
	return "devel"
}

// VersionCmd is `ranzen version`.
type VersionCmd struct{}

// Run prints one line.
func (c *VersionCmd) Run(e env) error {
	_, err := fmt.Fprintf(e.stdout, "ranzen %s %s %s/%s\n", programVersion(), runtime.Version(), runtime.GOOS, runtime.GOARCH)
	return err
}
