// Shows the newest messages of a channel: `/?channel=general`.

const SHOWN = 50;
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

async function show() {
  const answer = await fetch(`/channels/${encodeURIComponent(channel)}/messages?limit=${SHOWN}`);
  const read = await answer.json();
  if (!answer.ok) throw new Error(read.detail);
  byId("messages").append(...read.items.toReversed().map(draw));
  byId("note").textContent = "Nobody has said anything yet.";
  byId("note").hidden = read.items.length > 0;
}

byId("channel").textContent = channel;
show().catch((error) => {
  byId("note").textContent = `The messages cannot be shown: ${error.message}`;
});
