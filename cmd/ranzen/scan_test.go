package main

import (
	"net/http"
	"slices"
	"strings"
	"testing"
)

// Pain of every staging room: the Wi-Fi is away for a moment.
func TestAScanIsSentAgainUnderTheSameKeyWhenTheConnectionBreaks(t *testing.T) {
	tries := 0
	s := serveAnswers(t, func(w http.ResponseWriter, r *http.Request, _ string) {
		if r.Method == "GET" {
			_, _ = w.Write([]byte(`{"code":"L-1"}`))
			return
		}
		switch tries++; tries {
		case 1:
			panic(http.ErrAbortHandler) // it broke off
		case 2:
			w.WriteHeader(http.StatusBadGateway)
			_, _ = w.Write([]byte("<html>"))
		case 3:
			_, _ = w.Write([]byte(`{"id":"s1","serial":"F9","tag":"RV-1","complete":true,"kinds":["tag"]}`))
		default:
			w.WriteHeader(http.StatusConflict)
			_, _ = w.Write([]byte(`{"code":"scan.tag-taken","detail":"The tag is taken."}`))
		}
	})
	got := call(t, "RV-1\nRV-2\n", "scan", "--delivery", "L-1")
	if got.status != 1 || strings.Count(got.out, "Trying again.") != 1 || !strings.Contains(got.out, "OK RV-1  F9\n") || !strings.Contains(got.out, "!! The tag is taken.\n") || got.errout != "ranzen: 1 code not taken.\n" {
		t.Errorf("%+v", got)
	}
	keys := s.keys[1:]
	if len(keys) != 4 || keys[0] == "" || keys[0] != keys[1] || keys[1] != keys[2] || keys[2] == keys[3] {
		t.Errorf("keys %v", keys)
	}
}

func TestAScannedSlotCountsMoreThanTheNextOne(t *testing.T) {
	var sent []string
	serveAnswers(t, func(w http.ResponseWriter, r *http.Request, body string) {
		answer := `{"code":"L-1"}`
		if r.Method == "POST" {
			sent = append(sent, body)
			answer = `{"id":"s","serial":"F9","tag":"RV-1","slot":"A-K1-01","complete":true,"kinds":["slot","serial"],"next":"A-K1-02"}`
			switch {
			case strings.Contains(body, "A-K2-07") && strings.Contains(body, "A-K1-02"):
				w.WriteHeader(http.StatusConflict)
				answer = `{"code":"scan.two-slots","detail":"Two slots."}`
			case body == `{"texts":["A-K2-07"]}`:
				answer = `{"complete":false,"waiting_for":"tag","kinds":["slot"]}`
			}
		}
		_, _ = w.Write([]byte(answer))
	})
	got := call(t, "one\nA-K2-07\ntwo\nthree\n", "scan", "--delivery", "L-1")
	want := []string{`{"texts":["one"]}`, `{"texts":["A-K2-07","A-K1-02"]}`, `{"texts":["A-K2-07"]}`, `{"texts":["A-K2-07","two","A-K1-02"]}`, `{"texts":["A-K2-07","two"]}`, `{"texts":["three","A-K1-02"]}`}
	if got.status != 0 || !slices.Equal(sent, want) {
		t.Errorf("%+v\n%v", got, sent)
	}
}

func TestASlotThatIsTakenIsNotProposedAgain(t *testing.T) {
	var sent []string
	serveAnswers(t, func(w http.ResponseWriter, r *http.Request, body string) {
		answer := `{"code":"L-1"}`
		switch {
		case r.Method == "GET":
		case len(sent) == 1:
			w.WriteHeader(http.StatusConflict)
			answer = `{"code":"scan.slot-taken","detail":"It is taken."}`
			sent = append(sent, body)
		default:
			sent = append(sent, body)
			answer = `{"id":"s","serial":"F9","tag":"RV-1","slot":"A-K1-01","complete":true,"kinds":["serial"],"next":"A-K1-02"}`
		}
		_, _ = w.Write([]byte(answer))
	})
	call(t, "one\ntwo\nthree\n", "scan", "--delivery", "L-1", "--json")
	if want := []string{`{"texts":["one"]}`, `{"texts":["two","A-K1-02"]}`, `{"texts":["three"]}`}; !slices.Equal(sent, want) {
		t.Errorf("%v", sent)
	}
}

func TestTheBoardIsDrawnInAFewLines(t *testing.T) {
	api := &client{printer: &printer{}}
	doc := boardDoc{Totals: map[string]int{"devices": 40, "ready": 10, "stuck": 17, "held": 1}}
	for range 18 {
		d := tileDoc{Name: "SAT-K03-07", Serial: "F9\x1b[2J", State: "stuck"}
		d.Reason = &struct {
			TextEN string `json:"text_en"`
		}{"It is locked."}
		doc.Tiles = append(doc.Tiles, d)
	}
	doc.Tiles = append(doc.Tiles, tileDoc{Name: "fine", State: "ready"})
	got := api.frame(doc)
	if !strings.HasPrefix(got, "["+strings.Repeat("#", 10)+strings.Repeat(".", 30)+"] 10 of 40 ready") || strings.Count(got, "\n") != 17 ||
		!strings.Contains(got, "  SAT-K03-07 F9?[2J: It is locked.\n") || !strings.HasSuffix(got, "  and 3 more\n") {
		t.Errorf("%s", got)
	}
	if got := api.frame(boardDoc{}); !strings.Contains(got, "0 of 0 ready") {
		t.Error(got)
	}
}
