let tiles = new Map();
let stream = null;
let seenAt = null;

const needsPerson = t => t.state === "stuck" || t.state === "held";

function word(t) {
  if (t.state === "profiles" || t.state === "apps") return T[t.state + "_state"];
  return T[t.state] || t.state;
}

function draw(li, t) {
  li.className = t.state === "ready" ? "ready" : needsPerson(t) ? t.state : t.reason ? "warn" : "";
  const name = document.createElement("b");
  name.textContent = t.name || t.tag || t.serial;
  const state = document.createElement("span");
  state.textContent = word(t);
  const counts = document.createElement("small");
  const parts = [];
  if (t.profiles_wanted) parts.push(T.profiles + " " + t.profiles_done + "/" + t.profiles_wanted);
  if (t.apps_wanted) parts.push(T.apps + " " + t.apps_done + "/" + t.apps_wanted);
  if (typeof t.battery === "number") parts.push(T.battery + " " + Math.round(t.battery * 100) + " %");
  counts.textContent = parts.join(" · ");
  const serial = document.createElement("small");
  serial.textContent = [t.tag, t.serial].filter(Boolean).join(" · ");
  li.replaceChildren(name, state, counts, serial);
  if (t.reason) {
    const why = document.createElement("span");
    why.textContent = t.reason[T.lang === "en" ? "text_en" : "text_de"] || t.reason.text || t.reason.code;
    li.insertBefore(why, counts);
  }
}

function show() {
  const list = $("tiles");
  const only = $("only").checked;
  const have = new Map([...list.children].map(li => [li.dataset.id, li]));
  const wanted = [...tiles.values()].filter(t => !only || needsPerson(t)).sort((a, b) => (a.name || a.serial).localeCompare(b.name || b.serial, T.lang));
  let at = list.firstElementChild;
  for (const t of wanted) {
    let li = have.get(t.device_id);
    if (!li) { li = document.createElement("li"); li.dataset.id = t.device_id; }
    have.delete(t.device_id);
    const text = JSON.stringify(t);
    if (li.dataset.text !== text) { draw(li, t); li.dataset.text = text; }
    if (li === at) at = at.nextElementSibling; else list.insertBefore(li, at);
  }
  for (const li of have.values()) li.remove();
  const all = tiles.size;
  const ready = [...tiles.values()].filter(t => t.state === "ready").length;
  const trouble = [...tiles.values()].filter(needsPerson).length;
  $("summary").textContent = say(T.summary, { ready, all, trouble, busy: all - ready - trouble });
  $("progress").hidden = false;
  $("progress").max = Math.max(all, 1);
  $("progress").value = ready;
}

function take(event, data) {
  const news = JSON.parse(data);
  if (event === "board") tiles = new Map();
  for (const t of news.tiles || []) tiles.set(t.device_id, t);
  for (const id of news.gone || []) tiles.delete(id);
  seenAt = new Date();
  trouble("");
  show();
}

// Server-sent events by fetch: EventSource cannot carry the token.
async function follow(delivery) {
  if (stream) stream.abort();
  const mine = stream = new AbortController();
  for (let wait = 1000; !mine.signal.aborted; wait = Math.min(wait * 2, 15000)) {
    try {
      const res = await ask("/deliveries/" + encodeURIComponent(delivery) + "/board/events", { signal: mine.signal });
      if (res.status === 401 || res.status === 403) return refused(res);
      if (!res.ok) throw new Error(String(res.status));
      const reader = res.body.pipeThrough(new TextDecoderStream()).getReader();
      let rest = "", event = "", data = "";
      for (;;) {
        const { done, value } = await reader.read();
        if (done) break;
        const lines = (rest + value).split("\n");
        rest = lines.pop();
        for (const line of lines) {
          if (line === "") { if (data) { take(event, data); wait = 1000; } event = data = ""; }
          else if (line.startsWith("event:")) event = line.slice(6).trim();
          else if (line.startsWith("data:")) data += line.slice(5).trim();
        }
      }
    } catch (e) { if (mine.signal.aborted) return; }
    if (mine.signal.aborted) return;
    trouble(say(T.lost, { at: seenAt ? seenAt.toLocaleTimeString(T.lang) : "–" }));
    await new Promise(r => setTimeout(r, wait));
  }
}

async function open() {
  const deliveries = await get("/deliveries?limit=500");
  if (!deliveries) return;
  signedIn();
  const { items } = deliveries;
  if (!items.length) trouble(T.none);
  const wanted = new URLSearchParams(location.search).get("delivery") || location.hash.slice(1);
  $("delivery").replaceChildren(...items.map(d => {
    const o = document.createElement("option");
    o.value = d.id; o.textContent = d.code; o.selected = d.code === wanted || d.id === wanted;
    return o;
  }));
  if (items.length) follow($("delivery").value);
}

$("choose").addEventListener("submit", e => e.preventDefault());
$("delivery").addEventListener("change", () => { tiles = new Map(); show(); follow($("delivery").value); });
$("only").addEventListener("change", show);
begin(open);
