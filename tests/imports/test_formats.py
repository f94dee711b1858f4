"""Each tool's export is recognised by its header and means what its maker says it means.

The samples have the columns of the page that ``domain/formats.py`` names, and invented people.
"""

from pathlib import Path

import pytest

from prefs.domain.consent_words import ANSWERS, NAMES, folded, is_answer
from prefs.domain.formats import BY_NAME, FORMATS, HEX_DIGITS, OWN, UNSUPPORTED, Shows, recognise
from prefs.domain.listed import Plan, RowProblem, make_plan
from prefs.domain.terms import Channel, Reason
from prefs.errors import InvalidInput
from prefs.services.listfile import lay_out, read_rows, repairer

SAMPLES = Path(__file__).parent / "samples"
GONE, BAD, SPAM, WRONG = Reason.UNSUBSCRIBED, Reason.HARD_BOUNCE, Reason.COMPLAINT, "refused"

MEANINGS = {
    "sendgrid-unsubscribes": [GONE, GONE],
    "sendgrid-spam-reports": [SPAM],
    "sendgrid-invalid": [Reason.INVALID_ADDRESS],
    "sendgrid-bounces": [BAD],
    "sendgrid-blocks": [None],
    "mailgun-unsubscribes": [GONE, GONE],
    "mailgun-bounces": [BAD],
    "mailgun-complaints": [SPAM],
    "postmark": [GONE, BAD, SPAM, WRONG],
    "amazon-ses": [BAD, SPAM],
    "campaign-monitor": [GONE],
    "mailchimp-unsubscribed": [GONE, None],
    "mailchimp-cleaned": [BAD],
    "mailchimp-subscribed": [None],
    "klaviyo-profiles": [GONE, BAD, GONE, None, None],
    "hubspot-unsubscribes": [GONE, BAD, SPAM, GONE, None],
    "hubspot-contacts": [GONE, None, None],
    "braze": [GONE, None],
    "iterable": [GONE, GONE, None],
    "listmonk": [GONE, None],
    "twilio-consents": [GONE, None],
    "dnc-registry": [Reason.DO_NOT_CALL, Reason.DO_NOT_CALL],
    "plain": [GONE, GONE],
}


def plan_of(path: Path, **more: object) -> Plan:
    layout = lay_out(path)
    given = {"format": None, "channel": None, "scope": 0, "spoken": lambda name: 0, **more}
    return make_plan(layout.header, layout.sample, **given)  # type: ignore[arg-type]


def read_all(path: Path, plan: Plan) -> list[object]:
    layout, found = lay_out(path), []
    read, repair = plan.reader(), repairer(layout)
    with path.open("rb") as file:
        for row in read_rows(file, layout.begins, layout.first_line, layout.separator):
            try:
                listed = read(repair(row.cells))
                found.append(listed and (listed.fact.reason, plan.address(listed, "US").value))
            except RowProblem:
                found.append(WRONG)
    return found


def meanings(found: list[object]) -> list[object]:
    return [one[0] if isinstance(one, tuple) else one for one in found]


@pytest.mark.parametrize("name", MEANINGS)
def test_a_sample_is_recognised_and_every_row_means_what_it_should(name: str) -> None:
    path = SAMPLES / f"{name}.csv"
    alike = {"sendgrid-bounces", "sendgrid-blocks"}

    plan = plan_of(path, format=BY_NAME[name] if name in alike else None)

    assert plan.format.name == name
    assert meanings(read_all(path, plan)) == MEANINGS[name]


def test_every_format_has_a_sample_and_a_source() -> None:
    unsampled = {OWN, *HEX_DIGITS}

    assert {one.name for one in FORMATS} - unsampled == set(MEANINGS) == {path.stem for path in SAMPLES.glob("*.csv")}
    for one in FORMATS:
        assert one.source.startswith("https://") or one.source == "docs/import-export.md"
        assert "forum" not in one.source
        assert "community" not in one.source
    assert all(mend.endswith(".") for mend in UNSUPPORTED.values())


def test_bounces_and_blocks_are_never_taken_for_each_other() -> None:
    with pytest.raises(InvalidInput, match="--format sendgrid-bounces or --format sendgrid-blocks"):
        plan_of(SAMPLES / "sendgrid-bounces.csv")


@pytest.mark.parametrize("column", ["Status", "subscribed", "Opt-in", "email_consent", "is_active", "bounced"])
def test_a_column_about_consent_that_nobody_explains_stops_the_import(tmp_path: Path, column: str) -> None:  # V49
    path = tmp_path / "list.csv"
    path.write_text(f"email,{column}\nana@example.com,yes\n")

    with pytest.raises(InvalidInput, match="may say who opted out"):
        plan_of(path)
    assert plan_of(path, format=BY_NAME["plain"]).format.name == "plain"


@pytest.mark.parametrize(
    "column",
    [
        *("newsletter", "Accepts Email Marketing", "Abonniert", "Einwilligung", "Désabonné", "Statut", "Suscrito"),
        *("Estado", "Inscrição", "Situação", "اشتراك", "حالة"),
    ],
)
def test_a_column_about_consent_is_known_in_our_languages(tmp_path: Path, column: str) -> None:  # V49
    path = tmp_path / "list.csv"
    path.write_text(f"email,{column}\nana@example.com,what nobody knows\n")

    with pytest.raises(InvalidInput, match="may say who opted out"):
        plan_of(path)


@pytest.mark.parametrize(
    "answers",
    [
        *("yes no", "TRUE FALSE", "1 0", "Ja Nein", "oui non", "sí no", "sim não", "نعم لا", "x"),
        *("Abonniert Abgemeldet", "subscribed unsubscribed", "opted-in opted-out", "désabonnée", "inscrito"),
        *("مشترك", "active"),
    ],
)
@pytest.mark.parametrize("header", ["email,colour\n", ""], ids=["named", "no header"])
def test_a_column_of_answers_stops_the_import_whatever_it_is_called(tmp_path: Path, header: str, answers: str) -> None:
    """A shop's list of subscribers, `email` and a column of ``yes``, opted all of them out."""
    path = tmp_path / "list.csv"
    rows = [f"p{number}@example.com,{answer}\n" for number, answer in enumerate(["", "n/a", *answers.split()])]
    path.write_text(header + "".join(rows))

    with pytest.raises(InvalidInput, match="may say who opted out") as refused:
        plan_of(path)
    assert "delete the column or add --format plain" in str(refused.value)
    assert (refused.value.field, refused.value.code) == ("format", "unknown_format")
    assert plan_of(path, format=BY_NAME["plain"]).format.name == "plain"


def test_columns_that_say_something_else_stop_nothing(tmp_path: Path) -> None:
    path = tmp_path / "list.csv"
    path.write_text("email,name,note,empty\na@example.com,Ana,yes,\nb@example.com,Ben,wrote a letter,n/a\n")

    assert plan_of(path).format.name == "plain"


def test_the_words_about_consent_are_those_of_our_languages_and_written_as_they_are_compared() -> None:
    from prefs.words import LANGUAGES

    assert set(NAMES) == set(LANGUAGES) == set(ANSWERS) - {"any"}
    for words in ANSWERS.values():
        assert all(is_answer(word) and folded(word) == word for word in words.split("|"))


def test_each_format_says_how_near_its_source_comes_to_an_export() -> None:
    assert BY_NAME["mailchimp-cleaned"].shows is Shows.EXPORT
    assert BY_NAME["mailgun-bounces"].shows is Shows.UPLOAD
    for name in ("sendgrid-unsubscribes", "postmark", "amazon-ses", "twilio-consents", "campaign-monitor"):
        assert BY_NAME[name].shows is Shows.FIELDS
    assert {"Constant Contact", "SendGrid, unsubscribes of one group"} <= UNSUPPORTED.keys()


def test_no_format_can_mean_an_opt_in() -> None:  # R5, V49
    from prefs.domain.reasons import STATABLE_REASONS

    meant = {rule.means for one in FORMATS for rule in one.rules} | {one.otherwise for one in FORMATS}

    assert {reason for reason in meant if isinstance(reason, Reason)} <= STATABLE_REASONS
    assert {reason for reason in meant if not isinstance(reason, Reason)} <= {None, "ignore", "reject"}


def test_a_named_format_whose_columns_are_missing_is_refused() -> None:
    with pytest.raises(InvalidInput, match="suppressionreason"):
        plan_of(SAMPLES / "plain.csv", format=BY_NAME["postmark"])


@pytest.mark.parametrize(
    ("text", "more", "column"),
    [
        pytest.param("name,email\nAna,ana@example.com\n", {}, 1, id="by name"),
        pytest.param("a;b\nAna;ana@example.com\nBen;ben@example.com\n", {}, 1, id="by what it holds"),
        pytest.param("email,phone\nana@example.com,+14155550142\n", {"channel": Channel.SMS}, 1, id="by the channel"),
        pytest.param(
            "work,private\na@example.com,b@example.com\n", {"column": "Private"}, 1, id="by the caller's word"
        ),
    ],
)
def test_the_column_of_addresses_is_found(tmp_path: Path, text: str, more: dict[str, object], column: int) -> None:
    path = tmp_path / "list.csv"
    path.write_text(text)

    assert plan_of(path, **more).column == column


@pytest.mark.parametrize(
    ("text", "more", "words"),
    [
        pytest.param("email,phone\na@example.com,+14155550142\n", {}, "--channel or --column", id="two kinds"),
        pytest.param("work,private\na@example.com,b@example.com\n", {}, "work, private", id="two of a kind"),
        pytest.param("phone\n+14155550142\n", {}, "--channel sms", id="which channel of a number"),
        pytest.param("colour,size\nred,7\n", {}, "No column holds addresses", id="none"),
        pytest.param("email,x\na@example.com,7\n", {"column": "mail"}, "There are: email, x", id="no such column"),
        pytest.param(
            SAMPLES.joinpath("postmark.csv").read_text(), {"channel": Channel.SMS}, "is about email", id="channel"
        ),
        pytest.param(
            "d" * 64 + "\n", {"format": BY_NAME["md5"], "channel": Channel.EMAIL}, "--format sha256", id="A-3"
        ),
        pytest.param("d" * 64 + "\n" + "d" * 32 + "\n", {"channel": Channel.EMAIL}, "mixes hashes", id="mixed hashes"),
        pytest.param("d" * 64 + "\n", {}, "--channel email", id="hashes of what"),
    ],
)
def test_what_is_not_certain_is_asked_and_not_guessed(
    tmp_path: Path, text: str, more: dict[str, object], words: str
) -> None:
    path = tmp_path / "list.csv"
    path.write_text(text)

    with pytest.raises(InvalidInput) as refused:
        plan_of(path, **more)
    assert words in str(refused.value)


@pytest.mark.parametrize(
    ("number", "word"),
    [
        pytest.param("4.15556E+11", "last digits are lost", id="shortened"),
        pytest.param("1,41556E+10", "last digits are lost", id="shortened, comma"),
        pytest.param("14155550142.0", "decimal", id="a quantity"),
        pytest.param("'+14155550142", "mark before this number", id="apostrophe"),
        pytest.param('="14155550142"', "mark before this number", id="formula"),
        pytest.param("call me", "no digits", id="words"),
        pytest.param("", "no address in this row", id="nothing"),
    ],
)
def test_numbers_that_a_spreadsheet_spoilt_are_refused_with_a_word(tmp_path: Path, number: str, word: str) -> None:
    path = tmp_path / "list.csv"
    path.write_text("phone;name\n+14155550142;Ana\n")
    plan = plan_of(path, channel=Channel.SMS)
    listed = plan.reader()([number, "Ana"])
    assert listed is not None

    with pytest.raises(RowProblem) as refused:
        plan.address(listed, "US")
    assert word in refused.value.what
    assert refused.value.how


@pytest.mark.parametrize(
    ("number", "region", "value"),
    [
        pytest.param("4155550123", "US", "+14155550123", id="national"),
        pytest.param("(415) 555-0123", "US", "+14155550123", id="national, as people write it"),
        pytest.param("1-415-555-0123", "US", "+14155550123", id="with the national 1"),
        pytest.param("6045550123", "US", "+16045550123", id="of the same calling code"),
        pytest.param("011 49 170 1234567", "US", "+491701234567", id="as it is dialled from there"),
        pytest.param("0170 1234567", "DE", "+491701234567", id="with the national 0"),
        pytest.param("447911123456", "GB", "+447911123456", id="its own country code"),
        pytest.param("(+49) 170 1234567", "US", "+491701234567", id="a + in brackets"),
        pytest.param("+1555", "US", "+1555", id="whatever follows a + is honoured"),
        pytest.param("491701234567", "US", None, id="a lost +"),
        pytest.param("5511987654321", "US", None, id="a lost +, Brazil"),
        pytest.param("4512345678", "US", None, id="a lost + of the right length, Denmark"),
        pytest.param("5550123", "US", None, id="no area code"),
        pytest.param("14155550123", "DE", None, id="a lost +, from elsewhere"),
        pytest.param("4915112345678", "DE", None, id="two numbers of one country"),
    ],
)
def test_a_number_without_its_plus_is_one_of_the_region_or_refused(
    tmp_path: Path, number: str, region: str, value: str | None
) -> None:
    """A spreadsheet dropped the +; a stranger's number was blocked and the person stayed reachable."""
    path = tmp_path / "list.csv"
    path.write_text("phone;name\n+14155550142;Ana\n")
    plan = plan_of(path, channel=Channel.SMS)
    listed = plan.reader()([number, "Ana"])
    assert listed is not None

    if value is not None:
        assert plan.address(listed, region).value == value
        return
    with pytest.raises(RowProblem) as refused:
        plan.address(listed, region)
    assert refused.value.what == f"This number has no + and is no number of {region} for certain"
    assert "country code" in refused.value.how
    assert "--region" in refused.value.how


def test_header_names_are_compared_without_capitals_marks_and_spaces() -> None:
    assert recognise(("emailaddress", "suppressionreason", "origin", "createdat")) is BY_NAME["postmark"]
    assert recognise(("email",)) is None


def test_the_docs_name_every_format_its_page_and_what_is_not_read() -> None:
    text = (Path(__file__).parents[2] / "docs/import-export.md").read_text()

    for one in FORMATS:
        assert f"| `{one.name}` | {one.tool} |" in text
        assert one.source in text or one.source == "docs/import-export.md"
        assert one.source == "docs/import-export.md" or f"[page]({one.source}) | {one.shows} |" in text
    for what, mend in UNSUPPORTED.items():
        assert f"| {what} | {mend} |" in text
