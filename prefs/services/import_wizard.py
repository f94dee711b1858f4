"""Importing by hand, step by step (ux.md A5): a file is kept, looked at, checked and only then imported.

A file waits as a draft in a folder of its own under a name of ours, seen by whoever sent it and
gone after a day (reliability.md item 37). The check is a dry run of the very import.
"""

import csv
import json
import os
import re
import secrets
import shutil
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from pathlib import Path

from prefs.domain.address import masked_text
from prefs.domain.agreed import WHEN, Agreed, AgreedPlan
from prefs.domain.formats import CONSENTS, HOW, OWN, REGISTRY, WHAT, Format, are_agreements
from prefs.domain.ladder import CHANNEL_NAMES
from prefs.domain.listed import Plan, RowProblem, read_time, tidy
from prefs.domain.references import import_reference
from prefs.domain.terms import Channel
from prefs.errors import Conflict, InvalidInput, NotFound
from prefs.services import audit
from prefs.services.approvals import Approval, Approvals
from prefs.services.imports import ImportRequest, Imports
from prefs.services.kit import Kit
from prefs.services.listfile import as_lines, lay_out, repairer
from prefs.storage.imports import DONE, FAILED, Import
from prefs.storage.staff import StaffUser

MB = 1024 * 1024
LARGEST = 256 * MB
"""Bytes a browser may send: some ten million addresses. What is larger goes by ``prefs import``."""

UNDO, CONSENT_IMPORT = "import_undo", "consent_import"
STOPS = "stops"
UNKNOWN_WORD = "A word about consent that we do not know"
_NOT_KNOWN = " is not known to say "
_IN_WORDS_OF_THE_PAGE = {
    "--format plain": "choose “any list of addresses, one a row”",
    ", or say which country's numbers these are: --region, over HTTP `region`": "",
}
MOST_KINDS = 12
_EXAMPLES, _LONGEST_PROOF = 10, 300
_FIRST_VALUES, _MOST_COLUMNS, _LONGEST_NAME, _LONGEST_VALUE = 2, 40, 100, 60
_DRAFT = re.compile(r"up_[0-9a-f]{24}")
_QUOTED = re.compile(r"'[^']*'|\"[^\"]*\"")
_NOT_PRINTED = re.compile(r"[^\x20-\x7e\xa0-\uffff]")


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """What staff say about a file; None is worked out from it.

    ``rows`` has no default: ``stops`` or ``consents``. ``topic`` is what everybody agreed to, where no column says it.
    """

    rows: str = ""
    topic: str | None = None
    format: str | None = None
    channel: Channel | None = None
    column: str | None = None
    scope: str = "all"


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """A file that was sent and not imported; ``check`` and ``run`` are the imports made from it."""

    id: str
    path: Path
    name: str
    actor: str
    uploaded_at: datetime
    lines: int
    choice: Choice
    check: str | None = None
    run: str | None = None


@dataclass(frozen=True, slots=True)
class Column:
    """One column: its first values, masked, and what the import takes it for."""

    name: str
    values: tuple[str, ...]
    means: str
    used: bool


@dataclass(frozen=True, slots=True)
class Look:
    """What a file is taken for; ``problem`` is what staff have to say first.

    ``unclear_dates`` of the first ``seen`` rows cannot be told for sure.
    """

    columns: tuple[Column, ...]
    named: bool
    format: Format | None
    channel: Channel | None
    unclear_dates: int
    seen: int
    problem: InvalidInput | None


@dataclass(frozen=True, slots=True)
class Example:
    """One row of a list of people who agreed, its address masked."""

    address: str
    topic: str
    kind: str
    agreed_at: str
    source: str
    proof: str


@dataclass(frozen=True, slots=True)
class RejectKind:
    """One kind of row that could not be imported: how many, and one of them with its value masked."""

    what: str
    number: int
    value: str
    detail: str
    how: str


@dataclass(frozen=True, slots=True)
class ImportWizard:
    """The use cases of "Import" in the console."""

    kit: Kit
    imports: Imports
    approvals: Approvals

    def keep(self, name: str, actor: str, save: Callable[[Path], object]) -> Draft:
        """Keep a file that ``save`` writes, if it is a list.

        Raises:
            InvalidInput: It is none; the sentence says the mend, and nothing was kept.
        """
        number = f"up_{secrets.token_hex(12)}"
        place = self.imports.folder / number
        place.mkdir(parents=True, mode=0o700)
        path = place / "upload"
        try:
            path.touch(mode=0o600)
            save(path)
            readable = as_lines(path, place / "lines.csv")
            lay_out(readable)
            lines = _lines(readable)
        except BaseException:
            shutil.rmtree(place, ignore_errors=True)
            raise
        draft = Draft(
            id=number,
            path=path,
            name=_tidy_name(name),
            actor=actor,
            uploaded_at=self.kit.now(),
            lines=lines,
            choice=Choice(),
        )
        self._save(draft)
        return draft

    def draft(self, number: str, actor: str) -> Draft:
        """Return a file one sent. Raises ``NotFound``, also where somebody else sent it."""
        place = self.imports.folder / number / "draft.json"
        if not _DRAFT.fullmatch(number) or not place.exists():
            raise NotFound("There is no such file. It is kept for a day; send it again.")
        said = json.loads(place.read_text())
        if said["actor"] != actor:
            raise NotFound("There is no such file of yours. Whoever sent a file imports it.")
        choice = said.pop("choice")
        channel = Channel(choice.pop("channel")) if choice["channel"] else choice.pop("channel")
        return Draft(
            **{**said, "path": Path(said["path"]), "uploaded_at": datetime.fromisoformat(said["uploaded_at"])},
            choice=Choice(channel=channel, **choice),
        )

    def look(self, draft: Draft, choice: Choice) -> Look:
        """Return what a file's columns are taken for under a choice."""
        path = draft.path.with_name("lines.csv")
        layout = lay_out(path if path.exists() else draft.path)
        if not choice.rows and are_agreements(tidy(name) for name in layout.header or ()):
            choice = replace(choice, rows=CONSENTS)
        plan, problem = None, None
        try:
            plan = self.imports.plan(layout, _request(draft.path, draft, choice, dry_run=True).options)
        except InvalidInput as error:
            problem = error
        width = max(map(len, layout.sample), default=0) if layout.header is None else len(layout.header)
        names = layout.header or tuple(f"Column {place + 1}" for place in range(width))
        columns = tuple(_column(place, name, layout.sample, plan) for place, name in enumerate(names[:_MOST_COLUMNS]))
        return Look(
            columns=columns,
            named=layout.header is not None,
            format=plan.format if plan else None,
            channel=plan.channel if plan else None,
            unclear_dates=_unclear_dates(layout.sample, plan),
            seen=len(layout.sample),
            problem=problem,
        )

    def check(self, draft: Draft, choice: Choice) -> Import:
        """Start the dry run. Raises ``InvalidInput`` where the file cannot be read so."""
        found = self._accept(draft, choice, dry_run=True)
        self._save(replace(draft, choice=choice, check=found.id))
        return found

    def run(self, draft: Draft) -> Import:
        """Start the import as it was checked; pressed twice it is one.

        Raises:
            Conflict: The check is not finished, or the rows are consents: those go by ``run_consents``.
        """
        if draft.run:
            return self.imports.view(draft.run)
        self._checked(draft)
        if draft.choice.rows == CONSENTS:
            raise Conflict("A list of people who agreed takes a second person.", code="needs_second_person")
        found = self._accept(draft, draft.choice, dry_run=False)
        self._save(replace(draft, run=found.id))
        return found

    def consent_question(self, draft: Draft) -> Approval | None:
        """Return the newest question to a second person about a list of people who agreed, or None."""
        return self.approvals.latest(CONSENT_IMPORT, draft.id)

    def ask_consents(self, draft: Draft, by: StaffUser) -> None:
        """Ask a second person about a list of people who agreed; they see its figures and some rows, masked.

        Raises:
            Conflict: The check is not finished, or it found nothing to import.
            InvalidInput: This person may not ask.
        """
        found = self._checked(draft)
        if draft.run or not found.added:
            raise Conflict("There is nothing in this list to import.", code="nothing_to_import")
        counts = {name: getattr(found, name) for name in ("added", "already", "refused", "invalid")}
        about = {"name": draft.name, "agreed": self.imports.agreed(found.id), "rows": self._examples(draft)}
        self.approvals.ask(by, CONSENT_IMPORT, draft.id, {"check": found.id, **counts, **about})

    def run_consents(self, draft: Draft, by: StaffUser) -> Import:
        """Import consents as they were checked and a second person approved; pressed twice it is one import.

        The yes is used up first: should the rest fail, a second person is asked again.

        Raises:
            NeedsSecondPerson: Nobody said yes, or it was used already.
            Conflict: What was approved is not what was checked last.
        """
        if draft.run:
            return self.imports.view(draft.run)
        self._checked(draft)
        with self.kit.store.write() as connection:
            question = self.approvals.use(connection, CONSENT_IMPORT, draft.id)
            if question.what["check"] != draft.check:
                raise Conflict("The file was checked again since. Ask a second person anew.", code="checked_again")
            audit.note(connection, self.kit.now(), by.actor, "consents_imported", draft.id, approval=question.id)
        found = self._accept(draft, draft.choice, dry_run=False, approved_by=question.decided_by)
        self._save(replace(draft, run=found.id))
        return found

    def _checked(self, draft: Draft) -> Import:
        found = self.imports.view(draft.check) if draft.check else None
        if found is None or found.status != DONE:
            raise Conflict("Wait for the check to end, then press again.", code="not_checked")
        return found

    def _examples(self, draft: Draft) -> list[dict[str, str]]:
        """Return the first rows that can be read."""
        path = draft.path.with_name("lines.csv")
        layout = lay_out(path if path.exists() else draft.path)
        plan = self.imports.plan(layout, _request(draft.path, draft, draft.choice, dry_run=True).options)
        assert isinstance(plan, AgreedPlan)
        read, repair = plan.reader(), repairer(layout)
        found = []
        for cells in layout.sample:
            with suppress(RowProblem):
                found.append(asdict(_example(read(repair(list(cells))))))
        return found[:_EXAMPLES]

    def reject_kinds(self, found: Import) -> list[RejectKind]:
        """Return why rows were left out, most frequent first; empty once the rows are gone.

        Counted once, when the import has ended, and kept beside the rows.
        """
        rejects = self.imports.rejects(found.id)
        if rejects is None or found.status not in {DONE, FAILED}:
            return []
        kept = rejects.with_name("kinds.json")
        if kept.exists():
            return [RejectKind(**one) for one in json.loads(kept.read_text())]
        kinds = _count(rejects, self._address_column(rejects, found))
        _write(kept, [asdict(one) for one in kinds])
        return kinds

    def undo_question(self, found: Import) -> Approval | None:
        """Return the newest question to a second person about undoing an import, or None."""
        return self.approvals.latest(UNDO, import_reference(found.id))

    def ask_undo(self, found: Import, by: StaffUser) -> None:
        """Ask a second person about undoing an import (reliability.md item 24).

        Raises:
            Conflict: It is not finished, or was undone.
            InvalidInput: This person may not ask.
        """
        if found.status not in {DONE, FAILED}:
            raise Conflict("Only an import that is finished can be undone.", code="not_finished")
        self.approvals.ask(by, UNDO, import_reference(found.id), {"import": found.id, "added": found.added})

    def undo(self, found: Import, by: StaffUser) -> None:
        """Let the worker undo an import that a second person agreed about.

        The ledger names the one of the two who did not import.

        Raises:
            NeedsSecondPerson: Nobody said yes, or it was used already.
            Conflict: It is not finished, or was undone.
        """
        about = import_reference(found.id)
        with self.kit.store.write() as connection:
            question = self.approvals.use(connection, UNDO, about)
            other = question.asked_by if question.asked_by != found.actor else question.decided_by
            self.imports.queue_undo(connection, question.what["import"], other or by.actor)
            audit.note(connection, self.kit.now(), by.actor, "import_undone", about, added=found.added)

    def _address_column(self, rejects: Path, found: Import) -> int | None:
        try:
            return self.imports.plan(lay_out(rejects), {**found.options, "format": found.format}).column
        except InvalidInput:
            return None

    def _accept(self, draft: Draft, choice: Choice, *, dry_run: bool, approved_by: str | None = None) -> Import:
        """Hand a second name of the file over: the import deletes it, the draft stays."""
        link = self.imports.folder / f"incoming-{secrets.token_hex(12)}"
        os.link(draft.path, link)
        try:
            return self.imports.accept(_request(link, draft, choice, dry_run=dry_run, approved_by=approved_by))
        finally:
            link.unlink(missing_ok=True)

    def _save(self, draft: Draft) -> None:
        said = {**asdict(draft), "path": str(draft.path), "uploaded_at": draft.uploaded_at.isoformat()}
        _write(draft.path.with_name("draft.json"), said)


def _write(path: Path, value: object) -> None:
    """Write a file that is whole whenever somebody reads it."""
    fresh = path.with_name(f"{path.name}.{secrets.token_hex(4)}")
    fresh.write_text(json.dumps(value))
    fresh.replace(path)


def _request(
    path: Path, draft: Draft, choice: Choice, *, dry_run: bool, approved_by: str | None = None
) -> ImportRequest:
    return ImportRequest(
        path=path,
        actor=draft.actor,
        channel=choice.channel,
        format=choice.format,
        scope=choice.scope,
        column=choice.column,
        dry_run=dry_run,
        name=draft.name,
        consents=choice.rows == CONSENTS,
        topic=choice.topic,
        approved_by=approved_by,
    )


def _example(row: Agreed) -> Example:
    proof = [row.wording or "", *(f"{name}: {value}" for name, value in row.evidence.items())]
    shown = (masked_text(one)[:_LONGEST_PROOF] for one in (row.source, "; ".join(filter(None, proof))))
    return Example(_shown(row.text), row.topic, row.kind, f"{row.agreed_at:%Y-%m-%d}", *shown)


def _tidy_name(name: str) -> str:
    """Return a file's name without its folders; an address in it is masked."""
    last = re.split(r"[/\\]", name)[-1]
    return masked_text(_NOT_PRINTED.sub("", last))[:_LONGEST_NAME] or "list.csv"


def _lines(path: Path) -> int:
    number = 0
    with path.open("rb") as file:
        while part := file.read(MB):
            number += part.count(b"\n")
    return number


def _column(place: int, name: str, sample: Sequence[Sequence[str]], plan: Plan | AgreedPlan | None) -> Column:
    values = [row[place].strip() if place < len(row) else "" for row in sample[:_FIRST_VALUES]]
    means = _meaning(place, name, plan) if plan else ""
    shown = tuple(masked_text(value)[:_LONGEST_VALUE] or "(empty)" for value in values)
    return Column(masked_text(name)[:_LONGEST_VALUE], shown, means or "Not imported", bool(means))


def _meaning(place: int, name: str, plan: Plan | AgreedPlan) -> str:
    """Return what an import takes a column for, or nothing."""
    if isinstance(plan, AgreedPlan):
        return plan.meaning(place, name)
    if plan.format.name == REGISTRY:
        return ("Area code", "Number")[place] if place < 2 else ""
    if place == plan.column:
        return f"Address for {CHANNEL_NAMES[plan.channel].lower()}" if plan.channel else "Address"
    if tidy(name) == plan.format.since:
        return "When it happened, kept as evidence"
    if plan.format.name == OWN and tidy(name) in plan.format.needs | {"until"}:
        return "What stopped, and why"
    if tidy(name) in {rule.column for rule in plan.format.rules}:
        return "Says who opted out"
    return ""


def _unclear_dates(sample: Sequence[Sequence[str]], plan: Plan | AgreedPlan | None) -> int:
    """Return how many of the first rows have a date whose day and month could be exchanged, or no date at all."""
    since = WHEN if isinstance(plan, AgreedPlan) else plan.format.since if plan else None
    if plan is None or since is None or since not in plan.header:
        return 0
    place = plan.header.index(since)
    cells = [row[place].strip() for row in sample if place < len(row)]
    return sum(bool(cell) and read_time(cell) is None for cell in cells)


def _count(rejects: Path, column: int | None) -> list[RejectKind]:
    """Return the kinds of rows in a file of rejects; cells are masked, quoted words are left out of names."""
    numbers: dict[str, int] = {}
    first: dict[str, RejectKind] = {}
    with rejects.open(encoding="utf-8", newline="") as file:
        rows = csv.reader(file)
        header = next(rows)
        what_at, how_at = header.index(WHAT), header.index(HOW)
        for cells in rows:
            kind = _kind(cells[what_at])
            numbers[kind] = numbers.get(kind, 0) + 1
            if kind not in first:
                own = cells[:what_at]
                value = own[column] if column is not None and column < len(own) else next(filter(None, own), "")
                said = (cells[what_at], _in_words_of_the_page(cells[how_at]))
                first[kind] = RejectKind(kind, 0, _shown(value), *(masked_text(one) for one in said))
    ranked = sorted(first, key=lambda kind: -numbers[kind])
    return [replace(first[kind], number=numbers[kind]) for kind in ranked[:MOST_KINDS]]


def _in_words_of_the_page(how: str) -> str:
    for option, words in _IN_WORDS_OF_THE_PAGE.items():
        how = how.replace(option, words)
    return how


def _kind(what: str) -> str:
    """Return what rows with this problem have in common: its beginning, without the words of one row."""
    return UNKNOWN_WORD if _NOT_KNOWN in what else _QUOTED.sub("…", what.partition(":")[0])


def _shown(value: str) -> str:
    """Return a value that is no address, or a broken one: enough of it to find the row again."""
    text = masked_text(value.strip())
    if not text:
        return "(empty)"
    return text[:_LONGEST_VALUE] if text != value.strip() or len(text) <= 6 else f"{text[:4]}••"
