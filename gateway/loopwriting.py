"""Loop files written: a definition as the text of a file that reads back as an equal one."""

import json
from io import StringIO
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.scalarstring import DoubleQuotedScalarString

from gateway.marked.yaml_text import plain
from loops.definition import LoopDefinition


def dump_yaml(definition: LoopDefinition) -> str:
    """Return *definition* as YAML in the newer spelling."""
    out = StringIO()
    yaml = YAML()
    yaml.width = 1_000_000  # ruamel folds keys as it folds texts, and a folded key cannot be read back
    yaml.indent(mapping=2, sequence=4, offset=2)
    yaml.dump(_quoted_where_needed(definition.as_json()), out)
    return out.getvalue()


def dump_json(definition: LoopDefinition) -> str:
    """Return *definition* as indented JSON in the newer spelling."""
    return json.dumps(definition.as_json(), ensure_ascii=False, indent=2) + "\n"


def _quoted_where_needed(value: Any) -> Any:
    match value:
        case str():
            # Text that reads otherwise unquoted, or has line breaks YAML would normalise, is quoted.
            return value if plain(value) == value and value.isprintable() else DoubleQuotedScalarString(value)
        case dict():
            return {_quoted_where_needed(key): _quoted_where_needed(item) for key, item in value.items()}
        case list():
            return [_quoted_where_needed(item) for item in value]
        case _:
            return value
