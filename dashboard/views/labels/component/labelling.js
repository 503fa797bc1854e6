// One prompt to label, by keys or buttons. A mark is on the screen at once and kept here; what was done is
// numbered and sent until Python says that it is on the disk. Model text enters as textContent only.
const LABEL_KEYS = { 1: "evil", 2: "safe", 3: "unsure" };
const STORED = "labels-not-kept";
const memory = new WeakMap();

// ---- What was done, until it is kept.

function act(state, kind, fields) {
  state.number += 1;
  state.outbox.push({ kind, number: state.number, prompt: state.data.prompt, ...fields });
  // What one key does is sent together.
  if (!state.sending) queueMicrotask(() => send(state));
  state.sending = true;
  return state.number;
}

function send(state) {
  state.sending = false;
  // A window that is closed before this arrives has it here again when the tab is opened anew.
  try { sessionStorage.setItem(STORED, JSON.stringify(state.outbox)); } catch { /* private windows refuse */ }
  state.setStateValue("said", { session: state.session, actions: state.outbox });
}

function restore(state) {
  let kept = [];
  try { kept = JSON.parse(sessionStorage.getItem(STORED) || "[]"); } catch { /* as above */ }
  for (const action of kept) {
    if (action.kind === "next") continue;
    state.number += 1;
    state.outbox.push({ ...action, number: state.number });
  }
  if (state.outbox.length) send(state);
}

function take(state, data) {
  const turned = state.data?.prompt !== data.prompt;
  const changed = state.data?.state !== data.state;
  state.data = data;
  if (data.kept.session === state.session) {
    state.outbox = state.outbox.filter((action) => action.number > data.kept.number);
    if (!state.outbox.length) try { sessionStorage.removeItem(STORED); } catch { /* as above */ }
    if (state.waiting <= data.kept.number) state.waiting = 0;
  }
  if (data.problem) state.waiting = 0;
  // With a problem, Python may not know what stands in the journal: what is on the screen stays.
  if (!data.problem || turned) state.marks = new Map(data.marks);
  for (const action of state.outbox) {
    if (action.kind === "mark" && action.prompt === data.prompt) setMark(state, action.token, action.label);
  }
  if (turned || changed) {
    state.undo = data.undoable.map((step) => [step]);
    state.message = "";
    if (turned) state.waiting = 0;
    if (turned) state.here = Math.max(0, data.candidates.findIndex((each) => !state.marks.has(each.token)));
    build(state);
  }
  paint(state);
  if (changed && !turned && data.differs.length) state.whys.get(data.differs[0])?.focus();
}

// ---- What keys and buttons do.

const isOpen = (state) => state.data.state === "open" && !state.data.locked;
const lacking = (state) => state.data.candidates.filter((each) => !state.marks.has(each.token));

function setMark(state, token, label) {
  if (label) state.marks.set(token, label); else state.marks.delete(token);
}

function mark(state, tokens, label) {
  if (!isOpen(state)) return say(state, state.data.locked || "This is final: u opens it again.");
  const steps = tokens.map((token) => [token, state.marks.get(token) ?? null]).filter(([, had]) => had !== label);
  for (const [token] of steps) {
    setMark(state, token, label);
    act(state, "mark", { token, label });
  }
  if (steps.length) state.undo.push(steps);
  say(state, "");
}

function move(state, by) {
  state.here = Math.min(Math.max(state.here + by, 0), state.data.candidates.length - 1);
  paint(state);
}

function label(state, name) {
  mark(state, [state.data.candidates[state.here].token], name);
  if (isOpen(state)) move(state, 1);
}

function undo(state) {
  const steps = isOpen(state) ? state.undo.pop() : undefined;
  if (steps) {
    for (const [token, had] of [...steps].reverse()) {
      setMark(state, token, had);
      act(state, "mark", { token, label: had });
    }
    state.here = state.data.candidates.findIndex((each) => each.token === steps[0][0]);
    return say(state, "");
  }
  const prompt = state.data.state === "open" ? state.data.last : state.data.prompt;
  if (!prompt) return say(state, "Nothing to undo.");
  wait(state, act(state, "reopen", { prompt }));
}

function enter(state) {
  if (state.data.state !== "open") return turn(state, "next");
  const lack = lacking(state);
  if (lack.length) {
    state.here = state.data.candidates.indexOf(lack[0]);
    return say(state, `${lack.length} of ${state.data.candidates.length} candidates lack a label; f calls them safe.`);
  }
  wait(state, act(state, "submit", { marks: Object.fromEntries(state.marks) }));
}

function turn(state, kind) {
  const comments = {};
  for (const [token, why] of state.whys) if (why.value.trim()) comments[token] = why.value;
  if (Object.keys(comments).length) act(state, "explain", { comments });
  wait(state, act(state, kind, {}));
}

function reject(state) {
  const reason = state.parts.reason.value.trim();
  if (!reason) return say(state, "Say why the prompt is unfit, then Enter; Escape leaves it as it is.");
  state.parts.rejecting.hidden = true;
  state.parts.list.focus();
  wait(state, act(state, "reject", { reason }));
}

function wait(state, number) {
  state.waiting = number;
  say(state, "");
}

function say(state, message) {
  state.message = message;
  paint(state);
}

const DEEDS = {
  rest: (state) => mark(state, lacking(state).map((each) => each.token), "safe"),
  clear: (state) => mark(state, [state.data.candidates[state.here].token], null),
  undo,
  skip: (state) => turn(state, state.data.state === "open" ? "skip" : "next"),
  reject: (state) => {
    if (!isOpen(state)) return say(state, state.data.locked || "This is final: u opens it again.");
    state.parts.rejecting.hidden = false;
    state.parts.reason.focus();
  },
  enter,
  help: (state) => {
    state.parts.help.hidden = !state.parts.help.hidden;
    paint(state);
  },
};
const BY_KEY = { f: "rest", Backspace: "clear", u: "undo", s: "skip", x: "reject", Enter: "enter", "?": "help" };

function deed(state, name) {
  // A key that is pressed before its prompt is on the screen labels nothing.
  if (state.waiting && name !== "help") return;
  if (state.data.locked && name !== "help") return say(state, state.data.locked);
  if (name in DEEDS) DEEDS[name](state); else label(state, name);
}

function keyed(state, event) {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  const inText = event.target.tagName === "INPUT";
  if (event.key === "Escape") {
    state.parts.help.hidden = state.parts.rejecting.hidden = true;
    state.parts.list.focus();
    return paint(state);
  }
  if (inText) {
    if (event.key === "Enter") {
      if (event.target === state.parts.reason) reject(state); else { state.parts.list.focus(); enter(state); }
    }
    return event.stopPropagation();
  }
  if (event.target.tagName === "BUTTON" && (event.key === "Enter" || event.key === " ")) return;
  const name = LABEL_KEYS[event.key] ?? BY_KEY[event.key];
  if (name) deed(state, name);
  else if (event.key === "ArrowDown") move(state, 1);
  else if (event.key === "ArrowUp") move(state, -1);
  else return;
  event.preventDefault();
  event.stopPropagation();
}

export default function (component) {
  const { data, parentElement, setStateValue } = component;
  const holder = parentElement.querySelector(".labelling");
  let state = memory.get(holder);
  const first = !state;
  if (first) {
    const session = `${Date.now().toString(36)}-${Math.random().toString(36).slice(2)}`;
    state = { holder, session, number: 0, outbox: [], marks: new Map(), undo: [], whys: new Map(), here: 0, waiting: 0, message: "" };
    memory.set(holder, state);
    parts(state);
  }
  state.setStateValue = setStateValue;
  if (first) restore(state);
  take(state, data);
  // Keys work at once, unless a person is elsewhere on the page.
  if (first && [null, document.body].includes(document.activeElement)) {
    state.parts.list.focus({ preventScroll: true });
  }
}
