package views

import (
	"fmt"
	"strings"
	"time"
)

// judgeEnrolled is about a device under management.
func (r *boardRow) judgeEnrolled(now time.Time, battery *float64) (string, *Reason) {
	if why := r.blocked(); why != nil {
		return stuck, why
	}
	stalled := now.Sub(r.progress()) > StallAfter
	if state, why := r.judgeTrouble(now, stalled); state != "" {
		return state, why
	}
	wanted := r.items["profile"].wanted + r.items["app"].wanted
	switch {
	case r.all() && r.Awaiting && (stalled || len(r.lacks) > 0):
		return stuck, r.waits(now, wanted)
	case wanted == 0 && stalled:
		return stuck, say("nothing-wished", "Ihm ist nichts zugewiesen, kein Profil und keine App.", "Nothing is assigned to it, no profile and no app.")
	case wanted == 0:
		return enrolled, nil
	case r.all() && r.Awaiting:
		return atApps, nil
	case r.all() && battery != nil && *battery < readyCharge:
		percent := fmt.Sprintf("%.0f %%", *battery*100)
		return atApps, say("charge", "Akku zuletzt bei %s: laden Sie es auf 50 %%. Neu fragen mit: ranzen device refresh.",
			"Battery last at %s: charge it to 50 %%. Ask again with: ranzen device refresh.", percent)
	case r.all():
		return ready, nil
	case stalled:
		return stuck, r.stall(now)
	}
	if since := r.waitsSince(); !since.IsZero() && now.Sub(since) > slowAfter {
		return stuck, say("slow", "Seit %s unterwegs und nicht da: %s. Prüfen Sie das WLAN und den freien Speicher.",
			"On its way for %s and not there: %s. Check the Wi-Fi and the free storage.", span(now, since), r.missing())
	}
	if p := r.items["profile"]; p.done < p.wanted {
		return atProfiles, r.hindrance(now)
	}
	return atApps, r.hindrance(now)
}

// blocked is what hinders a device whatever it has.
func (r *boardRow) blocked() *Reason {
	switch {
	case r.Lost:
		return say("lost", "Es ist als verloren gemeldet.", "It is marked as lost.")
	case r.Ending:
		return say("ending", "Löschen oder das Ende der Verwaltung ist angeordnet und noch nicht bestätigt. Schalten Sie es ein und prüfen Sie das WLAN.",
			"Its erase, or the end of its management, is ordered and not confirmed yet. Switch it on and check the Wi-Fi.")
	case r.Placeholder:
		return say("enroll-again", "Es meldete sich an, bevor es ein Push-Zertifikat gab, und lässt sich nicht wecken. Setzen Sie es zurück und richten Sie es neu ein.",
			"It enrolled before there was a push certificate and cannot be woken. Erase it and set it up again.")
	case r.PushRefused:
		return say("push-refused", "Apple weckt dieses iPad nicht mehr (%s). Setzen Sie es zurück und richten Sie es neu ein.",
			"Apple does not wake this iPad any more (%s). Erase it and set it up again.", r.PushError)
	case r.NotReleased:
		return say("not-released", "Es hat die Freigabe aus dem Einrichtungsassistenten abgelehnt. Setzen Sie es zurück und richten Sie es neu ein.",
			"It refused its release from Setup Assistant. Erase it and set it up again.")
	}
	return nil
}

// judgeTrouble is about an item that failed or is blocked; "" when none is. One
// that failed and is tried again soon is no reason to come running.
func (r *boardRow) judgeTrouble(now time.Time, stalled bool) (string, *Reason) {
	t := r.trouble
	if t.state == "" {
		return "", nil
	}
	what := text{"Das Profil", "The profile"}
	if t.kind == "app" {
		what = text{"Die App", "The app"}
	}
	code, again := "item-"+t.state, text{}
	if t.again.After(now) {
		in := span(t.again, now)
		again = text{" Nächster Versuch in " + in + ".", " Next try in " + in + "."}
	}
	words := inBoth(t.reason)
	if strings.HasPrefix(t.reason, noLicence) {
		code = "no-licence"
	}
	why := say(code, "%s %s kommt nicht: %s%s", "%s %s does not come: %s%s", what, t.name, words, again)
	soon := !t.again.IsZero() && t.again.Sub(now) <= StallAfter
	if t.state == "blocked" || stalled || !soon {
		return stuck, why
	}
	if t.kind == "profile" {
		return atProfiles, why
	}
	return atApps, why
}

// waits is why a device is in Setup Assistant although all that is wished of it
// is there.
func (r *boardRow) waits(now time.Time, wanted int) *Reason {
	switch {
	case len(r.lacks) > 0:
		missing := strings.Join(r.lacks, ", ")
		again := text{"Weisen Sie es zu", "Assign it"}
		if may := r.EnrolledAt.Add(time.Duration(r.ReleaseAfter) * time.Second); !may.After(now) {
			again = text{"Weisen Sie es zu, oder geben Sie das iPad frei: ranzen device release", "Assign it, or let the iPad go: ranzen device release"}
		}
		return say("baseline", "Es wartet im Einrichtungsassistenten auf %s, was ihm nicht zugewiesen ist. %s.",
			"It waits in Setup Assistant for %s, which is not assigned to it. %s.", missing, again)
	case r.ReleaseAt.IsZero() && wanted == 0:
		return say("nothing-wished", "Es wartet im Einrichtungsassistenten, und ihm ist nichts zugewiesen. Schalten Sie es ein und prüfen Sie das WLAN.",
			"It waits in Setup Assistant, and nothing is assigned to it. Switch it on and check the Wi-Fi.")
	case r.ReleaseAt.IsZero():
		return say("awaiting", "Alles ist da, aber es wartet seit %s im Einrichtungsassistenten auf die Freigabe. Schalten Sie es ein und prüfen Sie das WLAN.",
			"All is there, but it has waited in Setup Assistant for its release for %s. Switch it on and check the Wi-Fi.", span(now, r.progress()))
	}
	return say("released", "Es ist seit %s freigegeben und hat das noch nicht bestätigt. Schalten Sie es ein und prüfen Sie das WLAN.",
		"It was released %s ago and has not confirmed that yet. Switch it on and check the Wi-Fi.", span(now, r.ReleaseAt.Time))
}

// missing names one item that is not there, profiles first: apps need the
// network that one of them brings.
func (r *boardRow) missing() string {
	if m := r.items["profile"].missing; m != "" {
		return m
	}
	return r.items["app"].missing
}

// waitsSince is since when the oldest of the missing items is on its way.
func (r *boardRow) waitsSince() time.Time {
	p, a := r.items["profile"].sent, r.items["app"].sent
	if p.IsZero() || !a.IsZero() && a.Before(p) {
		return a
	}
	return p
}

// hindrance is what slows a device down that goes on.
func (r *boardRow) hindrance(now time.Time) *Reason {
	if r.putOff.IsZero() {
		return nil
	}
	return say("locked", "Es sagt seit %s, dass es gerade nicht kann: meist ist es gesperrt. Entsperren Sie es.",
		"For %s it has said that it cannot just now: mostly it is locked. Unlock it.", span(now, r.putOff.Time))
}

// stall is why nothing goes on; there always is an answer.
func (r *boardRow) stall(now time.Time) *Reason {
	if why := r.hindrance(now); why != nil {
		return why
	}
	spoke := newest(r.LastSeen.Time, r.EnrolledAt.Time)
	switch silent := now.Sub(spoke) > StallAfter; {
	case silent && r.PushError != "":
		return say("push", "Es lässt sich nicht wecken, Apples Push-Dienst antwortet: %s. Es fehlt: %s. Prüfen Sie, ob der Server Apple erreicht (TCP 443, 2197).",
			"It cannot be woken, Apple's push service answers: %s. Missing: %s. Check whether the server reaches Apple (TCP 443, 2197).", r.PushError, r.missing())
	case silent:
		return say("silent", "Es meldet sich seit %s nicht. Schalten Sie es ein und prüfen Sie das WLAN. Es fehlt: %s.",
			"It has said nothing for %s. Switch it on and check the Wi-Fi. Missing: %s.", span(now, spoke), r.missing())
	}
	return say("no-progress", "Seit %s kam nichts hinzu, obwohl es sich meldet. Es fehlt: %s. Schalten Sie es aus und ein.",
		"Nothing has come for %s, although it speaks. Missing: %s. Switch it off and on.", span(now, r.progress()), r.missing())
}
