const $ = id => document.getElementById(id);
const T = JSON.parse($("texts").textContent);
const say = (text, values) => text.replace(/\{(\w+)\}/g, (_, k) => values[k]);
const api = "/api/v1";
let token = sessionStorage.getItem("token") || "";

const ask = (path, options = {}) => fetch(api + path, { ...options, headers: { ...options.headers, Authorization: "Bearer " + token } });

// make makes an element with texts and elements in it: nothing is ever markup.
function make(kind, attributes, ...inside) {
  const e = document.createElement(kind);
  for (const [k, v] of Object.entries(attributes || {})) {
    if (v === true) e.setAttribute(k, ""); else if (v !== false && v !== undefined && v !== null) e.setAttribute(k, v);
  }
  e.append(...inside.filter(x => x !== null && x !== undefined));
  return e;
}

const trouble = text => { $("trouble").textContent = text; };
const moment = iso => iso ? new Date(iso).toLocaleString(T.lang, { dateStyle: "medium", timeStyle: "short" }) : "–";

// problem is what an answer says went wrong, in this page's language if it knows the words.
async function problem(res) {
  const p = await res.json().catch(() => ({}));
  return T["problem." + p.code] || p.detail || String(res.status);
}

async function refused(res) {
  trouble(say(T.refused, { why: await problem(res) }));
  sessionStorage.removeItem("token");
  $("signin").hidden = false;
  $("content").hidden = true;
  $("token").focus();
}

// signedIn shows the page: the server took the token.
function signedIn() {
  sessionStorage.setItem("token", token);
  trouble("");
  $("signin").hidden = true;
  $("content").hidden = false;
}

// get asks the API; with anything but an answer it says so and gives nothing. A
// question that did not get through is asked once more: a network that changes
// under a page ends what is under way.
async function get(path, options) {
  let res;
  try {
    res = await ask(path, options).catch(() => new Promise(wait => setTimeout(wait, 500)).then(() => ask(path, options)));
  } catch (e) { trouble(T.offline); return null; }
  if (res.status === 401 || res.status === 403) { await refused(res); return null; }
  if (!res.ok) { trouble(await problem(res)); return null; }
  return res.json();
}

// begin has the page opened as soon as there is a token.
function begin(open) {
  $("signin").addEventListener("submit", e => { e.preventDefault(); token = $("token").value.trim(); $("token").value = ""; open(); });
  $("signout").addEventListener("click", () => { sessionStorage.removeItem("token"); location.reload(); });
  if (token) open();
}

// counted are words for a number: of two with a | between them the first is for one.
function counted(key, n) {
  const [one, more] = T[key].split("|");
  return say(n === 1 || !more ? one : more, { n });
}

// The device asked for stands behind # in the address: no server's log has it.
const rememberDevice = ref => history.replaceState(null, "", ref ? "#" + encodeURIComponent(ref) : location.pathname + location.search);

function rememberedDevice() {
  try { return decodeURIComponent(location.hash.slice(1)); } catch (e) { return ""; }
}

// beginAsking opens a page that is asked about a device.
function beginAsking(look) {
  $("who").addEventListener("submit", e => { e.preventDefault(); look(); });
  begin(async () => {
    if (!await get("/devices?limit=1")) return;
    signedIn();
    $("device").value = rememberedDevice();
    $("device").focus();
    look();
  });
}

const toDevice = ref => make("a", { href: "/why?lang=" + T.lang + "#" + encodeURIComponent(ref) }, ref);

// toPage links another page by its name.
function toPage(path, hash = "") {
  const a = document.querySelector(`nav a[href^="${path}?"]`);
  return make("a", { href: a.getAttribute("href") + hash }, a.textContent);
}

// spoken is a value as people read it. Of a list, which is a set to iPads, that
// comes first which is not in all; a long one can be unfolded.
function spoken(v, inAll) {
  if (typeof v === "boolean") return v ? T.yes : T.no;
  if (!Array.isArray(v)) return String(v) || T.nothing;
  const list = [...v.filter(x => !inAll.includes(x)), ...v.filter(x => inAll.includes(x))];
  if (list.length < 4) return list.join(", ") || T.nothing;
  return make("details", {}, make("summary", {}, say(T.others, { list: list.slice(0, 3).join(", "), n: list.length - 3 })), list.join(", "));
}

// clash is one conflict between profiles, under a heading of that kind.
function clash(c, heading) {
  const whole = T["whole." + c.code];
  const inAll = c.items.map(i => i.value).reduce((a, b) => Array.isArray(a) && Array.isArray(b) ? a.filter(x => b.includes(x)) : []);
  const says = i => make("li", {}, say(T.says, i) + (i.value === null ? "" : ": "), i.value === null ? null : spoken(i.value, inAll));
  return make("article", { class: c.undefined ? "bad" : "wait" },
    make(heading, {}, say(T["about." + c.code] || "{key}", c)),
    whole ? make("p", {}, whole) : null,
    make("ul", {}, ...c.items.map(says)),
    make("div", { class: "holds" }, ...(c.undefined ? [T.unsure] : [T.holds + " ", spoken(c.effective, inAll)])),
    make("p", {}, (c.undefined ? T.takeBack : T.meant + " " + T.otherwise) + " ", toPage("/profiles"), "."),
    c.devices ? make("p", { class: "on" }, counted("on", c.devices) + " ", ...c.serials.flatMap(s => [toDevice(s), " "]), c.devices > c.serials.length ? say(T.onMore, { n: c.devices - c.serials.length }) : null) : null);
}
