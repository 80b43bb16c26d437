package arch

import (
	"fmt"
	"go/ast"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// floors of the packages. arch is exempt: nothing imports it.
func floors() map[string]int {
	return map[string]int{
		"internal/fault": 0, "internal/clock": 0, "internal/catalogue": 0,
		"internal/mdm": 1, "internal/sqldb": 1, "internal/apple/push": 1, "internal/apple/ade": 1, "internal/print": 1, "internal/sheet": 1, "internal/sim/apple": 1, "internal/sim/tablet": 1,
		"internal/sqldb/sqldbtest": 2, "internal/audit": 2,
		"internal/auth":    3,
		"internal/schools": 4, "certs": 4,
		"internal/commands": 5,
		"enroll":            6, "profiles": 6, "internal/views": 6,
		"server/device": 7, "server/console": 7,
		"server":     8,
		"cmd/ranzen": 9, "internal/catalogue/gen": 9,
	}
}

// owners of the tables: who writes them.
func owners() map[string]string {
	out := map[string]string{}
	for pkg, tables := range map[string]string{
		"internal/audit":    "audit_events audit_head",
		"internal/auth":     "users tokens",
		"internal/schools":  "tenants schools sites rooms classes carts cart_classes deliveries devices delivery_serials scans pack_checks tag_numbers imports import_mappings device_groups device_group_members group_unknown",
		"certs":             "ca_keys certificates challenges crl refusals push_certificates ade_tokens",
		"internal/commands": "commands answers push_targets",
		"enroll":            "links enrollments contacts inventory locations ade_sync ade_devices ade_profiles ade_profile_uuids ade_wishes ade_visits holds",
		"profiles":          "profiles profile_versions apps assignments marks device_items observations secrets variables rollouts rollout_devices app_versions app_uploads app_chunks",
		"server":            "idempotency leases",
	} {
		for table := range strings.FieldsSeq(tables) {
			out[table] = pkg
		}
	}
	return out
}

// fences: who may import what. Everything from outside the standard library is
// listed, and of the standard library what is named here.
func fences() map[string][]string {
	return map[string][]string{
		"database/sql":                        {"internal/sqldb"},
		"html/template":                       {"server/device", "server/console"},
		"net/http":                            {"certs", "internal/apple/ade", "internal/apple/push", "server", "server/device", "server/console", "cmd/ranzen", "internal/sim/apple", "internal/sim/tablet"},
		"os/exec":                             {"cmd/ranzen"},
		"filippo.io/age":                      {"cmd/ranzen"},
		"github.com/alecthomas/kong":          {"cmd/ranzen"},
		"github.com/danielgtaylor/huma/v2":    {"server"},
		"github.com/google/uuid":              {"certs", "enroll", "internal/sqldb", "profiles"},
		"github.com/gorilla/mux":              {"server", "server/device"},
		"github.com/jackc/pgx/v5":             {"internal/sqldb"},
		"github.com/jmoiron/sqlx":             {"internal/sqldb"},
		"github.com/micromdm/plist":           {"internal/mdm", "internal/sim/tablet"},
		"github.com/micromdm/nanodep":         {"internal/apple/ade"},
		"github.com/pressly/goose/v3":         {"internal/sqldb"},
		"github.com/prometheus/client_golang": {"server"},
		"github.com/schollz/progressbar/v3":   {"cmd/ranzen"},
		"github.com/skip2/go-qrcode":          {"internal/print", "server/device"},
		"github.com/go-pdf/fpdf":              {"internal/print"},
		"github.com/boombuler/barcode":        {"internal/print"},
		"github.com/xuri/excelize/v2":         {"internal/sheet"},
		"golang.org/x/text":                   {"internal/sheet"},
		"golang.org/x/image":                  {"internal/print"},
		"github.com/smallstep/certificates":   {"certs"},
		"github.com/smallstep/pkcs7":          {"certs", "internal/sim/tablet"},
		"github.com/smallstep/scep":           {"certs"},
		"go.step.sm/crypto":                   {"certs"},
		"golang.org/x/crypto":                 {"certs", "internal/sim/tablet"},
		"golang.org/x/net":                    {"internal/apple/push", "internal/sim/apple"},
		"golang.org/x/term":                   {"cmd/ranzen"},
		"gopkg.in/yaml.v3":                    {"internal/catalogue/gen", "cmd/ranzen"},
		"modernc.org/sqlite":                  {"internal/sqldb"},
	}
}

// exceptions to rule 5: "package: thing", with the reason.
func exceptions() map[string]string {
	return map[string]string{
		"internal/clock: time.Now":       "it is the clock",
		"internal/sqldb: var rebound":    "remembers rebound query texts, of which there are as many as in the source",
		"internal/sqldb: panic":          "hands a panic of a grouped writer on to its own caller",
		"internal/catalogue: var loaded": "the table, read once, when it is first asked",
		"cmd/ranzen: context.Background": "where the program begins",
		"server: context.Background":     "Prometheus asks without a context",
	}
}

// readers of other rooms' tables outside internal/views: "package: table", with
// the reason.
func readers() map[string]string {
	return map[string]string{
		"enroll: device_groups": "a link shows its group's name",
		"enroll: devices":       "which enrollment profile a serial number gets hangs on its device's delivery, site and tenant, for thousands in one statement",
		"profiles: enrollments": "after a restore all enrolled tablets are marked in one statement",
	}
}

func checkFloors(all []source, packages map[string]bool, floors map[string]int) (wrong []string) {
	for pkg := range packages {
		if _, has := floors[pkg]; !has && pkg != "internal/arch" {
			wrong = append(wrong, fmt.Sprintf("%s has no floor", pkg))
		}
	}
	for pkg := range floors {
		if !packages[pkg] {
			wrong = append(wrong, fmt.Sprintf("%s has a floor and does not exist", pkg))
		}
	}
	for _, s := range all {
		for p, at := range s.imports() {
			other, ours := strings.CutPrefix(p, module)
			if !ours {
				continue
			}
			mine, theirs := floors[s.pkg], floors[other]
			_, known := floors[other]
			switch sim := within(other, "internal/sim"); {
			case within(s.pkg, "internal/sim") && other != "internal/clock":
				wrong = append(wrong, fmt.Sprintf("%s: a simulator imports %s, and may know the clock only", s.at(at), other))
			case sim && !within(s.pkg, "cmd"):
				wrong = append(wrong, fmt.Sprintf("%s: %s imports the simulator %s", s.at(at), s.pkg, other))
			case !known:
				wrong = append(wrong, fmt.Sprintf("%s: %s has no floor", s.at(at), other))
			case theirs >= mine:
				wrong = append(wrong, fmt.Sprintf("%s: %s (floor %d) imports %s (floor %d)", s.at(at), s.pkg, mine, other, theirs))
			}
		}
	}
	return wrong
}

func checkFences(all []source, fences map[string][]string) (wrong []string) {
	used := map[string]bool{}
	for _, s := range all {
		for p, at := range s.imports() {
			first, _, _ := strings.Cut(p, "/")
			foreign := strings.Contains(first, ".")
			fence := ""
			for f := range fences {
				if within(p, f) && len(f) > len(fence) && (foreign || p == f) {
					fence = f
				}
			}
			switch {
			case fence == "" && foreign:
				wrong = append(wrong, fmt.Sprintf("%s: %s is a new dependency: it needs a line here and in docs/adr/0002", s.at(at), p))
			case fence != "" && !slices.Contains(fences[fence], s.pkg):
				wrong = append(wrong, fmt.Sprintf("%s: %s imports %s, which only %s may", s.at(at), s.pkg, p, strings.Join(fences[fence], ", ")))
			}
			used[fence+" "+s.pkg] = true
		}
	}
	for fence, pkgs := range fences {
		for _, pkg := range pkgs {
			if !used[fence+" "+pkg] {
				wrong = append(wrong, fmt.Sprintf("%s may import %s and does not", pkg, fence))
			}
		}
	}
	return wrong
}

var (
	writes  = regexp.MustCompile(`\b(?:INSERT\s+INTO|UPDATE|DELETE\s+FROM)(?:\s+([a-z_]+)|\s*$)`)
	reads   = regexp.MustCompile(`\b(?:FROM|JOIN)\s+([a-z_]+)`)
	renames = regexp.MustCompile(`(?i)\bALTER\s+TABLE\s+([a-z_]+)\s+RENAME\s+TO\s+([a-z_]+)`)
	creates = regexp.MustCompile(`(?i)\bCREATE\s+TABLE\s+(?:IF\s+NOT\s+EXISTS\s+)?([a-z_]+)`)
)

// checkOwners looks at all text that is SQL. sqldb is exempt where it copies
// whole databases, whose tables it finds by asking them, and so is sqldbtest,
// which prepares what ranzen init prepares.
func checkOwners(all []source, owners, readers map[string]string) (wrong []string) {
	used := map[string]bool{}
	for _, s := range all {
		if within(s.pkg, "internal/sqldb") {
			continue
		}
		s.texts(func(n ast.Node, text string) {
			at := s.at(n)
			for _, m := range writes.FindAllStringSubmatch(text, -1) {
				owner, known := owners[m[1]]
				switch {
				case m[1] == "":
					wrong = append(wrong, fmt.Sprintf("%s: %s writes to a table that is not named", at, s.pkg))
				case !known:
					wrong = append(wrong, fmt.Sprintf("%s: %s writes the table %s, which has no owner", at, s.pkg, m[1]))
				case owner != s.pkg:
					wrong = append(wrong, fmt.Sprintf("%s: %s writes the table %s of %s", at, s.pkg, m[1], owner))
				}
			}
			for _, m := range reads.FindAllStringSubmatch(text, -1) {
				owner, known := owners[m[1]]
				if !known || owner == s.pkg || s.pkg == "internal/views" {
					continue
				}
				key := s.pkg + ": " + m[1]
				if used[key] = true; readers[key] == "" {
					wrong = append(wrong, fmt.Sprintf("%s: %s reads the table %s of %s: ask %s or internal/views", at, s.pkg, m[1], owner, owner))
				}
			}
		})
	}
	for key := range readers {
		if !used[key] {
			wrong = append(wrong, key+" may be read and is not")
		}
	}
	return wrong
}

func checkTables(migrations []string, owners map[string]string) (wrong []string) {
	made := map[string]bool{}
	for _, sql := range migrations {
		// A table built beside the old one, to take its name, is the old one's.
		renamed := map[string]string{}
		for _, m := range renames.FindAllStringSubmatch(sql, -1) {
			renamed[m[1]] = m[2]
		}
		for _, m := range creates.FindAllStringSubmatch(sql, -1) {
			if renamed[m[1]] != "" {
				m[1] = renamed[m[1]]
			}
			made[m[1]] = true
			if owners[m[1]] == "" {
				wrong = append(wrong, fmt.Sprintf("the table %s has no owner", m[1]))
			}
		}
	}
	for table := range owners {
		if !made[table] {
			wrong = append(wrong, fmt.Sprintf("the table %s has an owner and no migration makes it", table))
		}
	}
	return wrong
}

func report(t *testing.T, wrong []string) {
	t.Helper()
	slices.Sort(wrong)
	for _, w := range slices.Compact(wrong) {
		t.Error(w)
	}
}

func TestPackagesImportOnlyLowerFloors(t *testing.T) {
	all, packages := tree(t)
	report(t, checkFloors(all, packages, floors()))
}

func TestForeignPackagesStayBehindTheirFences(t *testing.T) {
	all, _ := tree(t)
	report(t, checkFences(all, fences()))
}

func TestEveryTableHasOneWriter(t *testing.T) {
	all, _ := tree(t)
	report(t, checkOwners(all, owners(), readers()))
}

func TestEveryTableHasAnOwner(t *testing.T) {
	files, err := filepath.Glob("../sqldb/migrations/*.sql")
	if err != nil || len(files) == 0 {
		t.Fatal("no migrations found", err)
	}
	var texts []string
	for _, f := range files {
		b, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		texts = append(texts, string(b))
	}
	report(t, checkTables(texts, owners()))
}

func TestNothingComesFromNowhere(t *testing.T) {
	all, _ := tree(t)
	report(t, checkHabits(all, exceptions()))
}

// TestEachRuleFails shows that each rule finds what it is for.
func TestEachRuleFails(t *testing.T) {
	good := map[string]string{
		"internal/clock": `package clock; import "time"; func Now() time.Time { return time.Now() }`,
		"internal/audit": "package audit; import (\"errors\"; \"regexp\"; \"ranzen/internal/clock\")\nvar ErrX, errY = errors.New(\"x\"), errors.New(\"y\")\nvar form = regexp.MustCompile(`x`)\nvar _ = clock.Now\nconst q = `INSERT INTO audit_events SELECT 1 FROM audit_events`",
	}
	floors := map[string]int{"internal/clock": 0, "internal/sim/tablet": 1, "internal/audit": 2, "certs": 4, "internal/schools": 4, "cmd/ranzen": 9}
	owners := map[string]string{"audit_events": "internal/audit", "devices": "internal/schools"}
	fences := map[string][]string{"database/sql": {"internal/sqldb"}, "github.com/gorilla/mux": {"server"}}
	allowed := map[string]string{"internal/clock: time.Now": ""}
	for _, tt := range []struct{ name, pkg, src, want string }{
		{"nothing is wrong", "internal/audit", `package audit; const x = 1`, ""},
		{"an import upwards", "internal/clock", `package clock; import _ "ranzen/internal/audit"`, "internal/clock (floor 0) imports internal/audit (floor 2)"},
		{"an import sideways", "certs", `package certs; import _ "ranzen/internal/schools"`, "certs (floor 4) imports internal/schools (floor 4)"},
		{"a package without a floor", "internal/util", `package util`, "internal/util has no floor"},
		{"an import of a package without a floor", "certs", `package certs; import _ "ranzen/pkg/x"`, "pkg/x has no floor"},
		{"a simulator that knows us", "internal/sim/tablet", `package tablet; import _ "ranzen/internal/audit"`, "may know the clock only"},
		{"production code that knows a simulator", "certs", `package certs; import _ "ranzen/internal/sim/tablet"`, "imports the simulator internal/sim/tablet"},
		{"the command may", "cmd/ranzen", `package main; import _ "ranzen/internal/sim/tablet"`, ""},
		{"a fenced package", "certs", `package certs; import _ "database/sql"`, "certs imports database/sql, which only internal/sqldb may"},
		{"a part of a fenced module", "certs", `package certs; import _ "github.com/gorilla/mux/x"`, "which only server may"},
		{"an unknown module", "certs", `package certs; import _ "github.com/lib/pq"`, "github.com/lib/pq is a new dependency"},
		{"one that only looks fenced", "certs", `package certs; import _ "github.com/gorilla/muxer"`, "github.com/gorilla/muxer is a new dependency"},
		{"a foreign write", "certs", "package certs; const q = `UPDATE devices SET name = ?`", "certs writes the table devices of internal/schools"},
		{"a foreign write over lines", "certs", "package certs; const q = `DELETE\n\tFROM devices`", "certs writes the table devices of internal/schools"},
		{"a foreign write in parts", "certs", "package certs; func f(t string) string { return `INSERT INTO ` + t }", "writes to a table that is not named"},
		{"a write without an owner", "certs", "package certs; const q = `INSERT INTO things VALUES (1)`", "which has no owner"},
		{"a foreign read", "certs", "package certs; const q = `SELECT 1 FROM devices d`", "certs reads the table devices of internal/schools"},
		{"a foreign join", "certs", "package certs; const q = `SELECT 1 FROM x JOIN devices d`", "certs reads the table devices of internal/schools"},
		{"words that only look like SQL", "certs", "package certs; const q = `FOR UPDATE SKIP LOCKED` + `ON CONFLICT (id) DO UPDATE SET x = 1` + `update the devices`", ""},
		{"the time of day", "certs", `package certs; import "time"; var _ = time.Now`, "certs uses time.Now"},
		{"the time of day under another name", "certs", `package certs; import t "time"; func f() { _ = t.Since(t.Time{}) }`, "certs uses time.Since"},
		{"a context from nowhere", "certs", `package certs; import "context"; func f() { _ = context.TODO() }`, "certs uses context.TODO"},
		{"a panic", "certs", `package certs; func f() { panic("x") }`, "certs uses panic"},
		{"an init", "certs", `package certs; func init() {}`, "certs uses func init"},
		{"a variable", "certs", `package certs; var cache = map[string]int{}`, "certs uses var cache"},
		{"a variable of several", "certs", `package certs; var ( a, b int )`, "certs uses var b"},
		{"a method called init", "certs", `package certs; type t int; func (t) init() {}`, ""},
		{"an embedded file", "certs", "package certs\nimport _ \"embed\"\n//go:embed x\nvar x string", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var all []source
			packages := maps.Collect(func(yield func(string, bool) bool) {
				for p := range floors {
					if !yield(p, true) {
						return
					}
				}
			})
			for pkg, src := range good {
				all = append(all, mustParse(t, pkg, src))
			}
			all = append(all, mustParse(t, tt.pkg, tt.src))
			packages[tt.pkg] = true
			wrong := checkFloors(all, packages, floors)
			wrong = append(wrong, slices.DeleteFunc(checkFences(all, fences), func(s string) bool { return strings.Contains(s, "and does not") })...)
			wrong = append(wrong, checkOwners(all, owners, nil)...)
			wrong = append(wrong, checkHabits(all, allowed)...)
			switch {
			case tt.want == "" && len(wrong) > 0:
				t.Errorf("got %q", wrong)
			case tt.want != "" && !slices.ContainsFunc(wrong, func(s string) bool { return strings.Contains(s, tt.want) }):
				t.Errorf("got %q, want %q", wrong, tt.want)
			}
		})
	}
}

func TestListsThatAllowMoreThanIsUsedFail(t *testing.T) {
	s := []source{mustParse(t, "certs", `package certs`)}
	for name, wrong := range map[string][]string{
		"a package that is gone": checkFloors(s, map[string]bool{"certs": true}, map[string]int{"certs": 4, "gone": 1}),
		"a fence":                checkFences(s, map[string][]string{"net/http": {"certs"}}),
		"an exception":           checkHabits(s, map[string]string{"certs: panic": "once"}),
		"a reader":               checkOwners(s, nil, map[string]string{"certs: devices": "once"}),
		"a table that is gone":   checkTables([]string{"CREATE TABLE a (x TEXT)"}, map[string]string{"a": "certs", "b": "certs"}),
		"a table without owner":  checkTables([]string{"CREATE TABLE a (x TEXT)"}, map[string]string{}),
	} {
		if len(wrong) != 1 {
			t.Errorf("%s: got %q", name, wrong)
		}
	}
}

func mustParse(t *testing.T, pkg, src string) source {
	t.Helper()
	s, err := parse(pkg, "x.go", src)
	if err != nil {
		t.Fatal(err)
	}
	return s
}
