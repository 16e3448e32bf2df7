"""
Head limits: uvicorn's HTTP protocol, with an end to what comes around a request's body, and to what nobody reads.

uvicorn 0.54 with httptools waits for a head as long as it is not complete, and keeps all that comes of it: one byte a
minute holds a connection, and an endless header fills memory. So do the fields behind a chunked body (trailers), which
it adds to the request's headers, unseen by any proxy's rules for those. And a request that was answered before its body
was complete holds its connection for as long as something comes of it. Bodies have limits where they are read.
"""

import asyncio
import json

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

#: Bytes the head of a request may have: request line and headers. Proxies in front of us commonly take 8 to 32 kB.
HEAD_MAX = 32 * 1024

#: How long a head may take, from the connection or its first byte on, in seconds.
HEAD_DEADLINE_S = 10.0

#: How long who is answered early may take to read that and to end its request, in seconds. Closed at once, a connection
#: with something unread in it may lose the answer. Source: RFC 9112, section 9.6.
LINGER_S = 2.0

#: How long a connection on which nothing is asked stays open, in seconds, while more than half of those there may be
#: are: rather somebody's next request is sent twice than everybody's refused.
CROWDED_IDLE_S = 5

_MALFORMED = (400, "Bad Request", "malformed", "this is not a request of HTTP/1.1")
_TOO_LARGE = (431, "Request Header Fields Too Large", "too_large", "the head of the request is too large")
_TOO_SLOW = (408, "Request Timeout", "too_slow", "the head of the request did not arrive in time")


class HeadLimits(HttpToolsProtocol):
    """
    Answers 431 to a head of more than `HEAD_MAX` bytes, 408 to one that takes longer than `HEAD_DEADLINE_S`. Where more
    than half of the connections there may be are open, those on which nothing is asked end after `CROWDED_IDLE_S`.

    Around the chunks of a body there may be as much as a head has, and five bytes for each of the body's: a size, with
    its line ends. Trailers are no headers: they are let go.
    """

    linger_s = LINGER_S
    crowded_idle_s = CROWDED_IDLE_S

    _waiting: asyncio.TimerHandle | None = None
    _lingering: asyncio.TimerHandle | None = None
    _is_head_complete = False
    _is_asked = False
    _is_message_complete = True
    _head_bytes = 0
    _around_bytes = 0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin to wait: a connection on which nothing comes is closed, too."""
        super().connection_made(transport)
        self._wait()

    def connection_lost(self, exc: Exception | None) -> None:
        """Wait no longer."""
        self._wait_no_longer()
        self._linger_no_longer()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Count what comes of a head; the piece it begins in may be of the request before, and is not counted."""
        was_complete = self._is_head_complete
        self._around_bytes += len(data) if was_complete else 0
        super().data_received(data)
        if was_complete and self._around_bytes > HEAD_MAX:
            self._refuse(*_TOO_LARGE)
        if not self._is_head_complete and not was_complete:
            self._head_bytes += len(data)
            if self._head_bytes > HEAD_MAX:
                self._refuse(*_TOO_LARGE)

    def on_message_begin(self) -> None:
        """Take note of a head that begins, a pipelined one's as well."""
        super().on_message_begin()
        self._is_head_complete = self._is_asked = self._is_message_complete = False
        if self._waiting is None:
            self._wait()

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take a header, and no trailer: what reads headers goes by those that stood before the body."""
        if not self._is_head_complete:
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """Wait no longer: the head is here."""
        self._is_head_complete, self._head_bytes, self._around_bytes = True, 0, 0
        self._wait_no_longer()
        if len(self.url) + sum(len(name) + len(value) + 4 for name, value in self.headers) > HEAD_MAX:
            self._refuse(*_TOO_LARGE)
            return
        super().on_headers_complete()
        self._is_asked = True

    def on_body(self, body: bytes) -> None:
        """Take a body, unless its head was refused."""
        self._around_bytes -= 6 * len(body)
        if not self.transport.is_closing():
            super().on_body(body)

    def on_message_complete(self) -> None:
        """Take the end of a request, unless its head was refused."""
        self._is_message_complete = True
        self._linger_no_longer()
        if not self.transport.is_closing():
            super().on_message_complete()

    def on_response_complete(self) -> None:
        """Let nobody hold a connection for long who was answered before the end of their request, or in a crowd."""
        is_crowded = self.limit_concurrency is not None and 2 * len(self.connections) > self.limit_concurrency
        idle_s = self.config.timeout_keep_alive
        self.timeout_keep_alive = min(idle_s, self.crowded_idle_s) if is_crowded else idle_s
        super().on_response_complete()
        if self.cycle.response_complete and not self._is_message_complete and not self.transport.is_closing():
            self._lingering = self.loop.call_later(self.linger_s, self.transport.close)

    def send_400_response(self, msg: str) -> None:
        """Refuse what is no request in the form of every other refusal."""
        del msg
        self._refuse(*_MALFORMED)

    def _linger_no_longer(self) -> None:
        if self._lingering is not None:
            self._lingering.cancel()
            self._lingering = None

    def _wait(self) -> None:
        self._wait_no_longer()
        self._waiting = self.loop.call_later(HEAD_DEADLINE_S, self._refuse, *_TOO_SLOW)

    def _wait_no_longer(self) -> None:
        if self._waiting is not None:
            self._waiting.cancel()
            self._waiting = None

    def _refuse(self, status: int, phrase: str, code: str, error: str) -> None:
        self._wait_no_longer()
        if self.transport.is_closing():
            return
        if self._is_asked and self.cycle.response_started:
            # It has an answer, or a part of one: another would be taken for that to the next request.
            self.transport.close()
            return
        body = json.dumps({"error": error, "code": code})
        head = (
            f"HTTP/1.1 {status} {phrase}\r\ncontent-type: application/json\r\ncontent-length: {len(body)}\r\n"
            "connection: close\r\n\r\n"
        )
        self.transport.write((head + body).encode())
        self.transport.close()
