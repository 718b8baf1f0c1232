// Reads what a server offers beside tools, with the official TypeScript SDK 2.x: the prompts and resources of mcp-demo.
//
// Usage: offer.cjs MODE URL   (NODE_PATH is where the packages are)
// In: legacy or auto. Out: one line of JSON on stdout with what the SDK saw; exit code 1 when it saw a fault.
"use strict";
const { Client, StreamableHTTPClientTransport } = require("@modelcontextprotocol/client");

async function main([mode, url]) {
  const client = new Client({ name: "mcp-eks-suite", version: "1" }, { versionNegotiation: { mode } });
  await client.connect(new StreamableHTTPClientTransport(new URL(url)));
  const seen = {
    protocol: client.getNegotiatedProtocolVersion(),
    prompts: (await client.listPrompts()).prompts.map((prompt) => prompt.name),
    messages: (await client.getPrompt({ name: "wait_for", arguments: { number: "3" } })).messages,
    completion: (
      await client.complete({ ref: { type: "ref/prompt", name: "wait_for" }, argument: { name: "unit", value: "m" } })
    ).completion.values,
    resources: (await client.listResources()).resources.map((resource) => resource.uri),
    templates: (await client.listResourceTemplates()).resourceTemplates.map((template) => template.uriTemplate),
    contents: (await client.readResource({ uri: "demo://pixels/light%20blue" })).contents,
    missing: await client.readResource({ uri: "demo://pixels/green" }).catch((error) => error.message),
  };
  await client.close();
  console.log(JSON.stringify(seen));
}

main(process.argv.slice(2)).then(
  () => process.exit(0),
  (error) => {
    console.error(error);
    process.exit(1);
  },
);
