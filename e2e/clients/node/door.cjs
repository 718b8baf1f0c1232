// Calls a tool behind a door that wants a token, and that may ask a person first, with the official TypeScript SDK 2.x.
//
// Usage: door.cjs MODE URL TOOL ARGUMENTS SAYS ISSUER CLIENT SECRET SCOPE   (NODE_PATH is where the packages are)
// In: legacy or auto; what the person says when asked, accept or decline; the one issuer the secret may be sent to, or - for
// a client that has none. Where the issuer is, the SDK finds out by itself: from the challenge, the resource's metadata and
// the issuer's. Out: one line of JSON on stdout, {"tools", "asked", "result"} or {"error"}.
"use strict";
const { Client, StreamableHTTPClientTransport, ClientCredentialsProvider } = require("@modelcontextprotocol/client");

async function main([mode, url, tool, given, says, issuer, clientId, clientSecret, scope]) {
  const authProvider =
    issuer === "-" ? undefined : new ClientCredentialsProvider({ clientId, clientSecret, scope, expectedIssuer: issuer });
  const client = new Client(
    { name: "mcp-eks-suite", version: "1" },
    { versionNegotiation: { mode }, capabilities: { elicitation: {} } },
  );
  const asked = [];
  client.setRequestHandler("elicitation/create", ({ params }) => {
    asked.push(params.message);
    return says === "accept" ? { action: "accept", content: { agree: true } } : { action: "decline" };
  });
  await client.connect(new StreamableHTTPClientTransport(new URL(url), { authProvider }));
  const { tools } = await client.listTools();
  const call = (more) => client.callTool({ name: tool, arguments: { ...JSON.parse(given), ...more } });
  let result = await call({});
  // What a model would do: show the question, and repeat the call with the token if the person agrees.
  const needed = result.structuredContent?.consent_needed;
  if (needed) {
    asked.push(result.content[0].text);
    result = says === "accept" ? await call({ consent_token: needed.consent_token }) : result;
  }
  await client.close();
  return { tools: tools.map((listed) => listed.name), asked, result };
}

main(process.argv.slice(2)).then(
  (answer) => console.log(JSON.stringify(answer)),
  (error) => console.log(JSON.stringify({ error: String(error) })),
);
