package enroll_test

import (
	"encoding/json"
	"testing"

	"ranzen/enroll"
	"ranzen/internal/fault"
)

// FuzzADEDefinition: whatever people write into a definition, it is refused, or
// Apple gets it with our keys as they must be.
func FuzzADEDefinition(f *testing.F) {
	f.Add([]byte(`{"department":"IT","skip_setup_items":["Siri"],"is_supervised":true}`))
	f.Add([]byte(`{"is_mdm_removable":true}`))
	f.Add([]byte(`{"url":"https://evil.example","URL":"x"}`))
	f.Add([]byte(`{"Is_Supervised":false}`))
	f.Add([]byte(`{"supervising_host_certs":["MAA="],"profile_name":"\u0000"}`))
	f.Add([]byte(`{"a":{"b":[1e999]}}`))
	f.Add([]byte(``))
	f.Fuzz(func(t *testing.T, raw []byte) {
		keys, _, err := enroll.ReadDefinition(raw)
		if err != nil {
			if fault.KindOf(err) != fault.Invalid {
				t.Errorf("%v", err)
			}
			return
		}
		sent, err := enroll.DefinitionFor(keys, "P")
		if err != nil {
			t.Fatal(err)
		}
		var doc map[string]any
		if err := json.Unmarshal(sent, &doc); err != nil {
			t.Fatal(err)
		}
		for key, want := range map[string]any{
			"is_supervised": true, "is_mandatory": true, "is_mdm_removable": false, "await_device_configured": true, "url": "https://mdm.example.org/enroll/ade",
		} {
			if doc[key] != want {
				t.Errorf("%s is %v", key, doc[key])
			}
		}
		for _, key := range []string{"devices", "configuration_web_url", "anchor_certs"} {
			if _, has := doc[key]; has {
				t.Errorf("%s is sent", key)
			}
		}
	})
}
