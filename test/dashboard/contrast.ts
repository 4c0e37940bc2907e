// How well text can be read: the contrast of every text of a page with what lies behind it (WCAG 2.2, success criterion 1.4.3).

import type { Page } from "playwright-core";

export interface Contrast {
  readonly text: string;
  /** 1 to 21. */
  readonly ratio: number;
}

/** Of texts of one style and background there is one. */
export function contrasts(page: Page): Promise<Contrast[]> {
  return page.evaluate(SCRIPT) as Promise<Contrast[]>;
}

/** Runs in the page. Paper, where nothing has a background of its own. */
const SCRIPT = `(() => {
  const numbers = (colour) => colour.match(/[\\d.]+/g).map(Number);
  const linear = (part) => (part <= 0.04045 * 255 ? part / 255 / 12.92 : ((part / 255 + 0.055) / 1.055) ** 2.4);
  const luminance = ([r, g, b]) => 0.2126 * linear(r) + 0.7152 * linear(g) + 0.0722 * linear(b);
  const behind = (element) => {
    for (let each = element; each !== null; each = each.parentElement) {
      const { backgroundColor } = getComputedStyle(each);
      const [r, g, b, alpha = 1] = numbers(backgroundColor);
      if (alpha === 1) return [r, g, b];
    }
    return [255, 255, 255];
  };
  const found = new Map();
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  for (let node = walker.nextNode(); node !== null; node = walker.nextNode()) {
    const element = node.parentElement;
    if (node.data.trim() === "" || !element.checkVisibility() || element.closest("script, style") !== null) continue;
    const { color } = getComputedStyle(element);
    const [a, b] = [luminance(numbers(color)), luminance(behind(element))];
    const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    found.set(color + behind(element).join(), { text: node.data.trim(), ratio });
  }
  return [...found.values()];
})()`;
