let turn = 0; // of the newest question: what answers an older one is not shown
let after = ""; // where the next page begins

// add shows a page of them, and gives the first.
function add(doc, ref) {
  const articles = doc.items.map(c => clash(c, "h2"));
  $("list").append(...articles);
  const n = $("list").children.length;
  after = doc.next;
  $("more").hidden = !after;
  $("beyond").textContent = doc.more && !after ? T.beyond : "";
  $("found").className = n ? "" : "good";
  if (ref) $("found").replaceChildren((n ? counted("foundOn", n) : T.noneOn) + " ", toDevice(ref), ".");
  else $("found").textContent = n ? counted(after ? "foundFirst" : "found", n) : T.none;
  return articles[0];
}

// look asks anew. Until the answer is there, nothing is said: not that there are none.
async function look() {
  const ref = $("device").value.trim(), mine = ++turn;
  trouble("");
  $("found").className = $("beyond").textContent = "";
  $("found").replaceChildren();
  $("list").replaceChildren();
  $("more").hidden = true;
  const doc = await get(ref ? "/devices/" + encodeURIComponent(ref) + "/conflicts" : "/conflicts");
  if (!doc || mine !== turn) return;
  trouble("");
  rememberDevice(ref);
  add(doc, ref);
}

async function more() {
  const mine = ++turn;
  const doc = await get("/conflicts?after=" + encodeURIComponent(after));
  if (!doc || mine !== turn) return;
  trouble("");
  const first = add(doc);
  if (!first) return; // meanwhile there are no more
  const heading = first.querySelector("h2");
  heading.tabIndex = -1; // whoever reads on, reads on here
  heading.focus();
}

$("more").addEventListener("click", more);
beginAsking(look);
