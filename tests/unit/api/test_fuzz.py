"""The API held to the document it serves, by schemathesis."""

from unit.api.fuzzing import fuzz


def test_api_answers_as_its_document_says_and_writes_nothing_by_halves() -> None:
    """Whatever is sent: no 5xx, an answer the document names, bad data refused, and refused before it is written."""
    tally = fuzz(450, 7)

    assert tally.faults == {}
    assert tally.cases > 350
    assert {200, 201, 400, 404, 409, 422} <= tally.statuses.keys()
    assert len(tally.answered) > 18
