"""An echo tool on the official Python SDK 2.x, stateless and answering in JSON, as fast as its settings make it.

Usage: v2.py PORT
"""

import sys

from mcp.server import MCPServer

server = MCPServer("bench", log_level="ERROR")


@server.tool()
def echo(text: str) -> str:
    """Answers with its argument"""
    return text


server.run(transport="streamable-http", host="127.0.0.1", port=int(sys.argv[1]), stateless_http=True, json_response=True)
