"""Bundles as files: written whole or not at all, read line by line and bounded."""

import os
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import BinaryIO
from urllib.parse import quote

from gateway.audit import AuditedLedger, DoesNotHold
from loops.errors import Rejected
from loops.ledger import Broken

#: The ending by which a file is taken for a bundle where there is none by that name yet.
SUFFIX = ".jsonl"

#: Bytes one line may have, far over anything evidence allows; and a whole bundle.
LINE_MAX = 16 * 1024 * 1024
BUNDLE_MAX = 512 * 1024 * 1024


def is_bundle(name: str) -> bool:
    """Return whether *name* means a file, not a business object: one that is there, or is called like one."""
    return name.endswith(SUFFIX) or Path(name).is_file()


def place_for(audited: AuditedLedger, wanted: Path | None) -> Path:
    """Return the file a bundle goes to: *wanted* itself, or one named after the instance in that directory."""
    name = quote(audited.instance.instance_id, safe="")[:100] + SUFFIX
    if wanted is None:
        return Path(name)
    return wanted / name if wanted.is_dir() else wanted


def check_exportable(audited: AuditedLedger) -> None:
    """Raise DoesNotHold for a ledger that does not hold: a bundle would only say so more quietly."""
    if isinstance(audited.verdict, Broken):
        broken = audited.verdict
        raise DoesNotHold(f"the ledger is broken at {broken.sequence} ({broken.reason}); it is not exported")


def write_bundle(path: Path, lines: Iterable[bytes], *, overwrite: bool = False) -> None:
    """
    Write *lines* to *path*, readable by its owner only, whole or not at all.

    Raises:
        Rejected: If there is such a file already and *overwrite* is not set.
        OSError: If it cannot be written.
    """
    handle, beside = tempfile.mkstemp(prefix=".loopgate-", suffix=SUFFIX, dir=path.parent)
    try:
        with os.fdopen(handle, "wb") as out:
            out.writelines(lines)
            out.flush()
            os.fsync(out.fileno())
        if overwrite:
            Path(beside).replace(path)
        else:
            # Unlike a look before, a link fails where a file has come to be meanwhile.
            os.link(beside, path)
    except FileExistsError as error:
        raise Rejected(f"{path} is there already; --force writes over it") from error
    finally:
        Path(beside).unlink(missing_ok=True)


def read_bundle(path: Path) -> Iterator[bytes]:
    """
    Yield the lines of the bundle at *path*, without their line ends.

    Raises:
        Rejected: If this is no file, is too large, or has a line without an end or too long to be one.
        OSError: If it cannot be read.
    """
    if not path.is_file():
        raise Rejected(f"{path} is not a file")
    if path.stat().st_size > BUNDLE_MAX:
        raise Rejected(f"{path} has more than {BUNDLE_MAX // 2**20} MiB; a bundle of ours has not")
    with path.open("rb") as file:
        yield from _lines(path, file)


def _lines(path: Path, file: BinaryIO) -> Iterator[bytes]:
    number = 0
    while line := file.readline(LINE_MAX + 1):
        number += 1
        if not line.endswith(b"\n"):
            raise Rejected(f"{path}:{number}: the line has no end; was the file cut off?")
        yield line[:-1]
