"""
A balancer in front of the gateways, as a process of its own: what Slack's request URL leads to.

``python balancer.py port target target...``: each connection goes to any target that takes it, and ends with it.
"""

import asyncio
import contextlib
import random
import sys


async def _carry(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
    try:
        while data := await source.read(65_536):
            sink.write(data)
            await sink.drain()
    except OSError:
        pass
    finally:
        sink.close()


async def main(port: int, targets: list[int]) -> None:
    """Balance until killed."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for target in random.sample(targets, len(targets)):
            with contextlib.suppress(OSError):
                behind = await asyncio.open_connection("127.0.0.1", target)
                break
        else:
            writer.close()
            return
        await asyncio.gather(_carry(reader, behind[1]), _carry(behind[0], writer))

    async with await asyncio.start_server(serve, "127.0.0.1", port) as server:
        await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]), [int(port) for port in sys.argv[2:]]))
