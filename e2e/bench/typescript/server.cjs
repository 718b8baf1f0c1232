// An echo tool on the official TypeScript SDK 2.x, stateless and answering in JSON, on node:http without a framework, as its
// README shows it.
//
// Usage: server.cjs PORT   (NODE_PATH is where the packages are)
"use strict";
const { createServer } = require("node:http");
const {
  NodeStreamableHTTPServerTransport, localhostHostValidation, localhostOriginValidation,
} = require("@modelcontextprotocol/node");
const { McpServer } = require("@modelcontextprotocol/server");
const z = require("zod/v4");

const hostIsFine = localhostHostValidation();
const originIsFine = localhostOriginValidation();
const inputSchema = z.object({ text: z.string() });

createServer(async (request, response) => {
  if (!hostIsFine(request, response) || !originIsFine(request, response)) return;
  const server = new McpServer({ name: "bench", version: "1" });
  server.registerTool("echo", { description: "Answers with its argument", inputSchema }, async ({ text }) => ({
    content: [{ type: "text", text }],
  }));
  const transport = new NodeStreamableHTTPServerTransport({ sessionIdGenerator: undefined, enableJsonResponse: true });
  await server.connect(transport);
  await transport.handleRequest(request, response);
}).listen(Number(process.argv[2]), "127.0.0.1");
