package main

import (
	"errors"
	"strings"

	"github.com/alecthomas/kong"
)

// wrongUsage makes a sentence of what the parser says.
func wrongUsage(err error) error {
	text := err.Error()
	path := "ranzen"
	if pe, ok := errors.AsType[*kong.ParseError](err); ok && pe.Context != nil {
		if n := pe.Context.Selected(); n != nil {
			path = n.FullPath()
		} else if p := pe.Context.Path; len(p) > 0 {
			path = p[len(p)-1].Node().FullPath()
		}
	}
	if text = strings.TrimSuffix(text, "."); !strings.HasSuffix(text, "?") {
		text += "."
	}
	return usagef("%s See `%s --help`.", text, path)
}
