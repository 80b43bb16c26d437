const looks = { installed: "good", removed: "good", excluded: "", not_assigned: "", draft: "", failed: "bad", blocked: "bad" };

const source = s => T["source." + s] || (s.startsWith("assignment ") ? T["source.assignment"] : s);

function proofs(list) {
  const head = make("tr", {}, ...[T.when, T.what, T.source, T.detail].map(t => make("th", { scope: "col" }, t)));
  const rows = list.map(p => make("tr", {}, ...[moment(p.at), T["what." + p.what] || p.what, source(p.source), p.text || ""].map(t => make("td", {}, t))));
  const table = make("table", {}, make("thead", {}, head), make("tbody", {}, ...rows));
  return make("details", {}, make("summary", {}, T.evidence), make("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": T.evidence }, table));
}

// most is how many conflicts are told here; their page has them all.
const most = 3;

// disagreements are the conflicts on the device, those first of which nobody knows
// what holds.
function disagreements(device, list) {
  const first = [...list].sort((a, b) => b.undefined - a.undefined).slice(0, most), rest = list.length - first.length;
  return make("section", {}, make("h3", {}, toPage("/conflicts", "#" + encodeURIComponent(device))), ...first.map(c => clash(c, "h4")),
    rest ? make("p", {}, counted("clashesMore", rest) + " ", toPage("/conflicts", "#" + encodeURIComponent(device))) : null);
}

// item is one profile or app. What its text says of conflicts, at its end, is left
// out where they are told apart.
function item(w, apart) {
  const kind = T["kind." + w.kind] || w.kind;
  return make("article", { class: looks[w.state] ?? "wait" },
    make("h3", {}, kind + " " + w.item + " – " + (T["state." + w.state] || w.state)),
    make("p", {}, apart && w.conflicts.length ? w.text.split(w.conflicts[0].text)[0] : w.text),
    w.evidence.length ? proofs(w.evidence) : null);
}

async function look() {
  const ref = $("device").value.trim();
  if (!ref) return;
  const w = await get("/devices/" + encodeURIComponent(ref) + "/why?lang=" + T.lang);
  if (!w) { $("answer").replaceChildren(); return; }
  trouble("");
  rememberDevice(w.device);
  const clashes = w.items.some(i => i.conflicts.length) ? await get("/devices/" + encodeURIComponent(w.device) + "/conflicts") : null;
  const seen = w.last_seen ? say(T.seen, { at: moment(w.last_seen) }) : T.never;
  $("answer").replaceChildren(
    make("h2", {}, w.device + " – " + (T["enrollment." + w.enrollment_state] || w.enrollment_state)), make("p", {}, seen),
    clashes && clashes.items.length ? disagreements(w.device, clashes.items) : "",
    ...(w.items.length ? w.items.map(i => item(i, clashes)) : [make("p", {}, T.bare)]));
}

beginAsking(look);
