"""rooms: reads ci/rooms, and knows which files of src/ belong to which room.

Leaves to its users (ci/floors, ci/purity) what to make of it.
"""

import pathlib
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
TABLE = ROOT / "ci" / "rooms"
SOURCES = ROOT / "src"
KINDS = ("constants", "pure", "parser", "port", "kernel", "hands", "roof")


class Room:
    def __init__(self, name, floor, kind, includes):
        self.name = name
        self.floor = floor
        self.kind = kind
        self.includes = includes
        # It computes, and keeps nothing: its tests say all about it.
        self.is_pure = kind in ("pure", "parser")


def table():
    """The rooms by name. A table that breaks its own law ends the check."""
    rooms = {}
    lines = {}
    for number, line in enumerate(TABLE.read_text().splitlines(), 1):
        words = line.split("#")[0].split()
        if not words:
            continue
        name, floor, kind = words[:3]
        if kind not in KINDS:
            sys.exit(f"ci/rooms:{number}: unknown kind {kind}")
        rooms[name] = Room(name, int(floor), kind, set(words[3:]))
        lines[name] = number
    for room in rooms.values():
        if room.includes == {"*"}:
            room.includes = {other.name for other in rooms.values() if other.floor < room.floor}
        for other in sorted(room.includes):
            if other not in rooms:
                sys.exit(f"ci/rooms:{lines[room.name]}: {other} is no room")
            if rooms[other].floor >= room.floor:
                sys.exit(f"ci/rooms:{lines[room.name]}: {other} is not below {room.name}")
    return rooms


def room_of(path, rooms):
    """The room that a file of src/ belongs to: the longest name that it bears; None if none."""
    stem = path.stem
    names = [name for name in rooms if stem == name or stem.startswith(name + "_")]
    return rooms[max(names, key=len)] if names else None


def files(*suffixes):
    return sorted(path for path in SOURCES.iterdir() if path.suffix in suffixes)


def shown(path):
    return path.relative_to(ROOT)
