// What labelling looks like: parts once, a prompt when it turns, marks at every key; `labelling.js` says what
// keys do. Model text enters as textContent only.
function html(name, className, parent, text) {
  const made = document.createElement(name);
  if (className) made.className = className;
  if (text !== undefined) made.textContent = text;
  if (parent) parent.appendChild(made);
  return made;
}

function parts(state) {
  const { holder } = state;
  const made = { rows: new Map() };
  for (const name of ["prompt", "reason", "rejecting", "list", "detail", "message", "count", "help", "enter", "legend"]) {
    made[name] = holder.querySelector(`.${name}`);
  }
  state.parts = made;
  for (const button of holder.querySelectorAll("button[data-deed]")) {
    button.addEventListener("click", () => {
      if (button.dataset.deed === "send-reason") reject(state); else deed(state, button.dataset.deed);
      if (made.rejecting.hidden) made.list.focus();
    });
  }
  holder.addEventListener("keydown", (event) => keyed(state, event));
}

function build(state) {
  const { data, parts: { prompt, list, rejecting, reason, rows, legend } } = state;
  prompt.replaceChildren();
  for (const chip of data.chips) {
    html("span", "chip", prompt, chip.text).title = chip.title;
    prompt.append(chip.newline ? html("br") : html("wbr"));
  }
  html("span", "chip next", prompt, "?").title = "The token that is labelled stands here.";
  rejecting.hidden = true;
  reason.value = "";
  legend.replaceChildren();
  for (const variant of data.variants) {
    const named = html("span", "variant", legend);
    html("span", "dot", named).style.background = variant.colour;
    html("span", "", named, variant.name);
  }
  rows.clear();
  state.whys = new Map();
  list.replaceChildren();
  data.candidates.forEach((each, place) => {
    const row = html("div", "row", list);
    Object.assign(row, { id: `row-${each.token}`, role: "option" });
    const made = { row, label: html("span", "label", row) };
    html("span", "token", row, each.text).title = `token ${each.token}`;
    const bars = html("span", "bars", row);
    for (const bar of each.bars) {
      const line = html("span", "line", bars);
      line.title = bar.title;
      const track = html("span", "track", line);
      const filled = html("span", "bar", track);
      filled.style.width = `${100 * bar.share}%`;
      filled.style.background = bar.colour;
      html("span", "number", line, bar.number);
    }
    const more = html("span", "more", row);
    for (const verdict of each.verdicts) {
      const said = html("span", `said ${verdict.label}`, more, `${data.glyphs[verdict.label]} ${verdict.rater}`);
      said.title = `${verdict.rater}: ${verdict.label}${verdict.reason ? `. ${verdict.reason}` : ""}`;
    }
    if (data.differs.includes(each.token)) {
      const why = html("input", "why", more);
      Object.assign(why, { type: "text", maxLength: 10000, placeholder: "why do you differ?", value: each.comment });
      why.setAttribute("aria-label", `Why ${each.text} is not as a judge says`);
      state.whys.set(each.token, why);
    } else if (!each.verdicts.length && each.samples.length) html("span", "sample", more, each.samples[0].text);
    row.addEventListener("click", (event) => {
      state.here = place;
      paint(state);
      if (event.target.tagName !== "INPUT") list.focus();
    });
    row.addEventListener("focusin", () => {
      state.here = place;
      paint(state);
    });
    rows.set(each.token, made);
  });
}

function paint(state) {
  const { data, parts: { list, rows, detail, message, count, enter: button } } = state;
  data.candidates.forEach((each, place) => {
    const { row, label: cell } = rows.get(each.token);
    const given = state.marks.get(each.token) ?? "unlabelled";
    const here = place === state.here;
    const shown = data.torn[each.token] && given === "unlabelled" ? "two answers" : given;
    cell.textContent = `${data.glyphs[given]} ${shown}`;
    cell.className = `label ${given}`;
    cell.title = data.torn[each.token] ? `Two of your windows said: ${data.torn[each.token]}. Choose one.` : "";
    row.classList.toggle("here", here);
    row.setAttribute("aria-selected", here);
    row.setAttribute("aria-label", `${each.text}: ${shown}. ${each.spoken}`);
    if (here) {
      list.setAttribute("aria-activedescendant", row.id);
      row.scrollIntoView({ block: "nearest" });
    }
  });
  const labelled = data.candidates.length - lacking(state).length;
  const doing = state.waiting ? "One moment…" : state.message || data.says;
  if (message.textContent !== doing) message.textContent = doing;
  const unkept = state.outbox.length ? `, ${state.outbox.length} not on the disk yet` : "";
  count.textContent = `${labelled} of ${data.candidates.length} labelled${data.problem ? unkept : ""}`;
  state.holder.classList.toggle("waiting", Boolean(state.waiting));
  button.textContent = data.state === "open" ? "Submit" : "Next";
  describe(state, detail);
}

function describe(state, detail) {
  const each = state.data.candidates[state.here];
  detail.replaceChildren();
  for (const verdict of each.verdicts.filter((one) => one.reason)) {
    html("div", "", detail, `${verdict.rater}: ${verdict.reason}`);
  }
  for (const sample of each.samples) {
    const line = html("div", "continued", detail);
    html("span", "dot", line).style.background = sample.colour;
    html("span", "of", line, sample.variant);
    html("span", "text", line, sample.text);
  }
}

