"""MP3 files with their exact length, which libsndfile takes from the first frame or estimates.

The first frame may have an information header (Xing, Info or VBRI) with the number of frames and the silence that the
encoder added at both ends. Files cut from a stream have none, and in concatenated files it is wrong. Here frames are
counted, and such files get a correct header. The number of samples then equals that of ffmpeg.

Other bytes at either end, mostly tags, are removed: libsndfile's decoder prints messages about them.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator
from typing import NamedTuple

from codec.audio.error import AudioError
from codec.audio.pieces import Layout, Piece, whole_file

# kbit/s by index, of layer III: in MPEG 1, and in MPEG 2 and 2.5
_BITRATES = (
    (32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
    (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
)
_RATES = (44_100, 48_000, 32_000)  # Hz by index, in MPEG 1; half of it in MPEG 2, a quarter in MPEG 2.5
_DIVISORS = {0b11: 1, 0b10: 2, 0b00: 4}  # by the bits of the version
_SYNC = re.compile(rb"\xff[\xe2\xe3\xf2\xf3\xfa\xfb]|ID3")  # of a frame of layer III, or a tag
_MAX_JUNK = 4096  # bytes before the first frame besides tags: more than a frame
_HEADER_BYTES = 96  # largest size of an information header
_DECODER_DELAY = 529  # samples, in libsndfile


class _Frame(NamedTuple):
    start: int  # in bytes
    stop: int
    rate: int  # Hz
    info: int  # position of an information header, if any

    def has_info(self, content: memoryview) -> bool:
        return content[self.info : self.info + 4] in (b"Xing", b"Info") or self.is_vbri(content)

    def is_vbri(self, content: memoryview) -> bool:
        return content[self.start + 36 : self.start + 40] == b"VBRI"


class _Info(NamedTuple):
    n_frames: int | None  # after its own
    n_bytes: int | None  # from its own frame on
    encoder: bytes  # includes the silence at both ends; up to 36 bytes


def layout(content: memoryview) -> Layout:
    """Lay out all frames after a header with their number.

    Raises:
        AudioError: frames are missing, or have different sample rates.
    """
    first = next(_frames(content), None)
    if first is None or first.start > _skip_tags(content, 0) + _MAX_JUNK:
        return whole_file(content)  # layer I or II, or not MP3: libsndfile reports it
    info = _read_info(content, first) if first.has_info(content) else _Info(None, None, b"")
    if info.n_frames and info.n_bytes and _is_end(content, first.start + info.n_bytes):
        return _frames_alone(content, first.start, first.start + info.n_bytes)
    frames = list(_frames(content))
    for frame in frames:
        if frame.rate != first.rate:
            raise AudioError(f"joined from parts of {first.rate} and {frame.rate} Hz; convert each before joining")
    end = frames[-1].stop
    is_cut = end > len(content)
    frames = [frame for frame in frames[: len(frames) - is_cut] if not frame.has_info(content)]
    known = info.n_frames or 0
    if known > len(frames) and (is_cut or known > len(frames) + 1):  # some encoders count the frame of the header, too
        raise AudioError(f"the file is truncated: {len(frames)} of {known} frames are there; copy it again")
    if not frames:
        raise AudioError("empty; give at least one sample")
    pieces = _pieces(content, frames)
    if known == len(frames) and len(pieces) == 1:
        return _frames_alone(content, first.start, end)
    return Layout([[_write_info(content, first, len(frames), info.encoder), *pieces]])


def _frames_alone(content: memoryview, start: int, stop: int) -> Layout:
    """Lay out the bytes from the first frame to the last, unchanged."""
    return whole_file(content) if (start, stop) == (0, len(content)) else Layout([[range(start, stop)]])


def _frames(content: memoryview) -> Iterator[_Frame]:
    """Iterate over all frames, skipping tags and other bytes; the last one may be cut."""
    position, rate = 0, None
    while position < len(content):
        frame = _frame(content, position)
        # Right after a frame, one header is enough; elsewhere, a second frame must follow.
        if frame and (frame.rate == rate or _is_followed(content, frame)):
            yield frame
            position, rate = frame.stop, frame.rate
        elif tag := _tag_size(content, position):
            position += tag
        else:
            found = _SYNC.search(content, position + 1)
            position, rate = found.start() if found else len(content), None


def _frame(content: memoryview, start: int) -> _Frame | None:
    """Parse the frame of layer III that starts here, if any."""
    header = content[start : start + 4]
    if len(header) < 4 or header[0] != 0xFF or header[1] & 0b11100110 != 0b11100010:
        return None
    divisor = _DIVISORS.get(header[1] >> 3 & 3)
    bitrate, rate, is_padded, is_mono = header[2] >> 4, header[2] >> 2 & 3, header[2] >> 1 & 1, header[3] >> 6 == 3
    if divisor is None or not 1 <= bitrate <= 14 or rate == 3:
        return None
    hz, is_mpeg1 = _RATES[rate] // divisor, divisor == 1
    size = (144_000 if is_mpeg1 else 72_000) * _BITRATES[not is_mpeg1][bitrate - 1] // hz + is_padded
    side = (17 if is_mono else 32) if is_mpeg1 else (9 if is_mono else 17)  # bytes
    return _Frame(start, start + size, hz, start + 4 + side)


def _is_followed(content: memoryview, frame: _Frame) -> bool:
    """Whether another frame of the same rate follows, or the end of the file."""
    after = _frame(content, _skip_tags(content, frame.stop))
    return after.rate == frame.rate if after else _is_end(content, frame.stop)


def _is_end(content: memoryview, position: int) -> bool:
    """Whether only tags follow up to the end of the file, which must be complete."""
    position = _skip_tags(content, position)
    return position <= len(content) and not content[position:].tobytes().strip(b"\0")


def _skip_tags(content: memoryview, position: int) -> int:
    while size := _tag_size(content, position):
        position += size
    return position


def _tag_size(content: memoryview, position: int) -> int:
    """Size in bytes of the ID3 or APE tag that starts here; 0 if none."""
    head = bytes(content[position : position + 32])
    if head[:3] == b"ID3" and len(head) >= 10:
        size = head[6] << 21 | head[7] << 14 | head[8] << 7 | head[9]
        return 10 + size + (10 if head[5] & 0x10 else 0)
    if head[:3] == b"TAG":
        return 128
    if head[:8] == b"APETAGEX" and len(head) == 32:
        size, _, flags = struct.unpack_from("<III", head, 12)
        return 32 + (size if flags & 1 << 29 else 0)  # the size does not include the header
    return 0


def _read_info(content: memoryview, frame: _Frame) -> _Info:
    if frame.is_vbri(content):
        n_bytes, n_frames = struct.unpack_from(">II", content, frame.start + 46)
        return _Info(n_frames, n_bytes, b"")
    position = frame.info + 8
    flags = content[position - 1]
    values: list[int | None] = [None, None]
    for bit in (0, 1):
        if flags & 1 << bit:
            (values[bit],) = struct.unpack_from(">I", content, position)
            position += 4
    position += (100 if flags & 4 else 0) + (4 if flags & 8 else 0)
    return _Info(values[0], values[1], bytes(content[position : min(position + 36, frame.stop)]))


def _pieces(content: memoryview, frames: list[_Frame]) -> list[Piece]:
    """Pieces of all frames. The first ones of a cut stream may need data of missing frames: they become silent."""
    pieces: list[Piece] = []
    n_silent = n_bytes = 0  # bytes of data that later frames may need
    for frame in frames:
        header = bytearray(content[frame.start : frame.start + 4])
        is_mpeg1, n_checksum = bool(header[1] & 8), 0 if header[1] & 1 else 2
        first, second = content[frame.start + 4 + n_checksum :][:2]
        needed = first << 1 | second >> 7 if is_mpeg1 else first
        if needed <= n_bytes:
            break
        header[1] |= 1  # no checksum
        there = (n_bytes << (7 if is_mpeg1 else 8)).to_bytes(2, "big")  # kept for the frames that need them
        pieces += [bytes(header) + there + bytes(frame.info - frame.start - 6), range(frame.info, frame.stop)]
        n_bytes += frame.stop - frame.info - n_checksum
        n_silent += 1
    runs: list[range] = []
    for frame in frames[n_silent:]:
        start = runs.pop().start if runs and runs[-1].stop == frame.start else frame.start
        runs.append(range(start, frame.stop))
    return [*pieces, *runs]


def _write_info(content: memoryview, like: _Frame, n_frames: int, encoder: bytes) -> bytes:
    """Make a silent frame with an information header for the `n_frames` that follow.

    Keeps the encoder's delay at the start; the padding at the end becomes 0, as it would be that of the first of
    several parts.
    """
    first, second, third, fourth = content[like.start : like.start + 4]
    headers = (bytes([first, second | 1, bitrate << 4 | third & 0b1100, fourth]) for bitrate in range(1, 15))
    sizes = ((header, frame) for header in headers if (frame := _frame(memoryview(header), 0)))
    header, frame = next((header, frame) for header, frame in sizes if frame.stop >= _HEADER_BYTES)
    silence = b""
    if len(encoder) < 24:
        # With a header, libsndfile cuts off a decoder delay, unlike others: give it silence to cut off.
        silence = header.ljust(frame.stop, b"\0")
        n_frames += 1
        delay = (1152 if second & 8 else 576) - _DECODER_DELAY
        encoder = b"codec".ljust(21, b"\0") + (delay << 12).to_bytes(3, "big")
    encoder = encoder[:22] + bytes([encoder[22] & 0xF0, 0]) + encoder[24:]  # 12 bits for each end
    info = header.ljust(frame.info, b"\0") + b"Xing" + struct.pack(">II", 1, n_frames) + encoder
    return info.ljust(frame.stop, b"\0") + silence
