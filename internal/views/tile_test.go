package views

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"ranzen/internal/sqldb"
)

var noon = time.Date(2026, 9, 7, 12, 0, 0, 0, time.UTC)

func ago(d time.Duration) sqldb.Time { return sqldb.At(noon.Add(-d)) }

// live is a device that enrolled a minute ago and has half of what it should.
func live(change func(*boardRow)) *boardRow {
	r := &boardRow{
		DeviceID: "d1", Serial: "F9FZX01AAAAA", AtApple: "confirmed", EnrollmentID: "e1", Generation: 1, State: "enrolled",
		BegunAt: ago(2 * time.Minute), EnrolledAt: ago(time.Minute), LastSeen: ago(30 * time.Second), Baseline: "[]",
		items: map[string]itemCount{"profile": {2, 3, "WLAN", noon.Add(-time.Minute), noon.Add(-time.Minute)}, "app": {wanted: 1, missing: "Keynote"}},
	}
	change(r)
	return r
}

func complete(r *boardRow) {
	r.items = map[string]itemCount{"profile": {done: 3, wanted: 3, at: noon.Add(-time.Minute)}, "app": {done: 1, wanted: 1, at: noon.Add(-time.Minute)}}
}

func TestATileSaysWhatIsAndWhatToDo(t *testing.T) {
	outside := func(change func(*boardRow)) *boardRow {
		r := &boardRow{DeviceID: "d1", AtApple: "confirmed", items: map[string]itemCount{}}
		change(r)
		return r
	}
	asked := func(action, reason string, before time.Duration) func(*boardRow) {
		return func(r *boardRow) { r.event = boardEvent{action, reason, noon.Add(-before)} }
	}
	for name, c := range map[string]struct {
		row         *boardRow
		state, code string
		has         []string // in the English text
	}{
		"not at Apple":                       {outside(func(r *boardRow) { r.AtApple = "" }), known, "not-at-apple", []string{"Do not switch it on", "Apple School Manager"}},
		"may be switched on":                 {outside(func(*boardRow) {}), confirmed, "", nil},
		"no token":                           {outside(func(r *boardRow) { r.AtApple, r.tokens.none = "", true }), known, "no-token", []string{"link"}},
		"Apple does not tell, for its terms": {outside(func(r *boardRow) { r.AtApple, r.tokens.problem = "", "ade.terms" }), known, "terms", nil},
		"Apple does not tell, for the token": {outside(func(r *boardRow) { r.AtApple, r.tokens = "", tokenState{expired: true, problem: "ade.refused"} }), known, "token-expired", nil},
		"terms":                              {outside(func(r *boardRow) { r.AtApple, r.Problem = "waiting", "ade.terms" }), known, "terms", []string{"Administrator"}},
		"token refused":                      {outside(func(r *boardRow) { r.AtApple, r.Problem = "asked", "ade.refused" }), known, "token-refused", nil},
		"Apple away":                         {outside(func(r *boardRow) { r.AtApple, r.Problem = "waiting", "ade.unreachable" }), known, "apple", []string{"ade.unreachable"}},
		"trouble of the token does not matter to who is confirmed": {outside(func(r *boardRow) { r.Problem = "ade.terms" }), confirmed, "", nil},
		"token expired":   {outside(func(r *boardRow) { r.AtApple, r.TokenEnds = "waiting", ago(time.Hour) }), known, "token-expired", nil},
		"token in time":   {outside(func(r *boardRow) { r.AtApple, r.TokenEnds = "waiting", ago(-time.Hour) }), known, "unconfirmed", nil},
		"throttled":       {outside(func(r *boardRow) { r.AtApple, r.RetryAt = "throttled", ago(-90*time.Minute) }), known, "throttled", []string{"next try in 90 min"}},
		"failed":          {outside(func(r *boardRow) { r.AtApple, r.Result, r.RetryAt = "failed", "NOT_ACCESSIBLE", ago(time.Hour) }), known, "not-assigned", []string{"NOT_ACCESSIBLE", "in < 1 min"}},
		"no profile":      {outside(func(r *boardRow) { r.AtApple = "no_profile" }), known, "no-profile", nil},
		"profile refused": {outside(func(r *boardRow) { r.AtApple, r.Refused = "refused", "FLAGS_INVALID" }), known, "profile-refused", []string{"FLAGS_INVALID"}},
		"not in the list": {outside(func(r *boardRow) { r.AtApple = "missing" }), known, "missing", nil},
		"asked":           {outside(func(r *boardRow) { r.AtApple = "asked" }), known, "unconfirmed", nil},

		"it is coming":        {outside(asked("setup.ask", "", 9*time.Minute)), confirmed, "", nil},
		"it did not come":     {outside(asked("setup.ask", "", 11*time.Minute)), stuck, "asked", []string{"11 min ago", "Wi-Fi"}},
		"it updates":          {outside(asked("setup.update", "18.6", 40*time.Minute)), confirmed, "updating", []string{"18.6"}},
		"it updates too long": {outside(asked("setup.update", "18.6", 61*time.Minute)), stuck, "updating", []string{"18.6", "61 min", "power"}},
		"turned away, and not at Apple": {outside(func(r *boardRow) {
			asked("enrollment.refuse", "setup.unexpected", time.Minute)(r)
			r.AtApple = ""
		}), stuck, "refused", []string{"1 min ago", "assign it in Apple School Manager"}},
		"turned away, known since": {outside(asked("enrollment.refuse", "setup.unexpected", 3*time.Hour)), stuck, "refused", []string{"3 h ago", "off and on"}},
		"replayed":                 {outside(asked("enrollment.refuse", "setup.replayed", time.Minute)), stuck, "refused", []string{"used before"}},
		"forged":                   {outside(asked("enrollment.refuse", "machine-info.chain", time.Minute)), stuck, "refused", []string{"not signed by a device of Apple's"}},
		"another's identity":       {outside(asked("enrollment.refuse", "other-device", time.Minute)), stuck, "refused", []string{"identity of another device"}},
		"what happened before it was erased does not matter": {outside(func(r *boardRow) {
			asked("setup.ask", "", 5*time.Hour)(r)
			r.State, r.EnrollmentID, r.EndedAt = "erased", "e1", ago(time.Hour)
		}), confirmed, "", nil},

		"held":      {live(func(r *boardRow) { r.Held = true }), held, "held", []string{"hold list"}},
		"enrolling": {live(func(r *boardRow) { r.State = "enrolling" }), enrolled, "", nil},
		"enrolling broke off": {live(func(r *boardRow) {
			r.State, r.BegunAt, r.EnrolledAt, r.items = "enrolling", ago(time.Hour), sqldb.Time{}, nil
		}), stuck, "enrolling", []string{"60 min ago"}},
		"its management was removed": {live(func(r *boardRow) { r.State, r.EndedAt = "unenrolled", ago(time.Minute) }), stuck, "unenrolled", nil},
		"it comes again": {live(func(r *boardRow) {
			r.State, r.EndedAt = "unenrolled", ago(time.Hour)
			asked("setup.ask", "", time.Minute)(r)
		}), confirmed, "", nil},
		"profiles": {live(func(*boardRow) {}), atProfiles, "", nil},
		"apps":     {live(func(r *boardRow) { r.items["profile"] = itemCount{done: 3, wanted: 3, at: noon} }), atApps, "", nil},
		"locked":   {live(func(r *boardRow) { r.putOff = ago(3 * time.Minute) }), atProfiles, "locked", []string{"3 min", "Unlock"}},
		"ready":    {live(complete), ready, "", nil},
		"ready and silent": {live(func(r *boardRow) {
			complete(r)
			r.items["app"] = itemCount{done: 1, wanted: 1}
			r.LastSeen = ago(5 * time.Hour)
		}), ready, "", nil},
		"to be charged":   {live(func(r *boardRow) { complete(r); r.Inventory = `{"BatteryLevel":0.49}` }), atApps, "charge", []string{"49 %", "50 %"}},
		"charged":         {live(func(r *boardRow) { complete(r); r.Inventory = `{"BatteryLevel":0.5}` }), ready, "", nil},
		"battery unknown": {live(func(r *boardRow) { complete(r); r.Inventory = `{"BatteryLevel":-1}` }), ready, "", nil},
		"lost":            {live(func(r *boardRow) { complete(r); r.Lost = true }), stuck, "lost", nil},
		"to be erased":    {live(func(r *boardRow) { complete(r); r.Ending = true }), stuck, "ending", nil},
		"no push":         {live(func(r *boardRow) { complete(r); r.PushRefused, r.PushError = true, "BadDeviceToken" }), stuck, "push-refused", []string{"BadDeviceToken"}},
		"placeholder":     {live(func(r *boardRow) { r.Placeholder = true }), stuck, "enroll-again", nil},

		"waits for its release": {live(func(r *boardRow) { complete(r); r.Awaiting = true }), atApps, "", nil},
		"waits too long":        {live(func(r *boardRow) { complete(r); r.Awaiting = true; still(r, 20*time.Minute) }), stuck, "awaiting", []string{"20 min"}},
		"released, says nothing": {live(func(r *boardRow) {
			complete(r)
			r.Awaiting = true
			still(r, time.Hour)
			r.ReleaseAt = ago(12 * time.Minute)
		}), stuck, "released", []string{"12 min ago"}},
		"refused its release": {live(func(r *boardRow) { complete(r); r.Awaiting, r.NotReleased = true, true }), stuck, "not-released", nil},
		"its baseline is nowhere": {live(func(r *boardRow) {
			complete(r)
			r.Awaiting, r.lacks, r.ReleaseAfter = true, []string{"WLAN", "Keynote"}, 1800
		}), stuck, "baseline", []string{"WLAN, Keynote", "not assigned", "Assign it."}},
		"and it may be let go": {live(func(r *boardRow) { complete(r); r.Awaiting, r.lacks, r.ReleaseAfter = true, []string{"WLAN"}, 30 }), stuck, "baseline", []string{"device release"}},

		"no licence": {live(func(r *boardRow) {
			r.trouble = itemTrouble{"app", "Keynote", "blocked", noLicence + " The iPad reported: no license (X 1)", time.Time{}}
		}),
			stuck, "no-licence", []string{"The app Keynote", "no licence"}},
		"failed, tried again soon": {live(func(r *boardRow) {
			r.trouble = itemTrouble{"profile", "WLAN", "failed", "The iPad reported: bad (MCProfileErrorDomain 1000)", noon.Add(time.Minute)}
		}), atProfiles, "item-failed", []string{"The profile WLAN", "MCProfileErrorDomain 1000", "Next try in 1 min"}},
		"failed, tried again later": {live(func(r *boardRow) { r.trouble = itemTrouble{"app", "Keynote", "failed", "", noon.Add(time.Hour)} }), stuck, "item-failed", []string{"60 min"}},
		"failed for good":           {live(func(r *boardRow) { r.trouble = itemTrouble{"app", "Keynote", "failed", "?", time.Time{}} }), stuck, "item-failed", nil},

		"nothing is wished yet": {live(func(r *boardRow) { r.items = nil }), enrolled, "", nil},
		"nothing is wished":     {live(func(r *boardRow) { r.items = nil; r.BegunAt, r.EnrolledAt = ago(time.Hour), ago(11*time.Minute) }), stuck, "nothing-wished", nil},
		"silent":                {live(func(r *boardRow) { still(r, 30*time.Minute); r.LastSeen = ago(25 * time.Minute) }), stuck, "silent", []string{"25 min", "Switch it on", "WLAN"}},
		"cannot be woken": {live(func(r *boardRow) {
			still(r, 30*time.Minute)
			r.LastSeen, r.PushError = ago(25*time.Minute), "dial tcp: timeout"
		}), stuck, "push", []string{"2197", "dial tcp: timeout"}},
		"speaks, but":          {live(func(r *boardRow) { still(r, 30*time.Minute) }), stuck, "no-progress", []string{"30 min", "WLAN"}},
		"stuck because locked": {live(func(r *boardRow) { still(r, 30*time.Minute); r.putOff = ago(29 * time.Minute) }), stuck, "locked", nil},
		"says that it is at it, for an hour": {live(func(r *boardRow) {
			r.items["profile"] = itemCount{3, 3, "", noon, time.Time{}}
			r.items["app"] = itemCount{0, 1, "Keynote", noon, noon.Add(-time.Hour)}
		}), stuck, "slow", []string{"60 min", "Keynote", "storage"}},
	} {
		t.Run(name, func(t *testing.T) {
			got := c.row.tile(noon)
			code, en := "", ""
			if got.Reason != nil {
				code, en = got.Reason.Code, got.Reason.TextEN
			}
			if got.State != c.state || code != c.code {
				t.Errorf("state %s (%s), want %s (%s): %s", got.State, code, c.state, c.code, en)
			}
			for _, s := range c.has {
				if !strings.Contains(en, s) {
					t.Errorf("%q does not hold %q", en, s)
				}
			}
		})
	}
}

// still makes the newest evidence that old.
func still(r *boardRow, d time.Duration) {
	r.BegunAt, r.EnrolledAt = ago(d), ago(d)
	for kind, c := range r.items {
		c.at, c.sent = noon.Add(-d), time.Time{}
		r.items[kind] = c
	}
}

// Pain 16: a tablet hangs and nobody is told why.
func TestNoTabletIsStuckWithoutAReason(t *testing.T) {
	bools := []bool{false, true}
	times := []time.Duration{0, time.Minute, 20 * time.Minute, 3 * time.Hour}
	n := 0
	check := func(r *boardRow) {
		n++
		got := r.tile(noon)
		switch {
		case got.State == known || got.State == stuck || got.State == held:
			if got.Reason == nil {
				t.Fatalf("%s without a reason: %+v", got.State, r)
			}
		case got.State != confirmed && got.State != ready:
			// It is under way: not longer than that without being called stuck.
			if noon.Sub(r.progress()) > StallAfter && (got.Reason == nil || got.Reason.Code != "charge") {
				t.Fatalf("%s for %s, and nobody is told: %+v", got.State, noon.Sub(r.progress()), r)
			}
		}
		if got.State == ready && (!r.all() || r.Awaiting || r.Lost || r.Ending || r.trouble.state != "") {
			t.Fatalf("ready is what is not: %+v", r)
		}
		if why := got.Reason; why != nil {
			for _, text := range []string{why.Code, why.TextDE, why.TextEN} {
				if text == "" || strings.Contains(text, "%!") || strings.Contains(text, "  ") || strings.Contains(text, ": .") {
					t.Fatalf("a bad reason %+v: %+v", why, r)
				}
			}
		}
	}
	counts := []itemCount{{}, {done: 1, wanted: 1}, {wanted: 2, missing: "X"}, {done: 1, wanted: 2, missing: "X"}}
	for _, since := range times {
		for _, seen := range times {
			for _, profile := range counts {
				for _, app := range counts {
					for _, trouble := range []string{"", "failed", "blocked"} {
						for bits := range 1 << 9 {
							bit := func(i int) bool { return bits>>i&1 == 1 }
							at := noon.Add(-since)
							p, a := profile, app
							p.at, a.at = at, at
							r := &boardRow{
								State: "enrolled", AtApple: "confirmed", BegunAt: ago(since), EnrolledAt: ago(since), LastSeen: ago(seen), Baseline: "[]",
								Awaiting: bit(0), Lost: bit(1), PushRefused: bit(2), NotReleased: bit(3) && bit(0), Ending: bit(4),
								items: map[string]itemCount{"profile": p, "app": a},
							}
							if trouble != "" {
								r.trouble = itemTrouble{"app", "X", trouble, "", noon.Add(-since + 15*time.Minute)}
							}
							if bit(5) {
								r.putOff = ago(since)
							}
							if bit(6) {
								r.ReleaseAt = ago(since)
							}
							if bit(7) && bit(0) {
								r.lacks = []string{"X"}
							}
							if bit(8) {
								r.Inventory, r.PushError = `{"BatteryLevel":0.1}`, "timeout"
							}
							check(r)
						}
					}
				}
			}
		}
	}
	for _, state := range []string{"", "enrolling", "erased", "unenrolled"} {
		for _, apple := range []string{"", "confirmed", "missing", "no_profile", "refused", "throttled", "waiting", "asked", "failed"} {
			for _, problem := range []string{"", "ade.terms", "ade.refused", "ade.busy", "ade.cursor", "ade.unreachable", "new"} {
				for _, action := range []string{"", "enrollment.refuse", "setup.update", "setup.ask"} {
					for _, reason := range []string{"18.6", "setup.unexpected", "setup.replayed", "machine-info.size", "other-device", "topic"} {
						for _, since := range times {
							for _, isHeld := range bools {
								r := &boardRow{tokens: tokenState{problem: problem, none: isHeld}, State: state, AtApple: apple, Problem: problem, Held: isHeld, event: boardEvent{action, reason, noon.Add(-since)}, items: map[string]itemCount{}}
								if state != "" {
									r.BegunAt = ago(2 * since)
								}
								if state == "erased" || state == "unenrolled" {
									r.EndedAt = ago(10 * time.Minute)
								}
								check(r)
							}
						}
					}
				}
			}
		}
	}
	t.Logf("%d combinations", n)
}

func TestSpansReadTheSameInBothLanguages(t *testing.T) {
	for d, want := range map[time.Duration]string{
		-time.Hour: "< 1 min", 59 * time.Second: "< 1 min", time.Minute: "1 min", 119 * time.Minute: "119 min", 2 * time.Hour: "2 h", 48 * time.Hour: "2 d",
	} {
		if got := span(noon.Add(d), noon); got != want {
			t.Errorf("%s: %q, want %q", d, got, want)
		}
	}
	if got := span(noon, time.Time{}); got != "? min" {
		t.Error(fmt.Sprint("no time at all: ", got))
	}
}
