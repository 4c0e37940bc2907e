// Dark or light: as the system says until somebody chooses, which is kept in this browser. Colours of canvases are read
// from the style sheet, so that it alone says them. Called by header.tsx and plot.tsx.

const KEY = "proxy.theme";

export const THEMES = ["auto", "light", "dark"] as const;
export type Theme = (typeof THEMES)[number];

const resolved = new Map<string, string>();
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => resolved.clear());

export function theme(): Theme {
  try {
    const kept = localStorage.getItem(KEY);
    return THEMES.find((each) => each === kept) ?? "auto";
  } catch {
    return "auto"; // this browser keeps nothing
  }
}

export function applyTheme(chosen: Theme): void {
  document.documentElement.dataset.theme = chosen;
  resolved.clear();
  try {
    if (chosen === "auto") localStorage.removeItem(KEY);
    else localStorage.setItem(KEY, chosen);
  } catch {
    // it holds as long as the page is shown
  }
}

/** @param name of a custom property: accent. @returns what canvases take. */
export function colour(name: string): string {
  const known = resolved.get(name);
  if (known !== undefined) return known;
  const probe = document.createElement("i");
  probe.style.color = `var(--${name})`;
  document.body.append(probe);
  const { color } = getComputedStyle(probe);
  probe.remove();
  resolved.set(name, color);
  return color;
}
