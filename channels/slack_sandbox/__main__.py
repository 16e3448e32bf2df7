"""`python -m channels.slack_sandbox --config FILE.json`: run one sandbox on loopback."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from pydantic import ValidationError

from channels.slack_sandbox.app import create_app
from channels.slack_sandbox.config import SandboxConfig, is_loopback
from channels.slack_sandbox.server import serve


def main(arguments: Sequence[str] | None = None) -> int:
    """Read the configuration and serve; the exit code is 2 when something asked for cannot be done."""
    parser = argparse.ArgumentParser(prog="python -m channels.slack_sandbox", description=__doc__)
    parser.add_argument("--host", default="127.0.0.1", help="a loopback address (default: %(default)s)")
    parser.add_argument("--port", type=int, default=0, help="0, the default, takes a free one")
    parser.add_argument("--config", type=Path, required=True, help="the workspace, as JSON")
    parser.add_argument("--ready-file", type=Path, help="written when listening: {url, pid}")
    options = parser.parse_args(arguments)
    if not is_loopback(options.host):
        return _refuse(f"{options.host!r} is not a loopback address; use 127.0.0.1, ::1 or localhost")
    try:
        config = SandboxConfig.model_validate_json(options.config.read_bytes())
    except OSError as error:
        return _refuse(f"{options.config}: {error.strerror}")
    except ValidationError as error:
        return _refuse(f"{options.config}: {error}")
    try:
        serve(create_app(config), options.host, options.port, options.ready_file)
    except OSError as error:
        return _refuse(f"cannot listen on {options.host}:{options.port}: {error.strerror}; try --port 0")
    return 0


def _refuse(why: str) -> int:
    print(why, file=sys.stderr)
    return 2


if __name__ == "__main__":
    sys.exit(main())
