from __future__ import annotations

import json
import re

from lkcfuse.models import load_manifest


def test_network_weights_and_metrics(lkcfuse):
    done = lkcfuse("cite", "--metrics", "Qabf,VIF,SSIM,GT_SSIM")
    assert done.code == 0, done.err
    keys = re.findall(r"^@\w+\{(.+),$", done.text, re.MULTILINE)
    assert keys[:3] == ["lkcfuse", "he2026rethinking", "lkcfuse-ir-vis"]
    assert len(keys) == len(set(keys))
    assert "xydeas2000objective" in keys
    assert load_manifest().find("lkcfuse-ir-vis").sha256 in done.text
    assert done.text.count("{") == done.text.count("}")


def test_other_weights_and_json(lkcfuse):
    done = lkcfuse("cite", "seafusion", "--metrics", "VIF", "--json")
    records = [json.loads(line) for line in done.text.splitlines()]
    assert records[1]["author"] == "L. Tang and J. Yuan and J. Ma"
    assert records[-1]["for"] == ["VIF"]


def test_unknown_names(lkcfuse):
    lkcfuse("cite", "nope").assert_fails(4, "no weights are called 'nope'")
    lkcfuse("cite", "--metrics", "nope").assert_fails(2, "no metric is called 'nope'")
