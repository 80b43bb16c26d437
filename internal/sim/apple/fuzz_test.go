package apple

import (
	"encoding/json"
	"testing"
)

func FuzzReadPayload(f *testing.F) {
	for _, seed := range []string{
		``, `{}`, `{"mdm":""}`, `{"mdm":"x"}`, `{"mdm":1}`, `{"mdm":"x","aps":{}}`, `{"mdm":"x"} `, `{"mdm":"a","mdm":"b"}`, `[{"mdm":"x"}]`, `null`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		magic, ok := readPayload(b)
		if ok == (magic == "") {
			t.Errorf("magic %q and %v", magic, ok)
		}
		if ok && !json.Valid(b) {
			t.Errorf("%q was taken", b)
		}
	})
}
