package mdm

import (
	"reflect"
	"strings"
	"testing"

	"ranzen/internal/catalogue"
	"ranzen/internal/fault"
)

func TestArgumentsGetTheTypesThatAppleWants(t *testing.T) {
	type args map[string]string
	type body map[string]any
	for _, tt := range []struct {
		name, command string
		args          args
		want          body
	}{
		{"none", "UserList", nil, body{}},
		{"a text", "DeviceLock", args{"Message": " bring it, back "}, body{"Message": " bring it, back "}},
		{"an empty text", "DeviceLock", args{"Message": ""}, body{"Message": ""}},
		{"several lines and a true that is a text", "DeviceLock", args{"Message": "a\n\tb", "PhoneNumber": "true"}, body{"Message": "a\n\tb", "PhoneNumber": "true"}},
		{"a whole number", "RequestMirroring", args{"ScanTime": " 30 "}, body{"ScanTime": int64(30)}},
		{"yes and no", "DeleteUser", args{"UserName": "u", "ForceDeletion": "true", "DeleteAllUsers": "false"}, body{"UserName": "u", "ForceDeletion": true, "DeleteAllUsers": false}},
		{"data", "InstallProvisioningProfile", args{"ProvisioningProfile": "AP8="}, body{"ProvisioningProfile": []byte{0, 255}}},
		{"a list with commas", "DeviceInformation", args{"Queries": "UDID, OSVersion,Languages"}, body{"Queries": []any{"UDID", "OSVersion", "Languages"}}},
		{"a list of one", "DeviceInformation", args{"Queries": "UDID"}, body{"Queries": []any{"UDID"}}},
		{"an empty list", "ValidateApplications", args{"Identifiers": ""}, body{"Identifiers": []any{}}},
		{"a list as JSON", "InstalledApplicationList", args{"Items": `["Name","Version"]`, "ManagedAppsOnly": "true"}, body{"Items": []any{"Name", "Version"}, "ManagedAppsOnly": true}},
		{"an allowed value", "RemoveMedia", args{"MediaType": "Book", "PersistentID": "x"}, body{"MediaType": "Book", "PersistentID": "x"}},
		{"one setting", "Settings", args{"Settings": `{"Item":"Bluetooth","Enabled":true}`}, body{"Settings": []any{map[string]any{"Item": "Bluetooth", "Enabled": true}}}},
		{"several settings", "Settings", args{"Settings": `[{"Item":"TimeZone","TimeZone":"Europe/Berlin"},{"Item":"Wallpaper","Image":"AQI=","Where":3}]`}, body{"Settings": []any{
			map[string]any{"Item": "TimeZone", "TimeZone": "Europe/Berlin"}, map[string]any{"Item": "Wallpaper", "Image": []byte{1, 2}, "Where": int64(3)},
		}}},
		{"a setting whose Item Apple forgot to list", "Settings", args{"Settings": `{"Item":"DefaultApplications","WebBrowser":"org.example"}`}, body{"Settings": []any{map[string]any{"Item": "DefaultApplications", "WebBrowser": "org.example"}}}},
		{"what an app makes of it", "Settings", args{"Settings": `{"Item":"ApplicationConfiguration","Identifier":"a.b","Configuration":{"x.y":1,"z":[true,1.5,{"w":"v"}],"e":{},"big":1e300}}`}, body{"Settings": []any{
			map[string]any{"Item": "ApplicationConfiguration", "Identifier": "a.b", "Configuration": map[string]any{"x.y": int64(1), "z": []any{true, 1.5, map[string]any{"w": "v"}}, "e": map[string]any{}, "big": 1e300}},
		}}},
		{"an update", "ScheduleOSUpdate", args{"Updates": `{"InstallAction":"InstallASAP","ProductVersion":"16.7"}`}, body{"Updates": []any{map[string]any{"InstallAction": "InstallASAP", "ProductVersion": "16.7"}}}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := BuildRaw(tt.command, tt.args)
			if err != nil {
				t.Fatal(err)
			}
			if !reflect.DeepEqual(got, map[string]any(tt.want)) {
				t.Errorf("got %#v, want %#v", got, tt.want)
			}
			b, err := Encode(got)
			if err != nil {
				t.Fatal(err)
			}
			var back map[string]any
			if err := Decode(b, &back); err != nil || len(back) != len(got) {
				t.Errorf("written and read: %v, %v", back, err)
			}
		})
	}
}

func TestWhatAppleWouldRefuseIsRefusedByName(t *testing.T) {
	type args map[string]string
	for _, tt := range []struct {
		name, command string
		args          args
		code, says    string
	}{
		{"no command", "", nil, "send.no-such-command", `no command ""`},
		{"an unknown one", "MakeCoffee", nil, "send.no-such-command", `"MakeCoffee"`},
		{"another case", "devicelock", nil, "send.unknown-command", "Is DeviceLock meant?"},
		{"a typing error", "DeviceLokc", nil, "send.unknown-command", "Is DeviceLock meant?"},
		{"of a Mac", "RotateFileVaultKey", nil, "send.no-such-command", "for iPads"},
		{"of iPadOS 6", "RequestUnlockToken", nil, "send.no-such-command", "for iPads"},
		{"odd characters", "Device\x00Lock\xff", nil, "send.unknown-command", `"DeviceLock"`},
		{"long", strings.Repeat("x", 1000), nil, "send.no-such-command", strings.Repeat("x", 60) + "…"},
		{"a key of none", "UserList", args{"Name": "x"}, "send.no-keys", `UserList has no keys, so "Name" cannot be given`},
		{"an unknown key", "DeviceLock", args{"Color": "red"}, "send.unknown-key", `It has Message, PhoneNumber.`},
		{"a key in another case", "DeviceLock", args{"message": "x"}, "send.unknown-key", "Is Message meant?"},
		{"a key of a Mac", "DeviceLock", args{"PIN": "123456"}, "send.unknown-key", `"PIN"`},
		{"an empty key", "DeviceLock", args{"": "x"}, "send.unknown-key", `no key ""`},
		{"a key of a text", "DeviceLock", args{"Message.Text": "x"}, "send.type", "a text and has no keys of its own"},
		{"a key of a list", "Settings", args{"Settings.Item": "x"}, "send.type", "a list and has no keys of its own"},
		{"a missing key", "ApplyRedemptionCode", args{"Identifier": "x"}, "send.missing", "needs the key RedemptionCode"},
		{"all keys missing", "DeviceInformation", nil, "send.missing", "needs the key Queries"},
		{"a number that is none", "RequestMirroring", args{"ScanTime": "soon"}, "send.type", `"ScanTime" of Apple's schema is a whole number`},
		{"a fraction", "RequestMirroring", args{"ScanTime": "1.5"}, "send.type", "a whole number"},
		{"too large a number", "RequestMirroring", args{"ScanTime": "9223372036854775808"}, "send.type", "a whole number"},
		{"perhaps", "DeleteUser", args{"DeleteAllUsers": "yes"}, "send.type", "true or false"},
		{"torn data", "InstallProvisioningProfile", args{"ProvisioningProfile": "A"}, "send.type", "base64"},
		{"a value that is not allowed", "RemoveMedia", args{"MediaType": "Film"}, "send.value", "It is one of Book."},
		{"a value in another case", "InstalledApplicationList", args{"Items": "name"}, "send.value", "Is Name meant?"},
		{"a list that is no JSON", "ValidateApplications", args{"Identifiers": `["a"`}, "send.type", "write it as JSON"},
		{"more than one value", "ValidateApplications", args{"Identifiers": `["a"] ["b"]`}, "send.type", "write it as JSON"},
		{"a list of numbers", "ValidateApplications", args{"Identifiers": `[1]`}, "send.type", `"Identifiers[0]" of Apple's schema is a text`},
		{"a list of dictionaries with commas", "Settings", args{"Settings": "Bluetooth,DataRoaming"}, "send.type", "write it as JSON"},
		{"a setting of no kind", "Settings", args{"Settings": `{"Enabled":true}`}, "send.item", "needs an Item, which is one of Wallpaper"},
		{"a setting of a Mac", "Settings", args{"Settings": `{"Item":"HostName","HostName":"x"}`}, "send.item", "needs an Item"},
		{"a setting that is text", "Settings", args{"Settings": `["Bluetooth"]`}, "send.item", `"Settings[0]" needs an Item`},
		{"a setting without its key", "Settings", args{"Settings": `{"Item":"Bluetooth"}`}, "send.missing", "Settings[0].Enabled"},
		{"a setting with another's key", "Settings", args{"Settings": `{"Item":"Bluetooth","Enabled":true,"Where":1}`}, "send.unknown-key", `"Settings[0].Where"`},
		{"a setting with a wrong type", "Settings", args{"Settings": `{"Item":"Bluetooth","Enabled":"on"}`}, "send.type", `"Settings[0].Enabled" of Apple's schema is true or false`},
		{"a wrong value in a setting", "Settings", args{"Settings": `{"Item":"Wallpaper","Image":"AQ==","Where":9}`}, "send.value", "It is one of 1, 2, 3."},
		{"an inner key missing", "Settings", args{"Settings": `{"Item":"OrganizationInfo","OrganizationInfo":{}}`}, "send.missing", "OrganizationInfo.OrganizationName"},
		{"a missing key in a list", "ScheduleOSUpdate", args{"Updates": `[{"ProductVersion":"16.7"}]`}, "send.missing", "Updates[0].InstallAction"},
		{"null", "Settings", args{"Settings": `{"Item":"ApplicationConfiguration","Identifier":"a","Configuration":{"x":null}}`}, "send.null", "knows no null"},
		{"null for a text", "ValidateApplications", args{"Identifiers": `[null]`}, "send.type", "a text"},
		{"too deep", "Settings", args{"Settings": `{"Item":"ApplicationConfiguration","Identifier":"a","Configuration":{"x":` + strings.Repeat("[", 40) + strings.Repeat("]", 40) + `}}`}, "send.depth", "nested deeper than 16 levels"},
		{"a number that JSON allows and nobody", "Settings", args{"Settings": `{"Item":"ApplicationConfiguration","Identifier":"a","Configuration":{"x":1e999}}`}, "send.type", "a number"},
		{"NUL in a text", "DeviceLock", args{"Message": "a\x00b"}, "send.characters", `"Message" holds characters`},
		{"invalid UTF-8", "DeviceLock", args{"Message": "\xff"}, "send.characters", "cannot carry"},
		{"NUL in a key", "DeviceLock", args{"Mess\x00age": "x"}, "send.characters", "cannot carry"},
		{"NUL in a key of an app", "Settings", args{"Settings": `{"Item":"ApplicationConfiguration","Identifier":"a","Configuration":{"x\u0000":1}}`}, "send.characters", "cannot carry"},
		{"NUL in a deep key of an app", "Settings", args{"Settings": `{"Item":"ApplicationConfiguration","Identifier":"a","Configuration":{"x":{"\u0001":1}}}`}, "send.characters", "cannot carry"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := BuildRaw(tt.command, tt.args)
			f, ok := fault.Of(err)
			if !ok || f.Kind != fault.Invalid || f.Code != tt.code || !strings.Contains(f.Text, tt.says) {
				t.Errorf("got %v, %v, want %s and %q", got, err, tt.code, tt.says)
			}
			if ok && (f.Text != strings.ToValidUTF8(f.Text, "") || strings.ContainsRune(f.Text, 0) || strings.ContainsRune(f.Field, 0)) {
				t.Errorf("%q cannot be shown", f)
			}
		})
	}
}

func TestWhatTheServerDecidesIsNotSentAsItIs(t *testing.T) {
	n := 0
	for _, name := range catalogue.Names(catalogue.Command) {
		instead, is := owned(name)
		if !is {
			continue
		}
		n++
		_, err := BuildRaw(name, map[string]string{"Anything": "x"})
		if f, ok := fault.Of(err); !ok || f.Code != "send.owned" || !strings.Contains(f.Text, instead) {
			t.Errorf("%s: got %v", name, err)
		}
	}
	if n != 13 {
		t.Errorf("%d commands are the server's own", n) // one that the table lacks is a typing error
	}
	for _, name := range []string{"RestartDevice", "ShutDownDevice", "SecurityInfo", "ProfileList"} {
		if _, err := BuildRaw(name, nil); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func FuzzBuildRaw(f *testing.F) {
	for _, s := range [][3]string{
		{"DeviceLock", "Message", "x"}, {"Settings", "Settings", `[{"Item":"Bluetooth","Enabled":true}]`}, {"DeviceInformation", "Queries", "UDID,OSVersion"},
		{"Settings", "Settings", `{"Item":"ApplicationConfiguration","Identifier":"a","Configuration":{"x":[1,{"y":null}]}}`}, {"DeleteUser", "ForceDeletion", "true"}, {"X", "a.b.c", ""},
	} {
		f.Add(s[0], s[1], s[2])
	}
	f.Fuzz(func(t *testing.T, command, key, value string) {
		body, err := BuildRaw(command, map[string]string{key: value})
		if err != nil {
			if _, ok := fault.Of(err); !ok {
				t.Fatalf("got %v, which nobody may see", err)
			}
			return
		}
		b, err := Encode(body)
		if err != nil {
			t.Fatal(err)
		}
		var back map[string]any
		if err := Decode(b, &back); err != nil {
			t.Fatalf("%s cannot be read again: %v", b, err)
		}
	})
}

func BenchmarkBuildRaw(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		if _, err := BuildRaw("Settings", map[string]string{"Settings": `{"Item":"Bluetooth","Enabled":true}`}); err != nil {
			b.Fatal(err)
		}
	}
}
