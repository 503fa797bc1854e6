// Draws one or two attribution graphs on one layout. Positions are computed in Python; this
// file scales them, and answers hover, click and keys. Model text enters as textContent only.
const SVG = "http://www.w3.org/2000/svg";
// By the glyph that legends name them with: one shape, one meaning.
const SHAPES = {
  "●": (r) => `M${-r},0a${r},${r} 0 1,0 ${2 * r},0a${r},${r} 0 1,0 ${-2 * r},0`,
  "◖": (r) => half(1.25 * r, 1),
  "◗": (r) => half(1.25 * r, -1),
  "■": (r) => `M${-r},${-r}h${2 * r}v${2 * r}h${-2 * r}z`,
  "◆": (r) => `M0,${-1.25 * r}L${1.25 * r},0L0,${1.25 * r}L${-1.25 * r},0z`,
  "▲": (r) => `M0,${-1.25 * r}L${1.2 * r},${r}L${-1.2 * r},${r}z`,
  "○": (r) => SHAPES["●"](1.1 * r) + `M${-0.55 * r},0a${0.55 * r},${0.55 * r} 0 1,1 ${1.1 * r},0a${0.55 * r},${0.55 * r} 0 1,1 ${-1.1 * r},0`,
  "✕": (r) => {
    const w = 0.5 * r, e = r - w;
    return `M${-e},${-r}L0,${-w}L${e},${-r}L${r},${-e}L${w},0L${r},${e}L${e},${r}L0,${w}L${-e},${r}L${-r},${e}L${-w},0L${-r},${-e}z`;
  },
  "⬡": (r) => `M${-1.15 * r},0L${-0.58 * r},${-r}h${1.16 * r}L${1.15 * r},0L${0.58 * r},${r}h${-1.16 * r}z`,
  "▬": (r) => `M${-1.3 * r},${-0.6 * r}h${2.6 * r}v${1.2 * r}h${-2.6 * r}z`,
};
// Half a disc: its round side to the left (1) or right (-1), its middle at 0.
const half = (r, side) => `M${0.42 * r * side},${-r}A${r},${r} 0 0,${side > 0 ? 0 : 1} ${0.42 * r * side},${r}z`;
const KEYS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
const STYLES = [
  "fill", "fill-opacity", "stroke", "stroke-opacity", "stroke-width", "stroke-dasharray", "opacity",
  "font-family", "font-size", "text-anchor",
];
const HEADING = 84, DESCRIPTION = 258;
const LEFT = 52, TOP = 10, GAP = 18, TURN = (55 * Math.PI) / 180;
const memory = new WeakMap();

function element(name, attributes, parent, text) {
  const made = document.createElementNS(SVG, name);
  for (const key in attributes) made.setAttribute(key, attributes[key]);
  if (text !== undefined) made.textContent = text;
  if (parent) parent.appendChild(made);
  return made;
}

function html(name, className, parent, text) {
  const made = document.createElement(name);
  if (className) made.className = className;
  if (text !== undefined) made.textContent = text;
  if (parent) parent.appendChild(made);
  return made;
}

function drawPanel(state, panel, index, width, height, slot) {
  const { data, root } = state;
  const holder = html("div", "panel", root);
  const title = html("div", "title", holder);
  const dot = html("span", "dot", title);
  dot.style.background = panel.colour;
  html("b", "", title, panel.title);
  const save = html("button", "svg", title, "Download SVG");
  save.type = "button";
  save.title = `This graph as it is drawn: ${panel.title}`;
  html("span", "said all", title, panel.said);
  const scroller = html("div", "scroller", holder);
  // Tab stops once in a graph, at a node: what scrolls would be a stop before it, where arrows scroll.
  scroller.tabIndex = -1;
  const drawn = LEFT + data.width * slot + 10;
  const svg = element("svg", {
    width: drawn, height, viewBox: `0 0 ${drawn} ${height}`, role: "application",
    "aria-label": `Attribution graph of ${panel.title}: arrow keys move between nodes, Enter pins`,
  }, scroller);
  const plot = height - TOP - state.bottom;
  const px = (x) => LEFT + x * slot;
  const py = (y) => TOP + plot - (y / data.height) * plot;
  for (const row of data.rows) {
    if (row.band) {
      element("rect", {
        class: "band", x: LEFT, width: data.width * slot,
        y: py(row.y1), height: py(row.y0) - py(row.y1),
      }, svg);
    }
    element("text", { class: "row", x: LEFT - 6, y: py((row.y0 + row.y1) / 2) + 4 }, svg, row.label);
  }
  for (const column of data.columns) {
    element("line", { class: "column", x1: px(column.x0), x2: px(column.x0), y1: TOP, y2: TOP + plot }, svg);
    const x = px((column.x0 + column.x1) / 2), y = TOP + plot + 12;
    const text = element("text", { class: "token", x, y, transform: `rotate(-55 ${x} ${y})` }, svg, column.text);
    element("title", {}, text, `position ${column.position}: ${column.full}`);
  }
  // The largest mark (8.5, and its outline) shrinks to less than a slot: none covers its neighbour's middle.
  const size = Math.min(1, slot / 9.6);
  const nodes = new Map();
  panel.nodes.forEach((node) => nodes.set(node.id, { ...node, px: px(node.x), py: py(node.y), edges: [] }));
  const edgeLayer = element("g", { class: "edges" }, svg);
  for (const [source, target, weight, size] of panel.edges) {
    const a = nodes.get(source), b = nodes.get(target);
    if (!a || !b) continue;
    const middle = (a.py + b.py) / 2;
    const path = element("path", {
      class: weight < 0 ? "edge negative" : "edge",
      d: `M${a.px},${a.py}C${a.px},${middle} ${b.px},${middle} ${b.px},${b.py}`,
      "stroke-width": size,
    }, edgeLayer);
    a.edges.push([path, target]);
    b.edges.push([path, source]);
  }
  const nodeLayer = element("g", { class: "nodes" }, svg);
  let first = null;
  for (const node of [...nodes.values()].sort((m, n) => n.r - m.r)) {
    node.mark = element("path", {
      class: `node ${node.kind} ${node.state}`, d: SHAPES[node.shape](Math.max(2.6, node.r * size)),
      transform: `translate(${node.px},${node.py})`, tabindex: -1, role: "button",
      "aria-label": `${node.label}, ${node.facts}`, "data-id": node.id,
    }, nodeLayer);
    if (node.colour) node.mark.style.fill = node.colour;
    first = first || node;
  }
  // The last position is the one that the next token is computed at.
  scroller.scrollLeft = scroller.scrollWidth;
  const made = { index, panel, nodes, svg, here: null };
  reach(made, nodes.get(state.reached[index]) || first);
  save.addEventListener("click", () => download(svg, panel.title));
  svg.addEventListener("pointerover", (event) => {
    const id = event.target.getAttribute && event.target.getAttribute("data-id");
    if (id) light(state, id, index);
  });
  svg.addEventListener("pointerleave", () => light(state, null, index));
  svg.addEventListener("click", (event) => {
    const id = event.target.getAttribute && event.target.getAttribute("data-id");
    if (id) pin(state, id);
  });
  // Not on the drawing: Chromium lets Tab stop at an SVG element that listens for focus.
  scroller.addEventListener("focusin", (event) => {
    const id = event.target.getAttribute("data-id");
    if (!id) return;
    reach(made, nodes.get(id));
    light(state, id, index);
  });
  scroller.addEventListener("keydown", (event) => keyed(state, made, event));
  return made;
}

// The one node of a graph that Tab reaches: where its keys were last.
function reach(panel, node) {
  if (panel.here) panel.here.mark.setAttribute("tabindex", -1);
  panel.here = node || null;
  if (node) node.mark.setAttribute("tabindex", 0);
}

// The drawing as a file of its own: what the style sheet says is written into each mark.
function download(svg, name) {
  const copy = svg.cloneNode(true);
  const drawn = [svg, ...svg.querySelectorAll("*")], marks = [copy, ...copy.querySelectorAll("*")];
  drawn.forEach((mark, i) => {
    const style = getComputedStyle(mark);
    const kept = STYLES.map((key) => `${key}:${style.getPropertyValue(key)}`).join(";");
    for (const key of ["class", "tabindex", "role", "data-id"]) marks[i].removeAttribute(key);
    marks[i].setAttribute("style", kept);
  });
  copy.setAttribute("xmlns", SVG);
  const sheet = element("rect", { width: "100%", height: "100%" });
  sheet.style.fill = getComputedStyle(document.documentElement).getPropertyValue("--st-background-color")
    || getComputedStyle(svg).getPropertyValue("--st-background-color") || "white";
  copy.prepend(sheet);
  const link = html("a", "", null);
  link.href = URL.createObjectURL(
    new Blob([new XMLSerializer().serializeToString(copy)], { type: "image/svg+xml" }),
  );
  link.download = `graph-${name.replace(/[^A-Za-z0-9.]+/g, "-")}.svg`;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
}

function keyed(state, panel, event) {
  // A click beside the nodes puts the focus on what holds them: arrows go on from the last one.
  const here = panel.nodes.get(event.target.getAttribute("data-id")) || panel.here;
  if (!here) return;
  if ((event.key === "Enter" || event.key === " ") && event.target === here.mark) {
    event.preventDefault();
    pin(state, here.id);
    return;
  }
  if (event.key === "Escape") {
    light(state, null, panel.index);
    return;
  }
  const step = KEYS[event.key];
  if (!step) return;
  event.preventDefault();
  let best = null, least = Infinity;
  for (const node of panel.nodes.values()) {
    if (node === here) continue;
    const along = (node.px - here.px) * step[0] + (node.py - here.py) * step[1];
    const across = Math.abs((node.px - here.px) * step[1]) + Math.abs((node.py - here.py) * step[0]);
    if (along < 1) continue;
    const cost = along + 3 * across;
    if (cost < least) { least = cost; best = node; }
  }
  (best || here).mark.focus();
}

function light(state, id, index) {
  if (state.lit === id && state.litPanel === index) return;
  state.lit = id;
  state.litPanel = index;
  for (const panel of state.panels) {
    for (const mark of panel.svg.querySelectorAll(".lit")) mark.classList.remove("lit", "self");
    const node = id && panel.nodes.get(id);
    panel.svg.classList.toggle("dimmed", Boolean(node));
    if (!node) continue;
    node.mark.classList.add("lit", "self");
    for (const [path, other] of node.edges) {
      path.classList.add("lit");
      panel.nodes.get(other).mark.classList.add("lit");
    }
  }
  describe(state);
}

function pin(state, id) {
  if (state.pins.has(id)) state.pins.delete(id); else state.pins.add(id);
  showPins(state);
  state.setStateValue("pins", [...state.pins]);
}

function showPins(state) {
  for (const panel of state.panels) {
    for (const [id, node] of panel.nodes) {
      node.mark.classList.toggle("pinned", state.pins.has(id));
      node.mark.setAttribute("aria-pressed", state.pins.has(id));
    }
  }
  describe(state);
}

function strongest(parent, title, entries) {
  const box = html("div", "links", parent);
  html("div", "heading", box, title);
  if (!entries.length) html("div", "none", box, "none among the stored edges");
  for (const [label, weight, negative] of entries) {
    const line = html("div", "link", box);
    html("span", negative ? "weight negative" : "weight", line, weight);
    html("span", "", line, label);
  }
}

// Direct, influence and total effect, a row a token; what each means is in the heading's title.
function scores(parent, heads, rows) {
  if (!rows.length) return;
  const grid = html("div", "scores", parent);
  html("span", "heading", grid, "on");
  for (const [name, meaning] of heads) html("span", "heading", grid, name).title = meaning;
  for (const row of rows) for (const cell of row) html("span", "", grid, cell);
}

function describe(state) {
  const box = state.details;
  box.replaceChildren();
  const id = state.lit || [...state.pins].pop();
  const found = id ? state.panels.filter((panel) => panel.nodes.has(id)) : [];
  if (!found.length) {
    html("div", "hint", box, state.data.hint);
    return;
  }
  for (const panel of found) {
    const node = panel.nodes.get(id);
    const card = html("div", "card", box);
    const head = html("div", "head", card);
    const dot = html("span", "dot", head);
    dot.style.background = panel.panel.colour;
    html("b", "", head, node.label);
    html("span", "said", head, `in ${panel.panel.title}${state.pins.has(id) ? ", pinned" : ""}`);
    html("div", "facts", card, node.facts);
    scores(card, state.data.scores, node.scores);
    const lists = html("div", "lists", card);
    strongest(lists, "strongest sources", node.sources);
    strongest(lists, "strongest targets", node.targets);
  }
}

function render(state) {
  const { data, holder } = state;
  // The same graph and node as before, where it is still drawn.
  const focused = state.panels.find((panel) => panel.svg.querySelector(".node:focus"));
  state.reached = state.panels.map((panel) => panel.here && panel.here.id);
  holder.replaceChildren();
  const available = holder.clientWidth || 900;
  const beside = data.panels.length === 1 || available >= 700;
  state.root = html("div", beside ? "panels beside" : "panels", holder);
  const across = beside ? data.panels.length : 1;
  const width = (available - GAP * (across - 1)) / across;
  const slot = Math.max((width - LEFT - 14) / data.width, data.slot * 0.7);
  const longest = Math.max(...data.columns.map((column) => column.text.length));
  state.bottom = 24 + longest * 7 * Math.sin(TURN);
  // Python has said how high all is together; panels below one another scroll.
  const height = data.pixels - HEADING - DESCRIPTION;
  state.panels = data.panels.map((panel, index) => drawPanel(state, panel, index, width, height, slot));
  state.details = html("div", "details", holder);
  state.details.setAttribute("aria-live", "polite");
  state.lit = null;
  showPins(state);
  const again = focused && state.panels[focused.index];
  if (again && again.here) again.here.mark.focus();
}

export default function (component) {
  const { data, parentElement, setStateValue } = component;
  const holder = parentElement.querySelector(".graph");
  let state = memory.get(holder);
  if (!state) {
    state = { holder, width: 0, panels: [] };
    memory.set(holder, state);
    state.observer = new ResizeObserver(() => {
      if (Math.abs(holder.clientWidth - state.width) > 2) {
        state.width = holder.clientWidth;
        render(state);
      }
    });
  }
  const text = JSON.stringify(data);
  state.setStateValue = setStateValue;
  if (state.text !== text) {
    state.text = text;
    state.data = data;
    state.pins = new Set(data.pins);
    state.width = holder.clientWidth;
    render(state);
  }
  state.observer.observe(holder);
  return () => state.observer.disconnect();
}
