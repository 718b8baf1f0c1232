"""Connects to an MCP server with the official Python SDK 2.x, lists its tools and calls one.

Usage: list_and_call.py --tool NAME [--arguments JSON] [--mode auto|legacy|2026-07-28] TARGET...

In: the URL of a server (ending in /mcp), or the command that starts one over stdio. Out: one line of JSON on stdout,
{"protocol": ..., "server": ..., "tools": [...], "result": {...}}; exit code 1 when the call failed.
"""

import argparse
import asyncio
import json
import sys

from mcp import Client, StdioServerParameters


def target(words: list[str]) -> str | StdioServerParameters:
    if words[0].startswith("http"):
        return words[0]
    return StdioServerParameters(command=words[0], args=words[1:])


async def list_and_call(asked: argparse.Namespace) -> dict:
    async with Client(target(asked.target), mode=asked.mode, read_timeout_seconds=60) as client:
        tools = await client.list_tools()
        result = await client.call_tool(asked.tool, json.loads(asked.arguments))
        return {
            "protocol": client.protocol_version,
            "server": client.server_info.name if client.server_info else None,
            "tools": [listed.name for listed in tools.tools],
            "result": result.model_dump(mode="json", by_alias=True, exclude_none=True),
        }


def main() -> int:
    parser = argparse.ArgumentParser(description="List the tools of an MCP server and call one.")
    parser.add_argument("--tool", required=True, help="tool to call")
    parser.add_argument("--arguments", default="{}", help="its arguments as JSON")
    parser.add_argument("--mode", default="auto", help="auto (default), legacy, or a revision such as 2026-07-28")
    parser.add_argument("target", nargs=argparse.REMAINDER, help="URL ending in /mcp, or a command line")
    answer = asyncio.run(list_and_call(parser.parse_args()))
    print(json.dumps(answer))
    return 1 if answer["result"].get("isError") else 0


if __name__ == "__main__":
    sys.exit(main())
