#!/usr/bin/env python3
"""Bring the scripts of others that workers/package.json pins to workers/static/vendor/.

It fetches each package from the npm registry (that of npm_config_registry, if set), compares it
with its sha512, and takes out the files that are listed, licence included. What is there already is
left alone, so that nothing is fetched twice and no network is needed then. It needs no npm.

To take another release, change its version under "dependencies"; the tool then says the sha512 of
what it got, for "integrity" under "assets".
"""

from __future__ import annotations

import argparse
import base64
import fcntl
import hashlib
import http.client
import io
import json
import os
import shutil
import sys
import tarfile
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import NamedTuple

WORKERS = Path(__file__).resolve().parents[1] / "workers"
REGISTRY = "https://registry.npmjs.org"
ATTEMPTS = 3
PAUSE = 1.0
TIMEOUT = 30
MAX_BYTES = 50 * 1024 * 1024


class AssetError(Exception):
    """A script cannot be had; the text says why, and what to do."""


class Asset(NamedTuple):
    """A package as it is pinned."""

    name: str
    version: str
    integrity: str
    files: list[str]

    def __str__(self) -> str:
        return f"{self.name} {self.version}"

    def url(self, registry: str) -> str:
        """Where a registry has it."""
        base = self.name.rpartition("/")[2]
        return f"{registry.rstrip('/')}/{self.name}/-/{base}-{self.version}.tgz"


def main() -> None:
    """Bring what is missing; exit status 1 and one line when something cannot be had."""
    description, _, epilog = (__doc__ or "").partition("\n\n")
    parser = argparse.ArgumentParser(
        description=description, epilog=epilog, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--pins", type=Path, default=WORKERS / "package.json", metavar="FILE")
    parser.add_argument("--to", type=Path, default=WORKERS / "static" / "vendor", metavar="FOLDER")
    options = parser.parse_args()
    try:
        bring_all(pinned(options.pins), options.to, registry())
    except AssetError as error:
        sys.exit(f"{parser.prog}: {error}")


def registry() -> str:
    """The registry's address, as npm is told it: in upper or lower case."""
    settings = {name.lower(): value for name, value in os.environ.items()}
    return settings.get("npm_config_registry") or REGISTRY


def pinned(file: Path) -> list[Asset]:
    """What a package.json pins."""
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
        return [
            Asset(name, version, **content["assets"][name])
            for name, version in content["dependencies"].items()
        ]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise AssetError(f"{file} does not pin assets: {error!r}") from error


def bring_all(assets: list[Asset], folder: Path, registry: str) -> None:
    """Bring those that are missing, one process at a time."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        for asset in assets:
            if not is_there(asset, folder):
                print(f"Fetching {asset} from {registry}", flush=True)
                put(asset, unpacked(asset, fetched(asset, registry)), folder)


def is_there(asset: Asset, folder: Path) -> bool:
    """Whether it was put there as it is pinned now."""
    home = folder / asset.name
    pin = home / ".pin"
    complete = all((home / file).is_file() for file in asset.files)
    return complete and pin.is_file() and pin.read_text(encoding="utf-8") == json.dumps(asset)


def fetched(asset: Asset, registry: str) -> bytes:
    """The package's file, which is the one that was pinned."""
    url = asset.url(registry)
    try:
        content = downloaded(url)
    except (OSError, http.client.HTTPException, ValueError) as error:
        raise AssetError(
            f"{asset} cannot be fetched from {url}: {error}. The pages of the example site need "
            "it. Is there a network? npm_config_registry names a mirror of the registry."
        ) from error
    digest = base64.b64encode(hashlib.sha512(content).digest()).decode()
    if f"sha512-{digest}" != asset.integrity:
        raise AssetError(
            f"{asset} from {url} is not what was pinned: it has sha512-{digest}, and package.json "
            f"has {asset.integrity}. Put the new one there only if you changed the version."
        )
    return content


def downloaded(url: str) -> bytes:
    """What is at ``url``; a registry that fails for a moment is asked again."""
    for attempt in range(1, ATTEMPTS + 1):
        try:
            with urllib.request.urlopen(url, timeout=TIMEOUT) as answer:
                content: bytes = answer.read(MAX_BYTES + 1)
        except urllib.error.HTTPError as error:
            error.close()
            if error.code < 500 or attempt == ATTEMPTS:
                raise
        except (OSError, http.client.HTTPException):
            if attempt == ATTEMPTS:
                raise
        else:
            break
        time.sleep(PAUSE * attempt)
    if len(content) > MAX_BYTES:
        raise ValueError(f"it has more than {MAX_BYTES} bytes")
    return content


def unpacked(asset: Asset, package: bytes) -> dict[str, bytes]:
    """The files that are wanted of it; a package has all of its own in one folder."""
    with tarfile.open(fileobj=io.BytesIO(package), mode="r:gz") as archive:
        members = {member.name.partition("/")[2]: member for member in archive if member.isfile()}
        missing = [file for file in asset.files if file not in members]
        if missing:
            raise AssetError(f"{asset} has no {', '.join(missing)}: change its files")
        return {file: archive.extractfile(members[file]).read() for file in asset.files}


def put(asset: Asset, files: dict[str, bytes], folder: Path) -> None:
    """Put it in the place of what was there; the pin comes last, when all is complete."""
    home = folder / asset.name
    shutil.rmtree(home, ignore_errors=True)
    for file, content in files.items():
        path = home / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    (home / ".pin").write_text(json.dumps(asset), encoding="utf-8")


if __name__ == "__main__":
    main()
