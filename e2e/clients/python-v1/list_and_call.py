"""Connects to an MCP server with the official Python SDK 1.x, lists its tools and calls one.

Usage: list_and_call.py --tool NAME [--arguments JSON] TARGET...

In: the URL of a server (ending in /mcp), or the command that starts one over stdio. Out: one line of JSON on stdout,
{"protocol": ..., "server": ..., "tools": [...], "result": {...}}; exit code 1 when the call failed. This SDK knows the
revisions with `initialize` alone.
"""

import argparse
import asyncio
import json
import sys
from contextlib import asynccontextmanager
from datetime import timedelta

from mcp import ClientSession, StdioServerParameters
from mcp.client.stdio import stdio_client
from mcp.client.streamable_http import streamable_http_client


@asynccontextmanager
async def streams(words: list[str]):
    if words[0].startswith("http"):
        async with streamable_http_client(words[0]) as (reader, writer, _session):
            yield reader, writer
    else:
        async with stdio_client(StdioServerParameters(command=words[0], args=words[1:])) as (reader, writer):
            yield reader, writer


async def list_and_call(asked: argparse.Namespace) -> dict:
    async with streams(asked.target) as (reader, writer):
        async with ClientSession(reader, writer, read_timeout_seconds=timedelta(seconds=60)) as session:
            begun = await session.initialize()
            tools = await session.list_tools()
            result = await session.call_tool(asked.tool, json.loads(asked.arguments))
            return {
                "protocol": begun.protocolVersion,
                "server": begun.serverInfo.name,
                "tools": [listed.name for listed in tools.tools],
                "result": result.model_dump(mode="json", by_alias=True, exclude_none=True),
            }


def main() -> int:
    parser = argparse.ArgumentParser(description="List the tools of an MCP server and call one.")
    parser.add_argument("--tool", required=True, help="tool to call")
    parser.add_argument("--arguments", default="{}", help="its arguments as JSON")
    parser.add_argument("target", nargs=argparse.REMAINDER, help="URL ending in /mcp, or a command line")
    answer = asyncio.run(list_and_call(parser.parse_args()))
    print(json.dumps(answer))
    return 1 if answer["result"].get("isError") else 0


if __name__ == "__main__":
    sys.exit(main())
