package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/rogpeppe/go-internal/testscript"

	"ranzen/internal/sim/apple"
)

// stage is what a script has running.
type stage struct {
	ctx     context.Context      // of the whole test
	served  map[string]*exec.Cmd // by data directory
	tablets map[string]*foreign  // by the name of the variable that holds the serial number
	school  *apple.School
}

type stageKey struct{}

// errors are the lines of the servers' logs that tell of mistakes of ours.
func (s *stage) errors() string {
	var out []string
	for _, cmd := range s.served {
		for line := range strings.Lines(fmt.Sprint(cmd.Stderr)) {
			if strings.Contains(line, `"level":"ERROR"`) {
				out = append(out, line)
			}
		}
	}
	return strings.Join(out, "")
}

func stageOf(ts *testscript.TestScript) *stage { return ts.Value(stageKey{}).(*stage) }

// scriptCommands are what scripts can do beyond testscript's own.
func scriptCommands() map[string]func(ts *testscript.TestScript, neg bool, args []string) {
	return map[string]func(ts *testscript.TestScript, neg bool, args []string){
		"school": cmdSchool, "until": cmdUntil,
		"serve": cmdServe, "end": cmdEnd, "enroll": cmdEnroll, "poll": cmdPoll, "field": cmdField, "lines": cmdLines, "follow": cmdFollow,
	}
}

// cmdServe is "serve DIR [flags]": it starts `ranzen serve` and waits for its
// ready line. DEVICES, ADMIN and METRICS are then its addresses.
func cmdServe(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 1 {
		ts.Fatalf("usage: serve DIR [flags]")
	}
	path, err := exec.LookPath("ranzen")
	ts.Check(err)
	flags := []string{"serve", "--data", ts.MkAbs(args[0]), "--device-listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0"}
	cmd := exec.Command(path, append(flags, args[1:]...)...) //nolint:gosec // ourselves
	cmd.Dir = ts.MkAbs(".")
	log := &buffer{}
	cmd.Stderr = log
	out, err := cmd.StdoutPipe()
	ts.Check(err)
	ts.Check(cmd.Start())
	ts.Defer(func() {
		if cmd.ProcessState == nil {
			_ = cmd.Process.Kill()
			_ = cmd.Wait()
		}
	})
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		ts.Fatalf("ranzen serve did not say that it is ready: %v\n%s", err, log)
	}
	var devices, admin, metrics string
	if _, err := fmt.Sscanf(line, "ready devices=%s admin=%s metrics=%s", &devices, &admin, &metrics); err != nil {
		ts.Fatalf("the ready line is %q", line)
	}
	ts.Setenv("DEVICES", devices)
	ts.Setenv("ADMIN", admin)
	ts.Setenv("METRICS", metrics)
	stageOf(ts).served[args[0]] = cmd
}

// cmdEnd is "end DIR": SIGTERM, and the server must end well. (testscript has a
// "stop" of its own, which ends the script as if all were well.)
func cmdEnd(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 || stageOf(ts).served[args[0]] == nil {
		ts.Fatalf("usage: end DIR, of a server that runs")
	}
	cmd := stageOf(ts).served[args[0]]
	ts.Check(cmd.Process.Signal(syscall.SIGTERM))
	if err := cmd.Wait(); err != nil {
		ts.Fatalf("ranzen serve ended with %v\n%s", err, cmd.Stderr)
	}
	delete(stageOf(ts).served, args[0])
}

// cmdEnroll is "enroll NAME FILE": a tablet that others wrote enrolls by the
// link in FILE, as `ranzen link create --json` printed it. $NAME is then its
// serial number.
func cmdEnroll(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: enroll NAME FILE")
	}
	var link linkDoc
	ts.Check(json.Unmarshal([]byte(ts.ReadFile(args[1])), &link))
	at := "http://" + ts.Getenv("DEVICES")
	signed, err := fetchProfile(stageOf(ts).ctx, link.ProfileURL, at)
	ts.Check(err)
	p, _, err := readProfile(signed)
	ts.Check(err)
	topic := ""
	for _, c := range p.PayloadContent {
		topic += c.Topic
	}
	f, err := newForeign(topic)
	ts.Check(err)
	f.at = at
	ts.Check(f.identify(stageOf(ts).ctx, link.ProfileURL))
	ts.Check(f.DoEnroll(stageOf(ts).ctx))
	stageOf(ts).tablets[args[0]] = f
	ts.Setenv(args[0], strings.ToUpper(f.SerialNumber())) // as serial numbers are kept
}

// cmdPoll is "poll NAME [STATUS]": the tablet connects and answers all commands
// with STATUS, Acknowledged unless said otherwise. What it was told is on
// standard output, one request type a line.
func cmdPoll(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) < 1 || len(args) > 2 || stageOf(ts).tablets[args[0]] == nil {
		ts.Fatalf("usage: poll NAME [STATUS]")
	}
	f, status := stageOf(ts).tablets[args[0]], "Acknowledged"
	if len(args) > 1 {
		status = args[1]
	}
	f.at = "http://" + ts.Getenv("DEVICES")
	told := []string{}
	cmd, err := f.report(stageOf(ts).ctx, "", "Idle")
	for err == nil && cmd != nil && len(told) < 100 {
		told = append(told, cmd.Command.RequestType)
		cmd, err = f.report(stageOf(ts).ctx, cmd.CommandUUID, status)
	}
	if neg != (err != nil) {
		ts.Fatalf("the tablet was told %v, %v\n%s", told, err, stageOf(ts).errors())
	}
	fmt.Fprintln(ts.Stdout(), strings.Join(told, "\n")) //nolint:errcheck // a test's
}

// cmdLines is "lines FILE TEXT...": FILE holds each text on a line of its own, as
// a scanner types.
func cmdLines(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 1 {
		ts.Fatalf("usage: lines FILE TEXT...")
	}
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), []byte(strings.Join(args[1:], "\n")+"\n"), 0o600))
}

// cmdFollow is "follow DIR DELIVERY": somebody looks at the live board of a
// delivery, and goes on looking until the server ends.
func cmdFollow(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: follow DIR DELIVERY")
	}
	ctx, stop := context.WithCancel(stageOf(ts).ctx)
	ts.Defer(stop)
	req, err := http.NewRequestWithContext(ctx, "GET", "http://"+ts.Getenv("ADMIN")+"/api/v1"+at("deliveries", args[1], "board", "events"), nil)
	ts.Check(err)
	req.Header.Set("Authorization", "Bearer "+strings.TrimSpace(ts.ReadFile(filepath.Join(args[0], adminTokFile))))
	res, err := http.DefaultClient.Do(req)
	ts.Check(err)
	ts.Defer(func() { _ = res.Body.Close() })
	for lines := bufio.NewScanner(res.Body); lines.Scan(); {
		if lines.Text() == "event: board" {
			return
		}
	}
	ts.Fatalf("no board came: %s\n%s", res.Status, stageOf(ts).errors())
}

// cmdField is "field NAME FILE PATH": $NAME is what is at PATH ("items.0.id") of
// the JSON document in FILE.
func cmdField(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 3 {
		ts.Fatalf("usage: field NAME FILE PATH")
	}
	var doc any
	dec := json.NewDecoder(bytes.NewReader([]byte(ts.ReadFile(args[1]))))
	dec.UseNumber()
	ts.Check(dec.Decode(&doc))
	for _, step := range strings.Split(args[2], ".") {
		switch v := doc.(type) {
		case map[string]any:
			doc = v[step]
		case []any:
			i := -1
			if _, err := fmt.Sscan(step, &i); err != nil || i < 0 || i >= len(v) {
				ts.Fatalf("%s has no %s in %s", args[1], step, args[2])
			}
			doc = v[i]
		default:
			ts.Fatalf("%s has no %s in %s", args[1], step, args[2])
		}
	}
	if doc == nil {
		ts.Fatalf("%s has no %s", args[1], args[2])
	}
	ts.Setenv(args[0], fmt.Sprint(doc))
}
