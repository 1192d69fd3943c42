"""Uploads of tables: what is refused before 201, by its line (S30-S32, S34)."""

from collections.abc import Callable

import pytest

from tests.contracts.conftest import Api, problem
from tests.corpora.tables import Case, cases

Builder = Callable[[], Case]


def hostile(rule: str) -> pytest.MarkDecorator:
    """Every table of the corpus that breaks this rule."""
    return pytest.mark.parametrize("builder", cases(rule).values(), ids=cases(rule))


@hostile("s30")
def test_s30_malformed_tables(builder: Builder, api: Api) -> None:
    refused(builder, api)


@hostile("s31")
def test_s31_nothing_to_learn(builder: Builder, api: Api) -> None:
    refused(builder, api)


@hostile("s32")
def test_s32_columns_of_the_same_name(builder: Builder, api: Api) -> None:
    refused(builder, api)


@hostile("s34")
def test_s34_other_formats(builder: Builder, api: Api) -> None:
    refused(builder, api)


def refused(builder: Builder, api: Api) -> None:
    content, slug, line = builder()
    answer = api.upload(content, name="table.csv", modality="tabular")
    document = problem(answer, 415 if slug == "unsupported-media-type" else 422, slug)
    if line is not None:
        assert document["errors"][0]["loc"] == ["file", line]
    assert api.call("GET", "/v1/datasets?state=validating").json()["data"] == []
