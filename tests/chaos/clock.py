"""Clocks that jump: each gateway and worker reads the machine's through a file that says how far ahead it is."""

import shutil
import struct
import subprocess
from pathlib import Path


class Clocks:
    """One clock per process name, in *home*. Without a C compiler there are none, and nothing jumps."""

    def __init__(self, home: Path) -> None:
        self._home = home
        self._library = _compiled(home)

    @property
    def can_jump(self) -> bool:
        """Whether clocks can be made to jump on this machine."""
        return self._library is not None

    def environment(self, name: str) -> dict[str, str]:
        """Return what the process *name* must be started with."""
        if self._library is None:
            return {}
        if not self._file(name).exists():
            self.put_ahead(name, 0)
        return {"LD_PRELOAD": str(self._library), "CHAOS_CLOCK": str(self._file(name))}

    def put_ahead(self, name: str, seconds: int) -> None:
        """Let the clock of *name* be *seconds* ahead of the machine's, from now on."""
        with self._file(name).open("r+b" if self._file(name).exists() else "wb") as file:
            file.write(struct.pack("=q", seconds))

    def _file(self, name: str) -> Path:
        return self._home / f"{name}.clock"


def _compiled(home: Path) -> Path | None:
    compiler = shutil.which("cc")
    if compiler is None:
        return None
    library = home / "clock.so"
    source = Path(__file__).with_name("clock.c")
    made = subprocess.run([compiler, "-shared", "-fPIC", "-O2", "-o", library, source, "-ldl"], check=False)
    return library if made.returncode == 0 else None
