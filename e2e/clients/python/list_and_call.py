"""Connects to an MCP server with the official Python SDK, lists its tools and calls one.

Usage: list_and_call.py URL PATH [--tool NAME] [--mode auto|legacy|2026-07-28]

In: the URL of a server (ending in /mcp) and a path to list. Out: one line of JSON on stdout,
{"protocol": ..., "server": ..., "tools": [...], "result": {...}}; exit code 1 when the call failed.
"""

import argparse
import asyncio
import json
import sys

from mcp import Client


async def list_and_call(url: str, path: str, tool: str, mode: str) -> dict:
    async with Client(url, mode=mode, read_timeout_seconds=30) as client:
        tools = await client.list_tools()
        result = await client.call_tool(tool, {"path": path})
        return {
            "protocol": client.protocol_version,
            "server": client.server_info.name if client.server_info else None,
            "tools": [listed.name for listed in tools.tools],
            "result": result.model_dump(mode="json", by_alias=True, exclude_none=True),
        }


def main() -> int:
    parser = argparse.ArgumentParser(description="List the tools of an MCP server and call one.")
    parser.add_argument("url", help="URL of the server, ending in /mcp")
    parser.add_argument("path", help="path to list, for example /data")
    parser.add_argument("--tool", default="list_directory", help="tool to call with {path} (default: list_directory)")
    parser.add_argument("--mode", default="auto", help="auto (default), legacy, or a revision such as 2026-07-28")
    arguments = parser.parse_args()
    answer = asyncio.run(list_and_call(arguments.url, arguments.path, arguments.tool, arguments.mode))
    print(json.dumps(answer))
    return 1 if answer["result"].get("isError") else 0


if __name__ == "__main__":
    sys.exit(main())
