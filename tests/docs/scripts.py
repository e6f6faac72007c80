"""Whether JavaScript is JavaScript: by node, or by Chromium where there is none."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path

_SCRIPT = re.compile(r"<script>(.*?)</script>", re.DOTALL)
_ASK = """<pre></pre><script>
try { new Function(%s); document.querySelector("pre").textContent = "It is fine"; }
catch (error) { document.querySelector("pre").textContent = String(error); }
</script>"""


def of(html: str) -> list[str]:
    """The scripts that are written into a page."""
    return _SCRIPT.findall(html)


def check(script: str, folder: Path) -> None:
    """Raise when no browser could read ``script``."""
    node = shutil.which("node")
    problem = _by_node(node, script) if node else _by_chromium(script, folder)
    assert not problem, f"{problem}\n{script}"


def _by_node(node: str, script: str) -> str:
    source = f"new Function({json.dumps(script)})"
    return _output([node, "--eval", source])


def _by_chromium(script: str, folder: Path) -> str:
    page = folder / "ask.html"
    page.write_text(_ASK % json.dumps(script).replace("</", "<\\/"))
    program = shutil.which("chromium")
    assert program, "JavaScript needs node or chromium: apt-get install chromium, or make test"
    shown = _output([program, "--headless", "--no-sandbox", "--dump-dom", page.as_uri()])
    return "" if "<pre>It is fine</pre>" in shown else shown


def _output(command: list[str]) -> str:
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    return done.stdout if command[-1].startswith("file:") else done.stderr
