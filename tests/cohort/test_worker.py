"""Pairs that run out of memory, time or device in this process."""

from __future__ import annotations

import json

import pytest

import faults
from cohort_files import COUNT, QUICK, asked, outputs, pairs_in
from warpline.cohort import run

pytestmark = pytest.mark.usefixtures("no_pages")


def test_short_memory_is_tried_once_more_and_then_told(inputs, undisturbed, tmp_path):
    faults.plan(inputs, sub_01="memory_once", sub_02="memory", sub_03="puzzling")
    summary = run(pairs_in(inputs), tmp_path / "out", asked())
    assert sorted(faults.calls(inputs)).count("sub-02") == 2
    groups = {group.kind: group for group in summary.groups}
    assert set(groups) == {"out_of_memory", "unexpected"}
    assert groups["out_of_memory"].signature == "out of memory allocating *,*,*,* bytes"
    assert "puzzling" in json.loads((tmp_path / "out/logs/sub-03.json").read_text())["traceback"]
    done = outputs(tmp_path / "out")
    assert done == {name: undisturbed[name] for name in done} and len(done) == 7 * (COUNT - 2)


def test_a_slow_pair_ends_at_its_time_limit(inputs, tmp_path):
    slow = QUICK.with_options("syn.iterations=[100000]", "syn.early_stop=off")
    summary = run(pairs_in(inputs)[:1], tmp_path / "out", asked(recipe=slow, time_limit=0.3))
    (group,) = summary.groups
    assert group.kind == "timeout" and "longer than 0.3 s" in group.message


def test_a_broken_device_stops_a_run_in_this_process(inputs, undisturbed, tmp_path):
    faults.plan(inputs, sub_03="broken_once")
    summary = run(pairs_in(inputs), tmp_path / "out", asked())
    assert summary.exit_code == 6 and summary.counts["failed"] == 0
    assert run(pairs_in(inputs), tmp_path / "out", asked()).exit_code == 0
    assert outputs(tmp_path / "out") == undisturbed
