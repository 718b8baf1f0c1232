// Connects to an MCP server with the official TypeScript SDK 2.x, lists its tools and calls one.
//
// Usage: v2.cjs MODE TOOL ARGUMENTS TARGET...   (NODE_PATH is where the packages are)
// In: legacy, auto or a revision; the URL of a server, or the command that starts one over stdio. Out: one line of JSON on
// stdout, {"protocol", "server", "tools", "result"}; exit code 1 when the call failed.
"use strict";
const { Client, StreamableHTTPClientTransport } = require("@modelcontextprotocol/client");
const { StdioClientTransport } = require("@modelcontextprotocol/client/stdio");

async function main([mode, tool, given, ...target]) {
  const versionNegotiation = { mode: ["legacy", "auto"].includes(mode) ? mode : { pin: mode } };
  const client = new Client({ name: "mcp-eks-suite", version: "1" }, { versionNegotiation });
  const transport = target[0].startsWith("http")
    ? new StreamableHTTPClientTransport(new URL(target[0]))
    : new StdioClientTransport({ command: target[0], args: target.slice(1) });
  await client.connect(transport);
  const { tools } = await client.listTools();
  const result = await client.callTool({ name: tool, arguments: JSON.parse(given) });
  const protocol = client.getNegotiatedProtocolVersion();
  const server = client.getServerVersion().name;
  await client.close();
  console.log(JSON.stringify({ protocol, server, tools: tools.map((listed) => listed.name), result }));
  return result.isError ? 1 : 0;
}

main(process.argv.slice(2)).then(
  (code) => process.exit(code),
  (error) => {
    console.error(error);
    process.exit(1);
  },
);
