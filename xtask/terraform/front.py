"""What stands before an emulator as a load balancer with TLS would: it says that requests came by https.

Policies that deny what comes without TLS are enforced by MiniStack, and must not deny everything here. In: the port behind it.
Out: a port on 127.0.0.1 that ends with this program. Each connection carries one request.
"""

import asyncio
import threading

ADDED = b"Connection: close\r\nX-Forwarded-Proto: https\r\n"


class Front:
    def __init__(self, behind):
        self.behind, self.port = behind, None
        # The loop refers to tasks weakly: one that nothing else holds may be collected while it waits.
        self.carrying = set()
        self.ready = threading.Event()
        threading.Thread(target=lambda: asyncio.run(self.serve()), daemon=True).start()
        if not self.ready.wait(30):
            raise RuntimeError("the front of the emulator did not start")

    async def serve(self):
        server = await asyncio.start_server(self.carry, "127.0.0.1", 0, limit=1 << 20)
        self.port = server.sockets[0].getsockname()[1]
        self.ready.set()
        await server.serve_forever()

    async def carry(self, reader, writer):
        self.carrying.add(this := asyncio.current_task())
        try:
            first, *fields = (await reader.readuntil(b"\r\n\r\n"))[:-4].split(b"\r\n")
            kept = [it for it in fields if not it.lower().startswith((b"connection:", b"x-forwarded-proto:"))]
            behind, before = await asyncio.open_connection("127.0.0.1", self.behind)
            before.write(b"\r\n".join([first, *kept]) + b"\r\n" + ADDED + b"\r\n")
            body = asyncio.create_task(copy(reader, before))
            await copy(behind, writer)
            body.cancel()
            before.close()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()
            self.carrying.discard(this)


async def copy(source, target):
    while data := await source.read(1 << 16):
        target.write(data)
        await target.drain()
