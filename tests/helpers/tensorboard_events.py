"""Files of TensorBoard events, read record by record."""

from pathlib import Path

from tensorboardX.proto.event_pb2 import Event
from tensorboardX.record_writer import masked_crc32c


def events(path: Path) -> list[Event]:
    """Return the events of a file, whose checksums hold."""
    data, found = path.read_bytes(), []
    while data:
        length = int.from_bytes(data[:8], "little")
        assert int.from_bytes(data[8:12], "little") == masked_crc32c(data[:8])
        found.append(Event.FromString(data[12 : 12 + length]))
        data = data[16 + length :]
    return found


def read(folder: Path) -> list[tuple]:
    """Return (event, value) of every summary in the files of a folder, in their order."""
    found = [event for path in sorted(folder.iterdir()) for event in events(path)]
    return [(event, value) for event in found for value in event.summary.value]
