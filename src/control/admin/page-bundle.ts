// Makes the dashboard of its sources: script and style, each one text. Where the proxy runs from its sources this happens
// when the page is first asked for; scripts/build.ts puts what it returns in the place of this file into an executable,
// which has no sources and no bundler's work to do. Called by page.ts and scripts/build.ts.

import { messageOf, ProxyError } from "../../shared/errors.ts";

export interface PageBundle {
  readonly script: string;
  readonly style: string;
}

/** Some 40 ms, most of them on other threads. @throws ProxyError ERR_STATE if the sources cannot be built. */
export async function bundlePage(): Promise<PageBundle> {
  try {
    return { script: await bundleScript(), style: await bundleStyle() };
  } catch (cause) {
    throw new ProxyError("ERR_STATE", `the dashboard cannot be built: ${messageOf(cause)}`, {
      cause,
      cure: "Install the packages again: bun install",
    });
  }
}

async function bundleScript(): Promise<string> {
  const { outputs } = await Bun.build({
    entrypoints: [Bun.fileURLToPath(new URL("../../dashboard/main.tsx", import.meta.url))],
    target: "browser",
    format: "esm",
    minify: true,
    define: { "process.env.NODE_ENV": '"production"' },
    jsx: { runtime: "automatic", importSource: "preact", development: false },
  });
  const script = await outputs[0]!.text();
  return script.replaceAll("</script", "<\\/script"); // it stands in a document
}

async function bundleStyle(): Promise<string> {
  const files = [
    Bun.fileURLToPath(import.meta.resolve("uplot/dist/uPlot.min.css")),
    Bun.fileURLToPath(new URL("../../dashboard/style.css", import.meta.url)),
  ];
  const texts = await Promise.all(files.map((path) => Bun.file(path).text()));
  return texts
    .join("\n")
    .replaceAll(/\/\*[^*]*\*\//g, "")
    .replaceAll(/\s*\n\s*/g, "\n");
}
