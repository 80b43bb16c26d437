package mdm

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"ranzen/internal/catalogue"
)

func example(t testing.TB, name string) []byte {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("testdata/apple", name+".plist"))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// TestApplesExamples reads every answer that Apple publishes, and holds every
// command that Apple publishes to the table.
func TestApplesExamples(t *testing.T) {
	files, err := filepath.Glob("testdata/apple/*.plist")
	if err != nil || len(files) != 62 {
		t.Fatalf("%d examples, %v", len(files), err)
	}
	commands, answers := 0, 0
	for _, f := range files {
		name := strings.TrimSuffix(filepath.Base(f), ".plist")
		if name == "declarativemanagement.example1" {
			continue // Apple nested it once too often
		}
		t.Run(name, func(t *testing.T) {
			b := example(t, name)
			var all map[string]any
			if err := Decode(b, &all); err != nil {
				t.Fatal(err)
			}
			if command, is := all["Command"].(map[string]any); is {
				commands++
				known(t, command)
				return
			}
			answers++
			answered(t, name, maps.Clone(all))
			r, err := ParseReport(b)
			if err != nil {
				t.Fatal(err)
			}
			udid, _ := all["UDID"].(string)
			if r.Status != all["Status"] || r.CommandUUID != all["CommandUUID"] || r.UDID != udid || !bytes.Equal(r.Raw, b) {
				t.Errorf("got %+v, want %v, %v, %v", r, all["Status"], all["CommandUUID"], udid)
			}
		})
	}
	if commands != 31-1 || answers != 31 {
		t.Errorf("%d commands and %d answers", commands, answers)
	}
}

// odd are what Apple's examples have and Apple's schema does not.
func odd(example string) []string {
	at := "key.absent ProfileList[0].PayloadContent[%d].PayloadUUID"
	return map[string][]string{
		"application.managed.list.example2": {"key.missing ManagedApplicationList.com.acme.myenterpriseapp.UnusedRedemptionCode"},
		"device.restrictions.list.example2": {"key.missing ProfileRestrictions"},
		"profile.list.example2":             {fmt.Sprintf(at, 0), fmt.Sprintf(at, 1), fmt.Sprintf(at, 2)},
		"settings.example2":                 {"key.type Settings"}, // which is a list, as Apple's own text says
	}[example]
}

// answered holds an answer to the catalogue, but for what surrounds every answer.
func answered(t *testing.T, name string, all map[string]any) {
	t.Helper()
	command := strings.Replace(name, "example2", "example1", 1)
	command = strings.Replace(command, "example4", "example3", 1)
	var asked struct{ Command struct{ RequestType string } }
	if err := Decode(example(t, command), &asked); err != nil {
		t.Fatal(err)
	}
	if name == "declarativemanagement.example2" {
		asked.Command.RequestType = "DeclarativeManagement" // Apple nested it once too often
	}
	for _, key := range []string{"Status", "CommandUUID", "UDID", "EnrollmentID"} {
		delete(all, key)
	}
	var got []string
	for _, f := range catalogue.CheckAnswer(asked.Command.RequestType, all) {
		got = append(got, f.Code+" "+f.Path)
	}
	if !reflect.DeepEqual(got, odd(name)) {
		t.Errorf("the catalogue says %q", got)
	}
}

// known checks a command of Apple's as if a person had sent it as JSON.
func known(t *testing.T, command map[string]any) {
	t.Helper()
	name, _ := command["RequestType"].(string)
	spec, ok := catalogue.Find(catalogue.Command, name)
	if !ok {
		t.Fatalf("%s is not in the table", name)
	}
	delete(command, "RequestType")
	if command["ManagementFlags"] == uint64(0) {
		delete(command, "ManagementFlags") // which Apple's schema does not allow and its examples have
	}
	if found := catalogue.CheckCommand(name, command); len(found) > 0 {
		t.Errorf("the catalogue says %+v", found)
	}
	text, err := json.Marshal(command)
	if err != nil {
		t.Fatal(err)
	}
	var args map[string]any
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	if err := d.Decode(&args); err != nil {
		t.Fatal(err)
	}
	body, err := spec.Build(args)
	if err != nil {
		t.Fatal(err)
	}
	written, err := Command("U-1", name, body)
	if err != nil {
		t.Fatal(err)
	}
	var back struct {
		CommandUUID string
		Command     map[string]any
	}
	if err := Decode(written, &back); err != nil {
		t.Fatal(err)
	}
	command["RequestType"] = name
	if back.CommandUUID != "U-1" || !reflect.DeepEqual(back.Command, command) {
		t.Errorf("got %v, want %v", back.Command, command)
	}
}

func TestAnswersAreDecodedAsAppleWritesThem(t *testing.T) {
	profiles, err := ParseProfileList(example(t, "profile.list.example2"))
	if err != nil || len(profiles) == 0 || profiles[0].PayloadIdentifier == "" || profiles[0].PayloadUUID == "" {
		t.Errorf("profiles: %+v, %v", profiles, err)
	}
	managed, err := ParseManagedApps(example(t, "application.managed.list.example2"))
	if want := map[string]ManagedApp{"com.acme.myenterpriseapp": {Status: "Managed", IsValidated: true}}; err != nil || !reflect.DeepEqual(managed, want) {
		t.Errorf("managed apps: %+v, %v", managed, err)
	}
	installed, err := ParseInstalledApps(example(t, "application.installed.list.example2"))
	if err != nil || len(installed) == 0 || installed[0].Identifier == "" || installed[0].Name == "" {
		t.Errorf("installed apps: %+v, %v", installed, err)
	}
	info, err := ParseDeviceInformation(example(t, "information.device.example2"))
	if err != nil || info["BatteryLevel"] != 1.0 || info["BuildVersion"] != "17A576" || info["AwaitingConfiguration"] != false {
		t.Errorf("device: %v, %v", info, err)
	}
	security, err := ParseSecurityInfo(example(t, "information.security.example2"))
	if err != nil || security["PasscodePresent"] == nil {
		t.Errorf("security: %v, %v", security, err)
	}
	certificates, err := ParseCertificateList(example(t, "certificate.list.example2"))
	if err != nil || len(certificates) < 2 || certificates[0].CommonName != "Example Root Cert" || len(certificates[0].Data) < 1000 {
		t.Errorf("certificates: %v, %v", certificates, err)
	}
	place, err := ParseLocation(example(t, "device.lostmode.location.example2"))
	if want := (Location{37.33385013244351, -122.01079213269968, 3.677859038862057, -1, -1, -1, -1, "2019-09-04T22:35:52Z"}); err != nil || place != want {
		t.Errorf("place: %+v, %v", place, err)
	}
	settings, err := ParseSettings(example(t, "settings.example2"))
	if want := []SettingResult{{Item: "DeviceName", Status: "Acknowledged"}}; err != nil || !reflect.DeepEqual(settings, want) {
		t.Errorf("settings: %+v, %v", settings, err)
	}
	app, err := ParseAppAnswer(example(t, "application.install.example2"))
	if err != nil || app.Identifier == "" || app.RejectionReason != "" {
		t.Errorf("app: %+v, %v", app, err)
	}
}
