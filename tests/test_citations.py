from __future__ import annotations

import re

import pytest

from lkcfuse.citations import Work, parse_citation, parse_source
from lkcfuse.metrics import METRICS
from lkcfuse.models import load_manifest


@pytest.mark.parametrize("name", METRICS)
def test_the_source_of_every_metric_is_a_whole_entry(name):
    work = parse_source(METRICS[name].source)
    assert work.kind in ("article", "inproceedings"), METRICS[name].source
    assert {"author", "title", "year"} < work.fields.keys()
    assert re.fullmatch(r"[a-z]+\d{4}\w+", work.key)
    assert work.fields["year"] in METRICS[name].source
    assert (work.kind == "article") == ("volume" in work.fields)


def test_one_by_hand():
    work = parse_source(METRICS["Nabf"].source)
    assert work.fields == {
        "author": "Shreyamsha Kumar",
        "title": "{Multifocus and multispectral image fusion based on pixel significance "
        "using discrete cosine harmonic wavelet transform}",
        "journal": "Signal Image Video Process.",
        "volume": "7",
        "year": "2013",
    }


def test_the_citation_of_all_weights_is_a_whole_entry():
    for entry in load_manifest():
        work = parse_citation(entry.citation)
        assert work.kind == "article", entry.citation
        assert work.fields["author"].startswith(entry.citation.split(",")[0].split(" et ")[0])


def test_what_has_another_form_stays_as_it_is():
    work = parse_citation("Smith, J., in: Handbook of 50 % & more, 1999")
    assert work.key == "smith1999"
    assert r"note = {Smith, J., in: Handbook of 50 \% \& more, 1999}" in work.to_bibtex()


def test_bibtex():
    text = Work("k", "misc", {"title": "a_b"}).to_bibtex("the weights")
    assert text == "% the weights\n@misc{k,\n  title = {a\\_b},\n}"
