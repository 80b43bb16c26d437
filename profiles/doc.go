// Package profiles is what tablets should have, and whether they have it.
//
// It owns the tables profiles, profile_versions, apps, assignments, marks,
// device_items and observations; nothing else writes them. People say what they
// wish by assigning profiles and apps to all, to a group or to a device. A loop
// compares that with what each tablet has shown in its own lists and queues only
// the difference; an acknowledgement proves nothing.
//
// Promises, each held by a test on both databases:
//
//   - An item is installed when the tablet's own list shows it, never before.
//   - What is there already is not sent again; versions in between are skipped.
//   - A profile that was removed by hand comes back, one that nobody wishes any
//     more goes. What the tablet undoes five times is left alone for a day.
//   - A list that cannot be read changes nothing.
//   - What an earlier life of a tablet had counts for nothing in a later one.
//   - A profile that Apple's published facts call wrong is refused, by path and
//     line; what is odd is told. What a tablet cannot honour is said in its plan.
//   - Secrets rest sealed and appear only in the body that goes to the tablet.
//   - A wish and the marks of the tablets that it touches are one transaction;
//     planning works through marks, so that nothing is lost by a crash.
package profiles
