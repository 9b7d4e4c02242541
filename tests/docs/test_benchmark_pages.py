"""Tables of benchmarks say what the files of results say."""

from __future__ import annotations

import json

import benchmark_pages

((_, PAGE),) = benchmark_pages.pages()


def result(name):
    return json.loads((benchmark_pages.RESULTS / name).read_text())


def test_every_file_of_results_can_be_had():
    files = [path.name for path in benchmark_pages.RESULTS.glob("*.json")]
    assert [name for name in files if f"<../../bench/results/{name}>" not in PAGE] == []


def test_every_section_has_a_table_with_all_its_rows():
    for section in benchmark_pages.SECTIONS:
        table = PAGE.split(f"\n{section.title}\n")[1].split(":download:")[0]
        assert table.count("   * - ") == 1 + len(section.rows(result(section.file)))


def test_means_are_those_of_the_runs():
    rows = [row["scores"]["dice"] for row in result("compare-cpu.json")["runs"] if row["tool"] == "warpline"]
    table = PAGE.split("Labelled brains on a CPU")[1]
    assert f"* - warpline\n     - {len(rows)}\n     - {sum(rows) / len(rows):.4f}\n" in table


def test_what_was_not_measured_is_said():
    section = next(one for one in benchmark_pages.SECTIONS if one.file == "longitudinal.json")
    rows = [row for row in section.rows(result(section.file)) if row["swapped_mm_max"] is None]
    assert rows
    assert PAGE.split(f"\n{section.title}\n")[1].split(":download:")[0].count("     - n/a\n") == len(rows)
