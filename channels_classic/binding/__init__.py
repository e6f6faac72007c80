"""Changes of models sent to groups, and what clients ask for made changes."""

from __future__ import annotations

from channels_classic.binding.base import Binding

__all__ = ["Binding"]
