package fault_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"ranzen/internal/fault"
)

func TestKindOf(t *testing.T) {
	f := fault.New(fault.Conflict, "command.sent", "The command is %s.", "sent")
	tests := []struct {
		name string
		err  error
		want fault.Kind
		code string
	}{
		{"a fault", f, fault.Conflict, "command.sent"},
		{"a fault wrapped twice", fmt.Errorf("a: %w", fmt.Errorf("b: %w", f)), fault.Conflict, "command.sent"},
		{"any other error is ours", errors.New("disk full"), fault.Internal, ""},
		{"a copy with a cause keeps its kind", f.With(errors.New("x")).On("name"), fault.Conflict, "command.sent"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := fault.KindOf(tt.err); got != tt.want {
				t.Errorf("KindOf: got %s, want %s", got, tt.want)
			}
			if got := fault.CodeOf(tt.err); got != tt.code {
				t.Errorf("CodeOf: got %s, want %s", got, tt.code)
			}
		})
	}
	if f.Err != nil || f.Field != "" {
		t.Error("With and On changed the original")
	}
}

func TestASecretIsShownNowhere(t *testing.T) {
	s := fault.Secret("hunter2")
	var log strings.Builder
	slog.New(slog.NewJSONHandler(&log, nil)).Info("x", "wifi", s, "any", struct{ P fault.Secret }{s})
	j, err := json.Marshal(map[string]any{"p": s})
	if err != nil {
		t.Fatal(err)
	}
	for _, out := range []string{log.String(), string(j), fmt.Sprintf("%s %v %q %#v %+v", s, s, s, s, struct{ P fault.Secret }{s})} {
		if strings.Contains(out, "hunter2") {
			t.Errorf("shown: %s", out)
		}
	}
	if s.Open() != "hunter2" {
		t.Error("Open must give the text")
	}
}
