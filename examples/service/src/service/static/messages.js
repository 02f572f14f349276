// Shows the newest messages of a channel, and those that come in: `/?channel=general`.

const SHOWN = 50; // when the page is opened
const KEPT = 2000; // the oldest make room
const PAUSE = 2000; // milliseconds
const TOGETHER = 50; // milliseconds in which what comes in is put into the page at once
const channel = new URLSearchParams(location.search).get("channel") ?? "general";
const clock = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit", second: "2-digit" });
const byId = (id) => document.getElementById(id);

function element(name, kind, text) {
  const made = document.createElement(name);
  made.className = kind;
  if (text !== undefined) made.textContent = text; // never as HTML: it is what agents say
  return made;
}

function colourOf(name) {
  return [...name].reduce((before, letter) => (before * 31 + letter.codePointAt(0)) % 6, 0);
}

function draw(message) {
  const about = element("div", "about");
  const time = element("time", "", clock.format(new Date(message.timestamp)));
  time.dateTime = message.timestamp;
  about.append(element("b", "", message.from), `to ${message.to}`);
  about.append(element("span", "tag", message.type.replaceAll("_", " ")));
  if (message.priority !== "normal") {
    about.append(element("span", `tag ${message.priority}`, message.priority));
  }
  about.append(time);
  const line = element("li", "");
  line.dataset.id = message.id;
  line.append(
    element("span", `face b${colourOf(message.from)}`, [...message.from][0]),
    about,
    element("div", "content", message.content),
  );
  return line;
}

const shown = new Set(); // ids, since what is read first may also come in
let unseen = 0;

function atTheEnd() {
  return innerHeight + scrollY >= document.documentElement.scrollHeight - 80;
}

function forgetUnseen() {
  unseen = 0;
  byId("newer").hidden = true;
}

function goToTheEnd() {
  scrollTo({ top: document.documentElement.scrollHeight });
  forgetUnseen();
}

function add(messages) {
  const reading = !atTheEnd();
  const fresh = messages.filter((message) => !shown.has(message.id));
  for (const message of fresh) shown.add(message.id);
  byId("messages").append(...fresh.map(draw));
  unseen += fresh.length;
  while (shown.size > KEPT) {
    const oldest = byId("messages").firstElementChild;
    shown.delete(oldest.dataset.id);
    oldest.remove();
  }
  byId("note").hidden = shown.size > 0;
  if (!reading) return goToTheEnd();
  byId("newer").hidden = unseen === 0;
  byId("newer").textContent = `${unseen} new ↓`;
}

async function ask(path) {
  const answer = await fetch(path);
  const found = await answer.json();
  if (!answer.ok) throw new Error(found.detail);
  return found;
}

function tell(text, live) {
  byId("state").textContent = text;
  byId("state").toggleAttribute("data-live", live);
}

const place = `/channels/${encodeURIComponent(channel)}`;
let last = null; // the place of the last event, for connections that the browser gives up
let waiting = []; // what has come in, and is not yet shown
let begun = false; // whether the messages until then are asked for
let read = false; // whether they are there

function addWaiting() {
  if (!read) return;
  add(waiting);
  waiting = [];
}

// What was said until the stream began; from there on, it comes in.
async function begin() {
  begun = true;
  const page = await ask(`${place}/messages?limit=${SHOWN}`);
  add(page.items.toReversed());
  read = true;
  addWaiting();
  byId("note").textContent = "Nobody has said anything yet.";
  goToTheEnd();
}

function follow() {
  const source = new EventSource(`${place}/events${last === null ? "" : `?after=${last}`}`);
  source.addEventListener("begin", (event) => {
    last = event.lastEventId;
    tell("live", true);
    if (!begun) begin().catch(complain);
  });
  source.addEventListener("message", (event) => {
    last = event.lastEventId;
    if (waiting.push(JSON.parse(event.data)) === 1) setTimeout(addWaiting, TOGETHER);
  });
  source.addEventListener("error", () => {
    tell("connecting again …", false);
    // A browser comes back by itself after a lost connection, but not after an answer like 503.
    if (source.readyState === EventSource.CLOSED) setTimeout(follow, PAUSE);
  });
}

function complain(error) {
  begun = false;
  byId("note").textContent = `The messages cannot be shown: ${error.message}`;
}

byId("channel").textContent = channel;
byId("newer").addEventListener("click", goToTheEnd);
addEventListener("scroll", () => {
  if (atTheEnd()) forgetUnseen();
});
tell("connecting …", false);
follow();
