package main

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/alecthomas/kong"

	"ranzen/internal/catalogue"
)

// CompletionCmd is `ranzen completion`.
type CompletionCmd struct {
	Shell string `arg:"" enum:"bash,zsh,fish" help:"bash, zsh or fish."`
}

// Run writes a script for the shell. It is made of the command line's own
// description, so that it cannot be behind.
func (c *CompletionCmd) Run(e env, app *kong.Application) error {
	var b strings.Builder
	switch c.Shell {
	case "bash":
		b.WriteString("# bash completion for ranzen: source <(ranzen completion bash)\n_ranzen() {\n" +
			"  local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]} path='' words='' i\n" +
			"  for ((i = 1; i < COMP_CWORD; i++)); do\n    case \"$path ${COMP_WORDS[i]}\" in\n")
		shellPaths(&b, app.Node)
		b.WriteString("    esac\n  done\n  case \"$path $prev\" in\n")
		shellValues(&b, app.Node, "COMPREPLY=($(compgen -W '%s' -- \"$cur\")); return ;;")
		b.WriteString("  esac\n  case \"$path\" in\n")
		shellWords(&b, app.Node)
		b.WriteString("  esac\n  COMPREPLY=($(compgen -W \"$words\" -- \"$cur\"))\n}\ncomplete -o default -F _ranzen ranzen\n")
	case "zsh":
		b.WriteString("#compdef ranzen\n# zsh completion for ranzen: source <(ranzen completion zsh)\n_ranzen() {\n" +
			"  local prev=${words[CURRENT-1]} at='' list='' i\n" +
			"  for ((i = 2; i < CURRENT; i++)); do\n    case \"$at ${words[i]}\" in\n")
		shellPaths(&b, app.Node)
		b.WriteString("    esac\n  done\n  case \"$at $prev\" in\n")
		shellValues(&b, app.Node, "compadd -- ${=:-'%s'}; return ;;")
		b.WriteString("  esac\n  case \"$at\" in\n")
		shellWords(&b, app.Node)
		b.WriteString("  esac\n  compadd -- ${=list}\n  [[ $PREFIX == -* ]] || _files\n}\ncompdef _ranzen ranzen\n")
		script := strings.NewReplacer("path=\"$path ", "at=\"$at ", "words='", "list='").Replace(b.String())
		_, err := io.WriteString(e.stdout, script)
		return err
	case "fish":
		fish(&b, app.Node)
	}
	_, err := io.WriteString(e.stdout, b.String())
	return err
}

// walk calls fn for each command, the program itself first.
func walk(n *kong.Node, fn func(path []string, n *kong.Node)) {
	var down func(path []string, n *kong.Node)
	down = func(path []string, n *kong.Node) {
		fn(path, n)
		for _, c := range n.Children {
			if !c.Hidden && c.Type == kong.CommandNode {
				down(append(slices.Clone(path), c.Name), c)
			}
		}
	}
	down(nil, n)
}

func spaced(path []string) string {
	if len(path) == 0 {
		return ""
	}
	return " " + strings.Join(path, " ")
}

// shellPaths follow the words typed so far down the commands.
func shellPaths(b *strings.Builder, root *kong.Node) {
	walk(root, func(path []string, _ *kong.Node) {
		if len(path) > 0 {
			fmt.Fprintf(b, "      '%s') path=\"$path %s\" ;;\n", spaced(path), path[len(path)-1])
		}
	})
}

// shellValues complete a flag that takes one of few words.
func shellValues(b *strings.Builder, root *kong.Node, action string) {
	walk(root, func(path []string, n *kong.Node) {
		for _, f := range flagsOf(n) {
			if words := wordsFor(path, "--"+f.Name, f.Enum); words != "" {
				fmt.Fprintf(b, "    '%s --%s') "+action+"\n", spaced(path), f.Name, words)
			}
		}
	})
}

// wordsFor are what an argument or flag may be: few words of ours, or Apple's.
func wordsFor(path []string, name, enum string) string {
	switch strings.Join(path, " ") + " " + name {
	case "profile restrictions --set":
		e, ok := catalogue.FindPayload("com.apple.applicationaccess")
		if !ok {
			return ""
		}
		var keys []string
		for _, k := range e.Keys {
			keys = append(keys, k.Name+"=")
		}
		return strings.Join(keys, " ")
	case "profile build type":
		return strings.Join(catalogue.Payloads(), " ")
	case "send id":
		return strings.Join(catalogue.Names(catalogue.Command), " ")
	}
	return strings.ReplaceAll(enum, ",", " ")
}

// shellWords are what may come next: commands, else flags.
func shellWords(b *strings.Builder, root *kong.Node) {
	walk(root, func(path []string, n *kong.Node) {
		var words []string
		for _, c := range n.Children {
			if !c.Hidden && c.Type == kong.CommandNode {
				words = append(words, c.Name)
			}
		}
		if n.Leaf() {
			for _, a := range n.Positional {
				words = append(words, strings.Fields(wordsFor(path, a.Name, a.Enum))...)
			}
			for _, f := range flagsOf(n) {
				words = append(words, "--"+f.Name)
			}
		}
		fmt.Fprintf(b, "    '%s') words='%s' ;;\n", spaced(path), strings.Join(append(words, "--help"), " "))
	})
}

func fish(b *strings.Builder, root *kong.Node) {
	b.WriteString("# fish completion for ranzen: ranzen completion fish | source\n" +
		"function __ranzen_at\n  set -l said (commandline -opc)[2..-1]\n  set -l plain (string match -v -- '-*' $said)\n" +
		"  set -l want (string split ' ' -- $argv[1])\n  test -z \"$argv[1]\"; and set want\n" +
		"  set -l n (count $want)\n  test $n -gt (count $plain); and return 1\n" +
		"  if test $n -gt 0\n    test \"$plain[1..$n]\" = \"$want\"; or return 1\n  end\n" +
		"  if test (count $argv) -gt 1\n    test (count $plain) -eq $n; or return 1\n  end\nend\n")
	quote := func(s string) string {
		return "'" + strings.NewReplacer(`\`, `\\`, `'`, `\'`).Replace(s) + "'"
	}
	walk(root, func(path []string, n *kong.Node) {
		at := strings.Join(path, " ")
		for _, c := range n.Children {
			if !c.Hidden && c.Type == kong.CommandNode {
				fmt.Fprintf(b, "complete -c ranzen -f -n \"__ranzen_at '%s' exactly\" -a %s -d %s\n", at, c.Name, quote(c.Help))
			}
		}
		if !n.Leaf() {
			return
		}
		for _, a := range n.Positional {
			if words := wordsFor(path, a.Name, a.Enum); words != "" {
				fmt.Fprintf(b, "complete -c ranzen -f -n \"__ranzen_at '%s' exactly\" -a %s\n", at, quote(words))
			}
		}
		for _, f := range flagsOf(n) {
			needs := " -r"
			if f.IsBool() {
				needs = ""
			}
			if words := wordsFor(path, "--"+f.Name, f.Enum); words != "" {
				needs = " -x -a " + quote(words)
			}
			fmt.Fprintf(b, "complete -c ranzen -n \"__ranzen_at '%s'\" -l %s%s -d %s\n", at, f.Name, needs, quote(f.Help))
		}
	})
}
