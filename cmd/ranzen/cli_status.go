package main

import (
	"fmt"
	"sort"
	"strings"
	"time"
)

type statusDoc struct {
	Version  string `json:"version"`
	Database string `json:"database"`
	Counts   struct {
		Devices       map[string]int64 `json:"devices"`
		Commands      map[string]int64 `json:"commands"`
		OldestCommand *time.Time       `json:"oldest_command"`
		Items         map[string]int64 `json:"items"`
	} `json:"counts"`
	Refusals []refusalDoc `json:"refusals"`
	Warnings []string     `json:"warnings"`
}

func (d *statusDoc) tell(api *client) {
	oldest := ""
	if d.Counts.OldestCommand != nil {
		oldest = "since " + momentOf(d.Counts.OldestCommand)
	}
	api.facts("version", d.Version, "database", d.Database, "devices", tally(d.Counts.Devices), "items", tally(d.Counts.Items),
		"commands", tally(d.Counts.Commands), "oldest waits", oldest)
	if n := len(d.Refusals); n > 0 {
		api.line("! Certificates were refused at the door, the last one %s: see `ranzen certificate refused`.", api.ago(d.Refusals[0].LastAt))
	}
	for _, w := range d.Warnings {
		api.line("! %s", w)
	}
}

// tally is "28 enrolled, 1 lost", the most first.
func tally(counts map[string]int64) string {
	names := []string{}
	for name, n := range counts {
		if n > 0 {
			names = append(names, name)
		}
	}
	sort.Slice(names, func(i, j int) bool {
		if counts[names[i]] != counts[names[j]] {
			return counts[names[i]] > counts[names[j]]
		}
		return names[i] < names[j]
	})
	parts := make([]string, len(names))
	for i, name := range names {
		parts[i] = fmt.Sprintf("%d %s", counts[name], name)
	}
	return strings.Join(parts, ", ")
}
