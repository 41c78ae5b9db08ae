"""seed-tts-eval: its test sets as texts and voices, and a folder of .wav files, which its scripts score.

A line of `meta.lst` is `name|text of the prompt|audio of the prompt|text|audio of the text`, the last where there is
one; paths are relative to the file. So say README.md and get_wav_res_ref_text.py of BytedanceSpeech/seed-tts-eval.
"""

from __future__ import annotations

from pathlib import Path

from codec.recordings.utterance import read_text
from eval.boards.outputs import Output, folder_of, write_wavs
from eval.tts.items import Item


def read_meta(path: Path, language: str) -> list[Item]:
    """Return the texts of a `meta.lst`, each in the voice of its prompt.

    Args:
        path: of the file.
        language: of all texts.

    Raises:
        ValueError: a line without name, prompt and text, a name that occurs twice, or no line.
        OSError: the file cannot be read.
    """
    items: dict[str, Item] = {}
    for number, line in enumerate(read_text(path).splitlines(), 1):
        if line.strip():
            item = _item(path, number, line.strip(), language)
            if item.id in items:
                raise ValueError(f"{path}:{number}: {item.id} occurs twice; names are those of the .wav files")
            items[item.id] = item
    if not items:
        raise ValueError(f"{path}: no lines; expected a meta.lst of seed-tts-eval")
    return list(items.values())


def _item(path: Path, number: int, line: str, language: str) -> Item:
    name, *fields = (field.strip() for field in line.split("|"))
    if len(fields) not in (3, 4) or not all((name, *fields[1:3])):
        raise ValueError(f"{path}:{number}: {line!r}; expected name|text of the prompt|audio of the prompt|text")
    prompt = path.parent / fields[1]
    recording = path.parent / fields[3] if len(fields) == 4 else None
    return Item(name.removesuffix(".wav"), fields[2], language, (prompt,), str(prompt), recording)


def write(systems: dict[str, list[Output]], out: Path) -> None:
    """Write `OUT/SYSTEM/NAME.wav`: give such a folder to `cal_wer.sh` and `cal_sim.sh`."""
    for outputs in systems.values():
        write_wavs(outputs, folder_of(out, outputs[0]))
