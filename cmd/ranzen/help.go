package main

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/alecthomas/kong"
)

// HelpCmd is `ranzen help`.
type HelpCmd struct {
	All     bool     `help:"Every command with all of its flags."`
	Command []string `arg:"" optional:"" help:"The command to explain."`
}

// Run prints to standard output; asking for help is no mistake.
func (c *HelpCmd) Run(e env, app *kong.Application) error {
	if c.All {
		return writeAll(e.stdout, app)
	}
	known := false
	k, err := newParser(e, func(int) { known = true })
	if err != nil {
		return err
	}
	_, err = k.Parse(append(slices.Clone(c.Command), "--help"))
	if known {
		return nil
	}
	return wrongUsage(err)
}

// leaves are the commands that do something, in the order of the model.
func leaves(n *kong.Node) []*kong.Node {
	var out []*kong.Node
	for _, child := range n.Children {
		switch {
		case child.Hidden || child.Type != kong.CommandNode:
		case child.Leaf():
			out = append(out, child)
		default:
			out = append(out, leaves(child)...)
		}
	}
	return out
}

// flagsOf are a command's flags, --help excepted: it is everywhere.
func flagsOf(n *kong.Node) []*kong.Flag {
	var out []*kong.Flag
	for _, group := range n.AllFlags(true) {
		for _, f := range group {
			if f.Name != "help" && !slices.Contains(out, f) {
				out = append(out, f)
			}
		}
	}
	return out
}

// shape is "ranzen link create --name=TEXT [flags]" in the manner of manuals.
func shape(n *kong.Node) string {
	parts := []string{n.FullPath()}
	for _, a := range n.Positional {
		name := strings.ToUpper(strings.ReplaceAll(a.Name, "-", "_"))
		if a.IsCumulative() {
			name += " …"
		}
		if !a.Required {
			name = "[" + name + "]"
		}
		parts = append(parts, name)
	}
	optional := false
	for _, f := range flagsOf(n) {
		if f.Required {
			parts = append(parts, flagShape(f))
		} else {
			optional = true
		}
	}
	if optional {
		parts = append(parts, "[flags]")
	}
	return strings.Join(parts, " ")
}

func flagShape(f *kong.Flag) string {
	s := "--" + f.Name
	if f.Negated {
		s = "--[no-]" + f.Name
	}
	if f.IsBool() {
		return s
	}
	value := f.PlaceHolder
	if value == "" {
		value = strings.ToUpper(f.Name)
	}
	return s + " " + value
}

// flagHelp is a flag's sentence, with what the model knows besides.
func flagHelp(f *kong.Flag) string {
	s := f.Help
	if f.HasDefault && f.Default != "" && !f.IsBool() {
		s += " Default: " + f.Default + "."
	}
	if len(f.Envs) > 0 {
		s += " Environment: " + strings.Join(f.Envs, ", ") + "."
	}
	return s
}

func writeAll(w io.Writer, app *kong.Application) error {
	var b strings.Builder
	for i, n := range leaves(app.Node) {
		if i > 0 {
			b.WriteByte('\n')
		}
		fmt.Fprintf(&b, "%s\n    %s\n", shape(n), n.Help)
		for _, a := range n.Positional {
			if a.Help != "" {
				fmt.Fprintf(&b, "    %-24s %s\n", strings.ToUpper(a.Name), a.Help)
			}
		}
		for _, f := range flagsOf(n) {
			fmt.Fprintf(&b, "    %-24s %s\n", flagShape(f), flagHelp(f))
		}
	}
	_, err := io.WriteString(w, b.String())
	return err
}
