package mdm

import (
	"maps"
	"testing"
)

func TestLinesAreThoseOfTheFile(t *testing.T) {
	const doc = `<?xml version="1.0"?>
<!DOCTYPE plist PUBLIC "-//Apple//DTD PLIST 1.0//EN" "http://www.apple.com/DTDs/PropertyList-1.0.dtd">
<plist version="1.0">
<dict>
	<!-- <key>Not</key> -->
	<key>PayloadContent</key>
	<array>
		<string>first</string>
		<dict>
			<key>A &amp; B</key><true/>
			<key>Inner</key>
			<dict>
				<key>List</key>
				<array><integer>13</integer>
					<integer>25</integer>
				</array>
			</dict>
			<key>Empty</key><dict/>
			<key>After</key>
			<data>
			AAAA
			</data>
		</dict>
	</array>
	<key>Last</key>

	<string><![CDATA[<key>Not</key>]]></string>
</dict>
</plist>`
	want := map[string]int{
		"": 4, "PayloadContent": 7, "PayloadContent[0]": 8, "PayloadContent[1]": 9, "PayloadContent[1].A & B": 10, "PayloadContent[1].Inner": 12,
		"PayloadContent[1].Inner.List[0]": 14, "PayloadContent[1].Inner.List[1]": 15, "PayloadContent[1].Empty": 18, "PayloadContent[1].After": 20, "Last": 27,
	}
	paths := []string{"Not", "PayloadContent[2]", "PayloadContent[1].Empty.x", "plist"}
	for p := range want {
		paths = append(paths, p)
	}
	if got := Lines([]byte(doc), paths...); !maps.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	for _, bad := range []string{"", "bplist00", "<dict>", "</dict>", "<dict><key>a</dict></key>"} {
		if got := Lines([]byte(bad), "a"); len(got) > 0 {
			t.Errorf("%q: got %v", bad, got)
		}
	}
}
