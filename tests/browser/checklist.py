"""Every page of the console with all its states: ``python -m tests.browser.checklist`` writes the table.

The table stands in ``docs/console-states.md``. ``tests/test_docs.py`` holds three things equal:
this list, the states the browser tests visit, and the document.
"""

from dataclasses import dataclass
from pathlib import Path

DOCUMENT = Path(__file__).parents[2] / "docs" / "console-states.md"
BEGIN, END = "<!-- The table begins: python -m tests.browser.checklist -->", "<!-- The table ends. -->"


@dataclass(frozen=True, slots=True)
class Page:
    """A page, where the specification has it, and what shows each of its states (state in words, browser state)."""

    name: str
    section: str
    states: tuple[tuple[str, str], ...]


PAGES = (
    Page(
        "Overview",
        "A1",
        (
            ("new installation, nothing needs anyone by itself", "overview-new"),
            ("busy: figures, charts, campaigns, topics", "overview"),
            ("90 days", "overview-90-days"),
            ("a provider fails: fact, consequence, link", "overview-provider-fails"),
        ),
    ),
    Page(
        "Find a person",
        "A2",
        (
            ("nothing typed", "people-find"),
            ("nobody found", "people-nobody"),
            ("several matches, never chosen for you; more than 50", "people-several"),
            ("not allowed", "people-refused"),
            ("top bar: nothing typed", "find-nothing"),
            ("top bar: a reference nobody knows", "find-reference"),
        ),
    ),
    Page(
        "A person",
        "A2",
        (
            ("with history, evidence and a blocked verdict", "person"),
            ("allowed verdict", "person-check"),
            ("waiting verdict", "person-waits"),
            ("nothing on record yet", "person-new"),
            ("more than 50 records", "person-long"),
            ("export this record", "person-export"),
            ("masked for marketing", "person-masked"),
            ("joined with another record", "person-joined"),
            ("restricted", "person-restricted"),
            ("erased", "person-erased"),
            ("no such reference", "person-unknown"),
        ),
    ),
    Page(
        "Record an opt-out",
        "A3",
        (
            ("empty form", "optout"),
            ("errors, with what was typed", "optout-errors"),
            ("date in the future", "optout-future"),
            ("done", "optout-stopped"),
            ("letter to print", "optout-letter"),
            ("the reference somebody reads out", "optout-reference"),
        ),
    ),
    Page(
        "Privacy requests",
        "A4",
        (
            ("empty", "requests-none"),
            ("many: overdue, due today, soon, waiting, done at once", "requests"),
            ("mine", "requests-mine"),
            ("nobody’s", "requests-nobodys"),
            ("answered", "requests-answered"),
            ("not allowed", "requests-refused"),
            ("record one", "request-new"),
            ("record one: errors", "request-new-error"),
        ),
    ),
    Page(
        "A privacy request",
        "A4",
        (
            ("identity not checked", "request-unchecked"),
            ("link sent, waiting for the person", "request-link-sent"),
            ("link pressed, waiting for us", "request-link-pressed"),
            ("check: errors", "request-error"),
            ("checked", "request-checked"),
            ("nobody’s", "request-nobodys"),
            ("overdue", "request-overdue"),
            ("more time, and paused", "request-more-time"),
            ("correct an address", "request-correct"),
            ("restriction in force", "request-restriction"),
            ("objection, done at once", "request-objection"),
            ("answered", "request-answered"),
            ("refused", "request-refused"),
            ("withdrawn", "request-withdrawn"),
            ("erasure: what goes and what stays", "request-erasure"),
            ("erasure: waiting for a second person", "request-erasure-asked"),
            ("erasure: approved", "request-erasure-approved"),
            ("erased", "request-erased"),
        ),
    ),
    Page(
        "Staff queue",
        "5",
        (
            ("empty", "queue-none"),
            ("texts that were not clear", "queue-texts"),
            ("mails", "queue-mails"),
            ("set aside: empty", "queue-items"),
            ("provider conflicts", "queue-conflicts"),
        ),
    ),
    Page(
        "For a second person",
        "A4, A5",
        (
            ("empty", "approvals-none"),
            ("waiting", "approvals"),
            ("answered", "approvals-answered"),
            ("not allowed", "refused"),
        ),
    ),
    Page(
        "Decisions",
        "A6",
        (
            ("nothing sent yet", "decisions-nothing-sent"),
            ("many", "decisions"),
            ("one chosen, with its ladder", "decisions-one"),
            ("empty with filters", "decisions-none"),
            ("worked out again from an id", "decisions-again"),
            ("not a decision id", "decisions-bad-id"),
            ("no such message", "decisions-unknown"),
        ),
    ),
    Page(
        "Suppression list",
        "A7",
        (
            ("empty", "suppressions-nobody"),
            ("many", "suppressions"),
            ("empty with filters", "suppressions-none"),
            ("a person who is not on it", "suppressions-stranger"),
            ("read only, filtered", "suppressions-read"),
            ("add one", "suppressions-new"),
            ("remove one", "suppressions-lift"),
            ("remove one: errors", "suppressions-lift-unproven"),
            ("removed", "suppressions-lifted"),
            ("remove several", "suppressions-lift-many"),
            ("several: waiting for a second person", "suppressions-asked"),
        ),
    ),
    Page(
        "Import",
        "A5",
        (
            ("no imports yet", "imports-none"),
            ("many, done and undone", "imports"),
            ("not allowed", "import-refused"),
            ("choose a file", "import-choose"),
            ("wrong type", "import-excel"),
            ("match columns, ambiguous dates", "import-match"),
            ("match: what the rows are was not said", "import-match-nothing-said"),
            ("match: columns that mean nothing to us", "import-match-unclear"),
            ("check running", "import-checking"),
            ("dry run", "import-check"),
            ("running", "import-running"),
            ("report with rows left out", "import-report"),
            ("report of a whole file", "import-report-whole"),
            ("undo", "import-undo"),
            ("undo: waiting for a second person", "import-undo-asked"),
            ("undo: approved", "import-undo-approved"),
            ("undone", "import-undone"),
            ("people who agreed: match columns", "consents-match"),
            ("people who agreed: dry run", "consents-check"),
            ("people who agreed: ask a second person", "consents-ask"),
            ("people who agreed: waiting for a second person", "consents-asked"),
            ("people who agreed: what the second person sees", "consents-second-person"),
            ("people who agreed: among what waits for a second person", "consents-approvals"),
            ("people who agreed: approved", "consents-approved"),
            ("people who agreed: report", "consents-report"),
            ("people who agreed: undo", "consents-undo"),
        ),
    ),
    Page(
        "Export",
        "A5",
        (
            ("no exports yet", "exports-none"),
            ("many", "exports"),
            ("what, which columns, masked or hashed", "export-new"),
            ("in full", "export-full"),
            ("in full: no purpose", "export-full-no-purpose"),
            ("in full: not allowed", "export-full-refused"),
            ("being made", "export-making"),
            ("ready for 24 hours", "export-ready"),
            ("expired", "export-expired"),
        ),
    ),
    Page(
        "Providers",
        "A1, A7",
        (
            ("development: no list to compare", "providers"),
            ("two compared: in step and late, failing", "providers-compared"),
            ("one without a list", "provider"),
            ("failing, errors in plain words", "provider-fails"),
            ("drift: only theirs, only ours, both", "provider-drift"),
            ("read only", "provider-read"),
            ("trying now", "provider-tried"),
            ("hold sends: what it does", "provider-hold"),
            ("held", "provider-held"),
        ),
    ),
    Page(
        "Topics",
        "A7",
        (
            ("many", "topics"),
            ("one", "topic"),
            ("new", "topic-new"),
            ("errors", "topic-problems"),
            ("saved", "topic-saved"),
            ("read only", "topic-read"),
            ("retire: how many chose it", "topic-retire"),
            ("retired", "topic-retired"),
        ),
    ),
    Page("Channels and senders", "6", (("with senders and without", "channels"),)),
    Page(
        "Words and languages",
        "A7",
        (
            ("languages, missing first", "words"),
            ("texts by SMS: length and letters, right to left", "words-short"),
            ("pages and mails", "words-pages"),
            ("nothing matches", "words-no-match"),
            ("no version acted on yet", "words-versions-none"),
            ("versions", "words-versions"),
            ("one version", "words-version"),
        ),
    ),
    Page(
        "Team and roles",
        "A7",
        (
            ("many, by pages of 50", "team"),
            ("errors", "team-problems"),
            ("not allowed", "team-refused"),
            ("set-up link, shown once", "team-link"),
            ("one person", "member"),
            ("disabled", "member-disabled"),
        ),
    ),
    Page("Audit log", "A7", (("many", "audit"), ("empty with filters", "audit-nothing"))),
    Page(
        "Keys and webhooks",
        "7",
        (
            ("keys, doors, nothing given up", "keys"),
            ("errors", "keys-problems"),
            ("not allowed", "keys-refused"),
            ("a job given up, an item nobody could read", "keys-given-up"),
            ("key shown once", "key-made"),
            ("revoke", "key-revoke"),
            ("revoked", "key-revoked"),
        ),
    ),
    Page(
        "Dev outbox",
        "7",
        (
            ("empty", "dev-outbox-empty"),
            ("many", "dev-outbox"),
            ("one message: HTML, dark, text, headers", "dev-message"),
        ),
    ),
    Page(
        "Sign in and account",
        "6",
        (
            ("sign in", "sign-in"),
            ("refused", "sign-in-refused"),
            ("too many tries", "sign-in-locked"),
            ("session ended", "sign-in-away"),
            ("code", "code"),
            ("set-up link", "set-up"),
            ("set-up link used before", "set-up-used"),
            ("second factor", "second-factor"),
            ("recovery codes, shown once", "recovery-codes"),
            ("account", "account"),
            ("password", "password"),
            ("prove who you are", "confirm"),
            ("and go on with what was typed", "resume"),
            ("nothing under this address", "nothing-here"),
        ),
    ),
)


def names() -> list[str]:
    """Return the browser states the checklist names, in its order."""
    return [state for page in PAGES for _, state in page.states]


def table() -> str:
    """Return the table of the document."""
    rows = [
        f"| {page.name if number == 0 else ''} | {page.section if number == 0 else ''} | {words} | `{state}` |"
        for page in PAGES
        for number, (words, state) in enumerate(page.states)
    ]
    return "\n".join(["| page | ux.md | state | shown by |", "| --- | --- | --- | --- |", *rows])


def written(document: str) -> str:
    """Return the document with the table as it has to be."""
    before, after = document.partition(BEGIN)[0], document.partition(END)[2]
    return f"{before}{BEGIN}\n\n{table()}\n\n{END}{after}"


if __name__ == "__main__":
    DOCUMENT.write_text(written(DOCUMENT.read_text()))
