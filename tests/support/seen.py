"""What a person notices of a page in the browser: texts too faint to read or cut off, content that moves."""

from typing import Any, Final

SHIFTS: Final = """
window.shifts = [];
new PerformanceObserver((list) => {
  for (const entry of list.getEntries()) {
    if (entry.hadRecentInput) continue;
    const nodes = entry.sources.map((source) => source.node).filter(Boolean);
    // Streamlit's own frame: the main section makes room for the sidebar, its skeleton goes.
    const main = document.querySelector("[data-testid=stMain]");
    const block = document.querySelector("[data-testid=stMainBlockContainer]");
    const frame = nodes.some((node) => node === block || (main && node.contains(main)));
    window.shifts.push({
      value: entry.value, frame,
      moved: entry.sources.map((source) => {
        const [a, b] = [source.previousRect, source.currentRect];
        const name = source.node?.parentElement?.closest("[class*=st-key], [data-testid]");
        const of = name?.getAttribute("data-testid") ?? name?.className;
        return `${of}: ${a.x},${a.y},${a.width},${a.height} -> ${b.x},${b.y},${b.width},${b.height}`;
      }),
    });
  }
}).observe({ type: "layout-shift", buffered: true });
"""
"""Script for `page.add_init_script`: collects layout shifts that nobody's click or key caused."""


def layout_shift(page: Any) -> tuple[float, list[Any]]:
    """Cumulative layout shift since the page was opened, the strict sum, and the shifts behind it.

    The page ran `SHIFTS` first. What Streamlit's frame does before a page begins is not counted.
    """
    shifts = [shift for shift in page.evaluate("window.shifts") if not shift["frame"]]
    return sum(shift["value"] for shift in shifts), sorted(shifts, key=lambda shift: -shift["value"])


_FAINT: Final = """
() => {
  const drawing = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
  const known = {};
  const parsed = (colour) => known[colour] ??= (() => {
    drawing.clearRect(0, 0, 1, 1);
    drawing.fillStyle = colour;
    drawing.fillRect(0, 0, 1, 1);
    return [...drawing.getImageData(0, 0, 1, 1).data].map((value) => value / 255);
  })();
  const over = (top, under) =>
    [0, 1, 2].map((i) => top[i] * top[3] + under[i] * (1 - top[3])).concat([1]);
  const linear = (value) => value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4;
  const luminance = (c) => 0.2126 * linear(c[0]) + 0.7152 * linear(c[1]) + 0.0722 * linear(c[2]);
  const parent = (element) => element.parentElement ?? element.getRootNode().host ?? null;
  // Figures in a heat map lie on marks, a slider's value above the thumb that holds it.
  const apart = "STYLE, SCRIPT, TITLE, TEXTAREA, NOSCRIPT, [disabled], [aria-disabled=true], .mark-text, "
    + "[data-testid=stSliderThumbValue]";
  const faint = [];
  const look = (root) => {
    const walker = document.createTreeWalker(root, NodeFilter.SHOW_ELEMENT | NodeFilter.SHOW_TEXT);
    for (let node = walker.nextNode(); node; node = walker.nextNode()) {
      if (node.shadowRoot) look(node.shadowRoot);
      const element = node.parentElement;
      if (node.nodeType !== Node.TEXT_NODE || !node.data.trim()) continue;
      if (!element || element.closest(apart)) continue;
      const range = document.createRange();
      range.selectNodeContents(node);
      const box = range.getBoundingClientRect();
      const style = getComputedStyle(element);
      if (box.width < 2 || box.height < 2 || style.visibility !== "visible") continue;
      let opacity = 1;
      const behind = [];
      for (let each = element; each; each = parent(each)) {
        opacity *= parseFloat(getComputedStyle(each).opacity);
        const background = parsed(getComputedStyle(each).backgroundColor);
        if (background[3] > 0) behind.push(background);
        if (background[3] === 1) break;
      }
      if (opacity === 0) continue;
      const under = behind.reverse().reduce((all, each) => over(each, all), [1, 1, 1, 1]);
      const own = parsed(element.ownerSVGElement ? style.fill : style.color);
      const text = over([...own.slice(0, 3), own[3] * opacity], under);
      const [low, high] = [luminance(text), luminance(under)].sort((a, b) => a - b);
      const ratio = (high + 0.05) / (low + 0.05);
      const size = parseFloat(style.fontSize);
      const large = size >= 24 || (size >= 18.66 && parseInt(style.fontWeight) >= 700);
      if (ratio < (large ? 3 : 4.5)) faint.push(`${node.data.trim().slice(0, 40)}: ${ratio.toFixed(2)}`);
    }
  };
  look(document.body);
  return faint;
}
"""


def faint_texts(page: Any) -> list[str]:
    """Texts with less contrast than WCAG 2.1 AA asks for, each with its ratio."""
    found: list[str] = page.evaluate(_FAINT)
    return found


_UNNAMED: Final = """
() => [...document.querySelectorAll("button, a")]
  .filter((each) => each.offsetParent && !each.closest("[data-testid=stHeader], [aria-hidden=true]"))
  .map((each) => {
    const said = each.getAttribute("aria-label") ?? [...each.querySelectorAll("*"), each]
      .filter((part) => !part.closest("[aria-hidden=true]"))
      .flatMap((part) => [...part.childNodes].filter((node) => node.nodeType === Node.TEXT_NODE))
      .map((node) => node.data).join("");
    return [said.trim(), each.outerHTML.slice(0, 120)];
  })
  .filter(([said]) => !said || said.endsWith(" icon"))
  .map(([said, html]) => said || html)
"""


def unnamed(page: Any) -> list[str]:
    """Buttons and links of the page and its sidebar that a screen reader has no words for.

    An icon alone is read as the icon's name.
    """
    found: list[str] = page.evaluate(_UNNAMED)
    return found


def overflow(page: Any) -> int:
    """Pixels by which the page is wider than its window."""
    wider: int = page.evaluate(
        "() => document.querySelector('[data-testid=stMain]').scrollWidth"
        " - document.querySelector('[data-testid=stMain]').clientWidth"
    )
    return wider


def cut_off(page: Any) -> list[str]:
    """Numbers and choices that are wider than the place that they have."""
    found: list[str] = page.evaluate(
        "() => [...document.querySelectorAll('[data-testid=stMetricValue], [data-testid=stMetricValue] *,"
        " [data-testid=stButtonGroup], [data-testid=stButtonGroup] *, [role=radiogroup]')]"
        ".filter(e => e.clientWidth > 0 && e.scrollWidth > e.clientWidth + 1).map(e => e.innerText)"
    )
    return found
