// Connects to an MCP server with the official TypeScript SDK 1.x, lists its tools and calls one.
//
// Usage: v1.cjs TOOL ARGUMENTS TARGET...   (NODE_PATH is where the packages are)
// In: the URL of a server, or the command that starts one over stdio. Out: one line of JSON on stdout,
// {"protocol", "server", "tools", "result"}; exit code 1 when the call failed.
"use strict";
const { Client } = require("@modelcontextprotocol/sdk/client/index.js");
const { StdioClientTransport } = require("@modelcontextprotocol/sdk/client/stdio.js");
const { StreamableHTTPClientTransport } = require("@modelcontextprotocol/sdk/client/streamableHttp.js");

async function main([tool, given, ...target]) {
  const client = new Client({ name: "mcp-eks-suite", version: "1" });
  let protocol;
  const transport = target[0].startsWith("http")
    ? new StreamableHTTPClientTransport(new URL(target[0]))
    : new StdioClientTransport({ command: target[0], args: target.slice(1) });
  transport.setProtocolVersion = ((set) => (version) => {
    protocol = version;
    set?.(version);
  })(transport.setProtocolVersion?.bind(transport));
  await client.connect(transport);
  const { tools } = await client.listTools();
  const result = await client.callTool({ name: tool, arguments: JSON.parse(given) });
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
