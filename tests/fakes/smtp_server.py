"""A real SMTP server on a free port, which keeps what it gets."""

from __future__ import annotations

import asyncio
import email
import email.policy
import queue
import threading
from dataclasses import dataclass
from email.message import EmailMessage
from typing import Self


@dataclass(frozen=True)
class Letter:
    """What came in: from whom and to whom by the envelope, and the letter itself."""

    sender: str
    to: str
    message: EmailMessage

    @property
    def text(self) -> str:
        """The words of the letter."""
        return str(self.message.get_content())


class SmtpServer:
    """Accepts letters between `with` and its end; with `refuses` it says no to every recipient."""

    def __init__(self, *, refuses: bool = False) -> None:
        self.refuses = refuses
        self.port = 0
        self._letters: queue.Queue[Letter] = queue.Queue()
        self._ready = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve()), daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        assert self._ready.wait(10), "the SMTP server did not start"
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._end.set)
        self._thread.join(10)

    @property
    def url(self) -> str:
        """What SMTP_URL has to be."""
        return f"smtp://127.0.0.1:{self.port}"

    def letter(self, timeout: float = 10) -> Letter:
        """Return the next letter, waiting for it; raises queue.Empty."""
        return self._letters.get(timeout=timeout)

    def nothing_more(self) -> bool:
        """Tell whether no letter waits."""
        return self._letters.empty()

    async def _serve(self) -> None:
        self._loop, self._end = asyncio.get_running_loop(), asyncio.Event()
        server = await asyncio.start_server(self._talk, "127.0.0.1", 0)
        self.port = server.sockets[0].getsockname()[1]
        self._ready.set()
        async with server:
            await self._end.wait()

    async def _talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        sender = to = ""
        writer.write(b"220 here\r\n")
        while line := (await reader.readline()).decode().strip():
            verb, answer = line.upper(), b"250 ok"
            if verb.startswith("MAIL FROM:"):
                sender = line[10:].split(">")[0].strip("<> ")
            elif verb.startswith("RCPT TO:"):
                to = line[8:].split(">")[0].strip("<> ")
                answer = b"550 nobody of that name" if self.refuses else answer
            elif verb == "DATA":
                writer.write(b"354 go on\r\n")
                data = await reader.readuntil(b"\r\n.\r\n")
                data = data[:-3].replace(b"\r\n..", b"\r\n.")
                message = email.message_from_bytes(data, policy=email.policy.default)
                assert isinstance(message, EmailMessage)
                self._letters.put(Letter(sender, to, message))
            elif verb == "QUIT":
                answer = b"221 bye"
            writer.write(answer + b"\r\n")
            if verb == "QUIT":
                break
        writer.close()
