// Draws what the costs add up to; the adding is done by the database.

const DAYS = 30;
const DAY = 24 * 60 * 60 * 1000;
const SHOWN_AGENTS = 5; // the others are drawn together
const OTHERS = "others";
const [WIDTH, HEIGHT, LEFT, BOTTOM, TOP] = [920, 260, 44, 24, 10];

const usd = new Intl.NumberFormat("en", { style: "currency", currency: "USD" });
const short = new Intl.NumberFormat("en", { notation: "compact" });
const byId = (id) => document.getElementById(id);
const sum = (totals, of = (total) => total.cost_usd) =>
  totals.reduce((before, total) => before + of(total), 0);
const tokens = (total) => total.input_tokens + total.output_tokens;

function dayOf(time) {
  return new Date(time).toISOString().slice(0, 10);
}

async function totals(since, ...groups) {
  const query = new URLSearchParams([["since", since], ...groups.map((group) => ["by", group])]);
  const answer = await fetch(`/costs/totals?${query}`);
  if (!answer.ok) throw new Error((await answer.json()).detail);
  return answer.json();
}

function svg(name, attributes, text) {
  const made = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  if (text !== undefined) made.textContent = text;
  return made;
}

function cell(text, kind = "") {
  const made = document.createElement("td");
  made.textContent = text;
  made.className = kind;
  return made;
}

// The next of 1, 2, 5, 10, 20 … that is at least this.
function round(value) {
  const power = 10 ** Math.floor(Math.log10(value || 1));
  return [1, 2, 5, 10].map((step) => step * power).find((step) => step >= value);
}

function drawAxis(chart, height, top) {
  for (const part of [0, 0.5, 1]) {
    const y = height(part * top);
    chart.append(
      svg("line", { x1: LEFT, x2: WIDTH, y1: y, y2: y }),
      svg("text", { x: LEFT - 8, y: y + 4, "text-anchor": "end" }, `${+(part * top).toPrecision(2)}`),
    );
  }
}

function draw(days, agents, costs) {
  const chart = byId("chart");
  const highest = Math.max(...days.map((day) => sum(costs.filter((each) => each.day === day))));
  const top = round(highest);
  const height = (value) => HEIGHT - BOTTOM - (value / top) * (HEIGHT - BOTTOM - TOP);
  const step = (WIDTH - LEFT) / days.length;
  drawAxis(chart, height, top);
  days.forEach((day, number) => {
    const x = LEFT + number * step;
    let below = 0;
    agents.forEach((agent, colour) => {
      const cost = sum(costs.filter((each) => each.day === day && each.agent === agent));
      if (cost === 0) return;
      const [upper, lower] = [height(below + cost), height(below)];
      const bar = svg("rect", {
        x: x + step * 0.15, y: upper, width: step * 0.7, height: lower - upper, class: `c${colour}`,
      });
      bar.append(svg("title", {}, `${day}, ${agent}: ${usd.format(cost)}`));
      chart.append(bar);
      below += cost;
    });
    if (number % 5 === 0) {
      const middle = x + step / 2;
      chart.append(svg("text", { x: middle, y: HEIGHT - 6, "text-anchor": "middle" }, day.slice(5)));
    }
  });
}

function addKeys(agents) {
  agents.forEach((agent, colour) => {
    const [key, name] = [document.createElement("span"), document.createElement("span")];
    key.className = `key c${colour}`;
    name.textContent = agent;
    key.append(name);
    byId("keys").append(key);
  });
}

function fillTable(rows) {
  for (const row of rows.toSorted((one, other) => other.cost_usd - one.cost_usd)) {
    const line = document.createElement("tr");
    line.append(
      cell(row.project ?? "–"),
      cell(row.model),
      cell(row.records.toLocaleString("en"), "number"),
      cell(short.format(tokens(row)), "number"),
      cell(usd.format(row.cost_usd), "number"),
    );
    byId("table").append(line);
  }
}

async function show() {
  const today = dayOf(Date.now());
  const days = Array.from({ length: DAYS }, (_, back) => dayOf(Date.now() - (DAYS - 1 - back) * DAY));
  const since = `${days[0]}T00:00:00Z`;
  const [byAgent, byDay, byModel] = await Promise.all([
    totals(since, "agent_id"), totals(since, "day", "agent_id"), totals(since, "project", "model"),
  ]);
  if (byAgent.length === 0) {
    byId("note").textContent = "Nothing has been spent yet.";
    return;
  }
  const most = byAgent.toSorted((one, other) => other.cost_usd - one.cost_usd);
  const agents = most.slice(0, SHOWN_AGENTS).map((total) => total.agent_id);
  const costs = byDay.map((total) => ({
    ...total, agent: agents.includes(total.agent_id) ? total.agent_id : OTHERS,
  }));
  if (most.length > SHOWN_AGENTS) agents.push(OTHERS);
  byId("together").textContent = usd.format(sum(byAgent));
  byId("today").textContent = usd.format(sum(byDay.filter((total) => total.day === today)));
  byId("calls").textContent = sum(byAgent, (total) => total.records).toLocaleString("en");
  byId("tokens").textContent = short.format(sum(byAgent, tokens));
  addKeys(agents);
  draw(days, agents, costs);
  fillTable(byModel);
  byId("note").hidden = true;
  byId("shown").hidden = false;
}

show().catch((error) => {
  byId("note").textContent = `The costs cannot be shown: ${error.message}`;
});
