// A page in a real browser, served from another origin, connects to an MCP server with the official TypeScript SDK 2.x.
//
// Usage: page.cjs ORIGIN MODE TOOL ARGUMENTS URL   (NODE_PATH is where the packages are)
// In: the origin of the page (the browser resolves its name to this machine), what to call, where. Out: one line of
// JSON on stdout: {"origin", "protocol", "server", "tools", "result"}, or {"origin", "error"} when the page could not.
"use strict";
const { createReadStream } = require("node:fs");
const { mkdtemp, rm } = require("node:fs/promises");
const { createServer } = require("node:http");
const { tmpdir } = require("node:os");
const { extname, join, normalize } = require("node:path");
const { chromium } = require("playwright-core");

const CHROMIUM = "/usr/bin/chromium";
const TYPES = { ".html": "text/html", ".js": "text/javascript", ".mjs": "text/javascript" };
// Without the later ones Chromium talks to its maker's hosts, at every start.
const FLAGS = [
  "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
  "--disable-component-update", "--disable-sync",
];

function serve(port) {
  const server = createServer((request, response) => {
    const path = normalize(new URL(request.url, "http://page").pathname);
    const packages = "/node_modules/";
    const file = path.startsWith(packages) ? join(process.env.NODE_PATH, path.slice(packages.length)) : null;
    const type = TYPES[extname(path)] ?? "text/html";
    createReadStream(file ?? join(__dirname, "page.html"))
      .on("error", () => response.writeHead(404).end())
      .once("open", () => response.writeHead(200, { "content-type": type }))
      .pipe(response);
  });
  return new Promise((resolve) => server.listen(port, "127.0.0.1", () => resolve(server)));
}

async function main([origin, mode, tool, given, url]) {
  const { hostname, port } = new URL(origin);
  const server = await serve(Number(port));
  const profile = await mkdtemp(join(tmpdir(), "mcp-eks-page-"));
  const args = [...FLAGS, `--host-resolver-rules=MAP ${hostname} 127.0.0.1`];
  const browser = await chromium.launchPersistentContext(profile, { executablePath: CHROMIUM, headless: true, args });
  try {
    const page = await browser.newPage();
    page.on("pageerror", (error) => console.error("page:", error.message));
    page.on("console", (message) => console.error("page:", message.text()));
    await page.goto(`${origin}/`);
    await page.waitForFunction(() => document.title === "ready", undefined, { timeout: 60_000 });
    const answer = await page.evaluate(
      async ([mode, tool, given, url]) => {
        try {
          return await window.listAndCall(mode, tool, given, url);
        } catch (error) {
          return { error: String(error) };
        }
      },
      [mode, tool, JSON.parse(given), url],
    );
    console.log(JSON.stringify({ origin, ...answer }));
  } finally {
    await browser.close();
    server.close();
    await rm(profile, { recursive: true, force: true });
  }
}

main(process.argv.slice(2)).then(
  () => process.exit(0),
  (error) => {
    console.error(error);
    process.exit(1);
  },
);
