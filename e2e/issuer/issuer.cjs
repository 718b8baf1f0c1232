// A real OAuth issuer on this machine: panva's oidc-provider, for whatever resource a client names.
//
// Usage: issuer.cjs SCOPES [ADDRESS CERTIFICATE KEY]   (NODE_PATH is where the packages are)
// In: the scopes there are, with blanks between them; an address other than 127.0.0.1, with TLS by these files. Out: one line on stdout with its address; then it serves until it is
// ended. Its clients are `agent`, with all scopes, and `reader`, with the first; the secret of each is its name and -secret.
// Tokens are got by client credentials.
"use strict";
const { readFileSync } = require("node:fs");
const http = require("node:http");
const https = require("node:https");
const { Provider } = require("oidc-provider");

const [scope, address, certificate, key] = process.argv.slice(2);
const client = (id, scope) => ({
  client_id: id,
  client_secret: `${id}-secret`,
  grant_types: ["client_credentials"],
  redirect_uris: [],
  response_types: [],
  scope,
});
const server = address
  ? https.createServer({ cert: readFileSync(certificate), key: readFileSync(key) })
  : http.createServer();
server.listen(0, address ?? "127.0.0.1", () => {
  const { address: host, port } = server.address();
  const issuer = `${address ? "https" : "http"}://${host}:${port}`;
  const provider = new Provider(issuer, {
    clients: [client("agent", scope), client("reader", scope.split(" ")[0])],
    scopes: scope.split(" "),
    features: {
      clientCredentials: { enabled: true },
      devInteractions: { enabled: false },
      resourceIndicators: {
        enabled: true,
        getResourceServerInfo: (_, resource) => ({
          scope,
          audience: resource,
          accessTokenFormat: "jwt",
          accessTokenTTL: 120,
          jwt: { sign: { alg: "RS256" } },
        }),
      },
    },
  });
  server.on("request", provider.callback());
  console.log(issuer);
});
