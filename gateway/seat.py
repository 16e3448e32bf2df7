"""A seat: what a pool hands each process in it that answers at the pool's address."""

import os
import socket
from dataclasses import dataclass
from typing import Self

from gateway.tallies import Tallies


@dataclass(frozen=True, slots=True)
class Seat:
    """The descriptors of the socket to accept at and of the shared tallies, the number of places, and which is ours."""

    listener: int
    memory: int
    places: int
    place: int

    def __str__(self) -> str:
        """The form in which it is handed over."""
        return ":".join(map(str, (self.listener, self.memory, self.places, self.place)))

    @classmethod
    def parse(cls, text: str) -> Self:
        """Return the seat that *text* stands for. Raises ValueError."""
        listener, memory, places, place = map(int, text.split(":"))
        return cls(listener, memory, places, place)

    def take(self) -> tuple[socket.socket, Tallies]:
        """Return the socket and the tallies; no process started from here inherits them."""
        for descriptor in (self.listener, self.memory):
            os.set_inheritable(descriptor, False)
        return socket.socket(fileno=self.listener), Tallies(self.memory, places=self.places, place=self.place)
