// The page of the demo's HTTP backend. It measures a download through the proxy; no other host is contacted.

export const DEMO_PAGE = `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>bun-tunnel demo</title>
<style>
  :root { color-scheme: light dark; --ink: #1b1f24; --paper: #fbfaf8; --line: #d9d5cc; --accent: #b4542a; }
  @media (prefers-color-scheme: dark) { :root { --ink: #e8e4dc; --paper: #17181a; --line: #3a3b3e; --accent: #e88d5d; } }
  * { box-sizing: border-box }
  body { margin: 0; min-height: 100vh; display: grid; place-items: center; background: var(--paper); color: var(--ink);
    font: 17px/1.55 system-ui, sans-serif; }
  main { width: min(40rem, 92vw); padding: 3rem 0; }
  h1 { font-size: 2rem; line-height: 1.2; margin: 0 0 .5rem; letter-spacing: -.02em; }
  .way { display: flex; align-items: center; gap: .75rem; margin: 2rem 0; font: 14px ui-monospace, monospace; }
  .way b { border: 1px solid var(--line); border-radius: .5rem; padding: .6rem .9rem; font-weight: 500; white-space: nowrap; }
  .way i { flex: 1; height: 2px; background: linear-gradient(90deg, var(--line) 50%, transparent 50%) 0 0 / 12px 2px; }
  .busy i { animation: flow .4s linear infinite; background-image: linear-gradient(90deg, var(--accent) 50%, transparent 50%); }
  @keyframes flow { to { background-position: -12px 0 } }
  button { font: inherit; color: var(--paper); background: var(--accent); border: 0; border-radius: .5rem;
    padding: .6rem 1.1rem; cursor: pointer; }
  button:disabled { opacity: .55; cursor: default; }
  button:focus-visible { outline: 3px solid var(--ink); outline-offset: 2px; }
  output { display: block; min-height: 2.6rem; margin-top: 1rem; font-size: 1.5rem; font-variant-numeric: tabular-nums; }
  pre { overflow: auto; border: 1px solid var(--line); border-radius: .5rem; padding: 1rem; font-size: 13px; }
</style>
<main>
  <h1>This page came through the proxy.</h1>
  <p>Your browser connected to the proxy, the proxy connected to a small server behind it, and passed every byte on.</p>
  <div class="way" id="way"><b>browser</b><i></i><b id="proxy">proxy</b><i></i><b>server</b></div>
  <p><button id="go">Download 256 MB through it</button></p>
  <output id="result" aria-live="polite"></output>
  <p>What the server sees of your request:</p>
  <pre id="headers">…</pre>
</main>
<script>
  const id = (name) => document.getElementById(name);
  id("proxy").textContent = "proxy " + location.host;
  fetch("/headers").then((answer) => answer.json()).then((seen) => {
    id("headers").textContent = JSON.stringify(seen, null, 2);
  });
  id("go").onclick = async () => {
    id("go").disabled = true;
    id("way").classList.add("busy");
    const started = performance.now();
    let bytes = 0;
    try {
      const reader = (await fetch("/bytes?n=256MB", { cache: "no-store" })).body.getReader();
      for (let part = await reader.read(); !part.done; part = await reader.read()) {
        bytes += part.value.length;
        const seconds = (performance.now() - started) / 1000;
        id("result").textContent = Math.round(bytes / 2 ** 20) + " MB, " + Math.round(bytes / 2 ** 20 / seconds) + " MB/s";
      }
    } catch (error) {
      id("result").textContent = "The download failed: " + error.message;
    }
    id("way").classList.remove("busy");
    id("go").disabled = false;
  };
</script>
</html>
`;
