"""The rig that stands in for what a rig file does not name."""

import importlib.resources
import tomllib
from collections.abc import Mapping
from copy import deepcopy
from functools import lru_cache
from pathlib import Path
from typing import Any

from hal.registry import entry_points_of

GROUP = "magscope.rigs"
NAME = "default"

# These describe the camera's picture, so they are not kept when another camera is named.
_OF_THE_CAMERA = ("nm_per_px", "beads")
_MERGED_KEY_BY_KEY = ("settings", "beads", "acquisition", "recording")


def default_document() -> dict[str, Any]:
    """Return the default rig as a TOML document; empty when no installed package brings one.

    It is `default.toml` in the package that the entry point `default` of the group
    `magscope.rigs` names.
    """
    for entry in entry_points_of(GROUP):
        if entry.name != NAME:
            continue
        try:
            source = importlib.resources.files(entry.value).joinpath(f"{NAME}.toml")
            document = deepcopy(_parsed(source.read_text("utf-8")))
        except (ImportError, FileNotFoundError):
            continue
        beads = document.get("beads", {})
        if "zlut" in beads:
            beads["zlut"] = str(Path(str(source)).parent / beads["zlut"])
        return document
    return {}


@lru_cache(maxsize=4)  # a campaign reads thousands of rigs
def _parsed(text: str) -> dict[str, Any]:
    return tomllib.loads(text)


def completed(document: Mapping[str, Any]) -> dict[str, Any]:
    """Return a rig file's document with what it does not name taken from the default rig.

    A device is never mixed from two: a named camera is wholly the file's, and so are the motors
    once any is named. The other sections are completed key by key; the default's Z-LUT is left out
    where the file's beads have another width.
    """
    base = default_document()
    if "camera" in document:
        base = {key: value for key, value in base.items() if key not in _OF_THE_CAMERA}
    merged = base | dict(document)
    for section in _MERGED_KEY_BY_KEY:
        given, kept = document.get(section), base.get(section, {})
        if isinstance(given, Mapping):
            if section == "beads" and given.get("roi_px", kept.get("roi_px")) != kept.get("roi_px"):
                kept = {key: value for key, value in kept.items() if key != "zlut"}
            merged[section] = kept | dict(given)
    return merged
