// Gen makes internal/mdm/apple.json of a folder with Apple's device management
// schema: which commands and restrictions iPads know, with keys and types, and
// none of Apple's sentences.
//
//	go run ./internal/mdm/gen OUT SCHEMA…
//
// Later folders replace what earlier ones say.
package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"gopkg.in/yaml.v3"
)

type platform struct {
	Introduced string `yaml:"introduced"`
	Supervised *bool  `yaml:"supervised"`
	Removed    string `yaml:"removed"`
}

type key struct {
	Key         string              `yaml:"key"`
	Type        string              `yaml:"type"`
	Presence    string              `yaml:"presence"`
	SupportedOS map[string]platform `yaml:"supportedOS"`
	Range       []any               `yaml:"rangelist"`
	Subkeys     []key               `yaml:"subkeys"`
}

type document struct {
	Payload struct {
		RequestType string              `yaml:"requesttype"`
		PayloadType string              `yaml:"payloadtype"`
		SupportedOS map[string]platform `yaml:"supportedOS"`
	} `yaml:"payload"`
	Keys []key `yaml:"payloadkeys"`
}

// Key is one key of a command.
type Key struct {
	Type     string         `json:"type"`
	Required bool           `json:"required,omitempty"`
	Values   []any          `json:"values,omitempty"`
	Keys     map[string]Key `json:"keys,omitempty"`
	Item     *Key           `json:"item,omitempty"`
}

// Command is one of Apple's commands.
type Command struct {
	Supervised bool           `json:"supervised,omitempty"`
	Since      string         `json:"since,omitempty"`
	Keys       map[string]Key `json:"keys,omitempty"`
}

type tables struct {
	Commands     map[string]Command `json:"commands"`
	Restrictions map[string]string  `json:"restrictions"`
}

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "gen:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	if len(args) < 2 {
		return errors.New("usage: go run ./internal/mdm/gen OUT SCHEMA…")
	}
	out := tables{Commands: map[string]Command{}, Restrictions: map[string]string{}}
	for _, dir := range args[1:] {
		if err := readTree(dir, &out); err != nil {
			return err
		}
	}
	if len(out.Commands) == 0 || len(out.Restrictions) == 0 {
		return errors.New("no commands or no restrictions found: is that Apple's schema?")
	}
	b, err := json.MarshalIndent(out, "", " ")
	if err != nil {
		return fmt.Errorf("write the table: %w", err)
	}
	return os.WriteFile(args[0], append(b, '\n'), 0o600)
}

func readTree(dir string, out *tables) error {
	err := filepath.WalkDir(filepath.Join(dir, "mdm"), func(path string, d fs.DirEntry, err error) error {
		if err == nil && d.IsDir() && d.Name() == "checkin" {
			return filepath.SkipDir // these are what tablets send
		}
		if err != nil || d.IsDir() || filepath.Ext(path) != ".yaml" {
			return err
		}
		b, err := os.ReadFile(path) //nolint:gosec // named on the command line
		if err != nil {
			return err
		}
		var doc document
		if err := yaml.Unmarshal(b, &doc); err != nil {
			// One file of Apple's refers to itself, which YAML forbids.
			fmt.Fprintf(os.Stderr, "gen: %s is left out: %v\n", path, err)
			return nil
		}
		add(out, doc)
		return nil
	})
	if err != nil {
		return fmt.Errorf("read %s: %w", dir, err)
	}
	return nil
}

func add(out *tables, doc document) {
	os, there := doc.Payload.SupportedOS["iOS"]
	switch {
	case !there || os.Introduced == "n/a" || os.Introduced == "":
	case doc.Payload.RequestType != "":
		c := Command{Since: os.Introduced, Keys: keysOf(doc.Keys)}
		c.Supervised = os.Supervised != nil && *os.Supervised
		out.Commands[doc.Payload.RequestType] = c
	case doc.Payload.PayloadType == "com.apple.applicationaccess":
		for _, k := range doc.Keys {
			if onPads(k) {
				out.Restrictions[k.Key] = kind(k.Type)
			}
		}
	}
}

func onPads(k key) bool {
	os, there := k.SupportedOS["iOS"]
	return !there || os.Introduced != "n/a"
}

func kind(t string) string { return strings.Trim(t, "<>") }

func keysOf(list []key) map[string]Key {
	if len(list) == 0 {
		return nil
	}
	out := map[string]Key{}
	for _, k := range list {
		if onPads(k) {
			out[k.Key] = keyOf(k)
		}
	}
	return out
}

func keyOf(k key) Key {
	o := Key{Type: kind(k.Type), Required: k.Presence == "required", Values: k.Range}
	switch {
	case o.Type == "array" && len(k.Subkeys) > 0:
		item := keyOf(k.Subkeys[0])
		o.Item = &item
	case o.Type == "dictionary":
		o.Keys = keysOf(k.Subkeys)
	}
	return o
}
