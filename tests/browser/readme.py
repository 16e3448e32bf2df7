"""What the README shows as files, taken out of it and run: its loop, its configuration, its first proposal."""

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

from browser.patient_stack import PatientStack
from patience import PATIENCE_S
from ruamel.yaml import YAML
from stack import CHANNEL

ROOT = Path(__file__).parents[2]
README = ROOT / "README.md"

#: A file in the README: a mark that is not shown, then the block that is.
_FILE = re.compile(r"^<!-- file: (\S+) -->\n```\w+\n(.*?)^```$", re.MULTILINE | re.DOTALL)
#: Where the README says that a gateway listens.
_GATEWAY = "http://127.0.0.1:8080"


def readme_file(name: str) -> str:
    """Return the content of the file *name* in the README. Raises KeyError where there is none."""
    return dict(_FILE.findall(README.read_text(encoding="utf-8")))[name]


class ReadmeStack(PatientStack):
    """A stack on the README's configuration: only its addresses, its ids and who answers for the model are ours."""

    def propose_as_shown(self) -> dict[str, Any]:
        """Run the README's `propose.py` and return the card that its proposal becomes."""
        program = readme_file("propose.py").replace(_GATEWAY, self.gateway())
        environment = {**os.environ, "CI_SECRET": self._source_secret, "NO_PROXY": "127.0.0.1"}
        done = subprocess.run(
            [sys.executable, "-c", program],
            env=environment,
            capture_output=True,
            text=True,
            timeout=PATIENCE_S,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return self.posted("CHG-1042")

    def _write_configuration(self) -> None:
        super()._write_configuration()
        yaml = YAML(typ="safe")
        path = self.home / "loopgate.yaml"
        ours, shown = yaml.load(path.read_text()), yaml.load(readme_file("loopgate.yaml"))
        shown["slack"] = {**ours["slack"], "channels": dict.fromkeys(shown["slack"]["channels"], CHANNEL)}
        shown["people"] = ours["people"]
        shown["providers"]["analyst"] = {"kind": "recorded", "recording": "demo_changes"}
        shown["integrations"]["deployer"]["url"] = ours["integrations"]["deployer"]["url"]
        with path.open("w") as file:
            yaml.dump(shown, file)
        (self.home / "scale.yaml").write_text(readme_file("scale.yaml"))
