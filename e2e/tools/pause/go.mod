module mcp-eks.dev/e2e/tools/pause

go 1.26.0
