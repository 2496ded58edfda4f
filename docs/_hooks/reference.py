"""Fill the reference pages from the code when MkDocs builds them.

A line `<!-- generated: NAME -->` is replaced by the section of that name.
"""

import re
from typing import Any

from catalog import exceptions_section, schema_section, topics_section
from commands import commands_section, settings_section
from measured import benchmark_section
from mkdocs.exceptions import PluginError

_SECTIONS = {
    "benchmark": benchmark_section,
    "commands": commands_section,
    "settings": settings_section,
    "topics": topics_section,
    "schema": schema_section,
    "exceptions": exceptions_section,
}
_MARKER = re.compile(r"^<!-- generated: ([\w-]+) -->$", re.MULTILINE)


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Return a page with its generated sections.

    Raises:
        PluginError: No section has the name of a marker.
    """

    def section(match: re.Match[str]) -> str:
        if match[1] not in _SECTIONS:
            raise PluginError(f"no generated section is called {match[1]!r}")
        return _SECTIONS[match[1]]()

    return _MARKER.sub(section, markdown)
