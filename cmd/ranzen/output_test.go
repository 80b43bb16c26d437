package main

import (
	"bytes"
	"testing"
	"time"
)

func TestTable(t *testing.T) {
	tests := []struct {
		name   string
		colour bool
		rows   [][]string
		want   string
	}{
		{"nothing is a sentence", false, nil, "There is nothing.\n"},
		{"columns are as wide as what is in them, the last one is not padded", false, [][]string{{"A", "enrolled", "x"}, {"Äpfel", "lost", "y"}},
			"NAME   STATE     R\nA      enrolled  x\nÄpfel  lost      y\n"},
		{"what is empty is a dash, so that columns can be counted", false, [][]string{{"", "", ""}}, "NAME  STATE  R\n-     -      -\n"},
		{"a name cannot steer the terminal or turn the line around", false, [][]string{{"a\x1b[31m", "b\u202ec", "\xff\n"}},
			"NAME    STATE  R\na?[31m  b?c    ??\n"},
		{"colour is for the words that tell good from bad", true, [][]string{{"A", "lost", "x"}},
			"\x1b[1mNAME\x1b[0m  \x1b[1mSTATE\x1b[0m  \x1b[1mR\x1b[0m\nA     \x1b[31mlost\x1b[0m   x\n"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var b bytes.Buffer
			tab := newTable("NAME", "STATE", "R")
			for _, r := range tt.rows {
				tab.add(r...)
			}
			(&printer{w: &b, colour: tt.colour}).print(tab, "There is nothing.")
			if b.String() != tt.want {
				t.Errorf("got  %q\nwant %q", b.String(), tt.want)
			}
		})
	}
}

func TestAges(t *testing.T) {
	now := time.Date(2026, 9, 1, 7, 45, 0, 0, time.UTC)
	p := &printer{now: now}
	for ago, want := range map[time.Duration]string{
		0: "0 s ago", 59 * time.Second: "59 s ago", time.Minute: "1 min ago", 119 * time.Minute: "1 h ago",
		47 * time.Hour: "47 h ago", 48 * time.Hour: "2 days ago", -time.Hour: "in 1 h", 400 * 24 * time.Hour: "400 days ago",
	} {
		if got := p.ago(now.Add(-ago)); got != want {
			t.Errorf("%v: got %q, want %q", ago, got, want)
		}
	}
	if got := p.ago(time.Time{}); got != "" {
		t.Errorf("never: got %q", got)
	}
}

func TestDurationsOnTheCommandLine(t *testing.T) {
	for in, want := range map[string]time.Duration{
		"30m": 30 * time.Minute, "72h": 72 * time.Hour, "1h30m": 90 * time.Minute, "14d": 14 * 24 * time.Hour,
		"": 0, "0h": 0, "0d": 0, "-3h": 0, "-3d": 0, "3": 0, "3 d": 0, "1d12h": 0, "d": 0, "99999999d": 0, "1e9h": 0, "9999999999h": 0, "3w": 0,
	} {
		var d duration
		err := d.UnmarshalText([]byte(in))
		if (err == nil) != (want > 0) || err == nil && time.Duration(d) != want {
			t.Errorf("%q: got %v, %v, want %v", in, time.Duration(d), err, want)
		}
	}
}
